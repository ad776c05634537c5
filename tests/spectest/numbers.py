"""Number literals of the text format (section 6.3.1 and 6.3.2), to exact bit patterns.

Floats are rounded once, from the exact rational value, so that a decimal f32 is not rounded twice.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

INTEGER_BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64}
FLOAT_BITS = {"f32": 32, "f64": 64}
_SIGNIFICAND_BITS = {32: 23, 64: 52}

_INTEGER = re.compile(r"([+-]?)(?:0x([0-9a-fA-F_]+)|([0-9_]+))\Z")
_HEXADECIMAL_FLOAT = re.compile(r"0x([0-9a-fA-F]+)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?\Z")


def integer_bits(literal: str, bits: int) -> int:
    """The bit pattern of an integer literal of `bits` bits; ValueError if it is none or does not fit."""
    match = _INTEGER.match(literal)
    if match is None:
        raise ValueError(f"not an integer: {literal}")
    sign, hexadecimal, decimal = match.groups()
    magnitude = int(hexadecimal, 16) if hexadecimal is not None else int(decimal)
    value = -magnitude if sign == "-" else magnitude
    if not -(1 << bits - 1) <= value < 1 << bits:
        raise ValueError(f"integer out of range: {literal}")
    return value & (1 << bits) - 1


@lru_cache(maxsize=4096)
def float_bits(literal: str, bits: int) -> int:
    """The bit pattern of a float literal of 32 or 64 bits; ValueError if it is none or is out of range."""
    sign_bit = 1 << bits - 1 if literal.startswith("-") else 0
    magnitude = literal.lstrip("+-").replace("_", "")
    significand_bits = _SIGNIFICAND_BITS[bits]
    infinity = (1 << bits - 1) - (1 << significand_bits)
    if magnitude == "inf":
        return sign_bit | infinity
    if magnitude == "nan":
        return sign_bit | infinity | 1 << significand_bits - 1
    if magnitude.startswith("nan:0x"):
        payload = int(magnitude[4:], 16)
        if not 0 < payload < 1 << significand_bits:
            raise ValueError(f"NaN payload out of range: {literal}")
        return sign_bit | infinity | payload
    return sign_bit | _round(_exact(magnitude), bits, significand_bits)


def _exact(magnitude: str) -> Fraction:
    match = _HEXADECIMAL_FLOAT.match(magnitude)
    if match is None:
        return Fraction(magnitude)
    whole, fraction, exponent = match.group(1), match.group(2) or "", int(match.group(3) or 0)
    return Fraction(int(whole + fraction, 16)) * Fraction(2) ** (exponent - 4 * len(fraction))


def _round(value: Fraction, bits: int, significand_bits: int) -> int:
    """Round to nearest, ties to even, as the bit pattern of a positive float."""
    if value == 0:
        return 0
    bias = (1 << bits - significand_bits - 2) - 1
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > value:
        exponent -= 1
    exponent = max(exponent, 1 - bias)
    # `round` of a Fraction rounds ties to even. A subnormal's pattern is its significand; a carry out of the
    # significand moves to the next exponent by itself.
    significand = round(value / Fraction(2) ** (exponent - significand_bits))
    pattern = (exponent + bias - 1 << significand_bits) + significand
    if pattern >= (1 << bits - 1) - (1 << significand_bits):
        raise ValueError("float out of range")
    return pattern
