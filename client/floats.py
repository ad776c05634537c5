"""Floats and their bit patterns, NaN payloads kept.

Python's own conversions between f32 and f64 make signalling NaNs quiet; these do not. An f32 NaN is held in
a Python float as the f64 NaN of the same sign whose payload begins with the f32's.
"""

from __future__ import annotations

import math
import struct

_F32 = struct.Struct("<f")
_F64 = struct.Struct("<d")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

F32_CANONICAL_NAN_BITS = 0x7FC0_0000
"""Bits of the positive canonical NaN (specification, section 3.2.2)."""

_F32_INFINITY_BITS = 0x7F80_0000
_F64_INFINITY_BITS = 0x7FF0_0000_0000_0000
_FRACTION_DIFFERENCE = 52 - 23


def f64_bits(value: float) -> int:
    """The bits of an f64, as an unsigned integer."""
    bits: int = _U64.unpack(_F64.pack(value))[0]
    return bits


def f64_from_bits(bits: int) -> float:
    """The f64 of those bits."""
    value: float = _F64.unpack(_U64.pack(bits))[0]
    return value


def f32_bits(value: float) -> int:
    """The bits of the f32 nearest to `value`, as an unsigned integer.

    Raises:
        OverflowError: a finite `value` that is too large for an f32.
    """
    if math.isnan(value):
        bits = f64_bits(value)
        payload = (bits & ((1 << 52) - 1)) >> _FRACTION_DIFFERENCE
        sign = (bits >> 63) << 31
        return sign | _F32_INFINITY_BITS | (payload or 1 << 22)
    result: int = _U32.unpack(_F32.pack(value))[0]
    return result


def f32_from_bits(bits: int) -> float:
    """The f32 of those bits, as a Python float."""
    if bits & 0x7FFF_FFFF > _F32_INFINITY_BITS:
        payload = (bits & ((1 << 23) - 1)) << _FRACTION_DIFFERENCE
        return f64_from_bits((bits >> 31) << 63 | _F64_INFINITY_BITS | payload)
    value: float = _F32.unpack(_U32.pack(bits))[0]
    return value
