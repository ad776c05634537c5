"""Values as text, for the command line: what is printed reads back as the same value, bit for bit.

Integers are decimal (hexadecimal is read too). Floats are the shortest decimal that reads back as the same
value of their width, or `inf`, `-inf`, `nan`, `-nan`, and `nan:0x<payload>` where the payload is not the
canonical one, as in the specification's text format (section 6.3.2). Null references are `null`. A vector is the
integer of 128 bits whose lowest are the first lane's, in hexadecimal; lanes are read too: `f32x4:1,2.5,-inf,nan`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

from farcall.client.errors import ArgumentError
from farcall.client.floats import f32_bits, f32_from_bits, f64_bits, f64_from_bits

_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F](_?[0-9a-fA-F])*|[0-9](_?[0-9])*)\Z")
_FLOAT = re.compile(r"[+-]?([0-9](_?[0-9])*(\.([0-9](_?[0-9])*)?)?|\.[0-9](_?[0-9])*)([eE][+-]?[0-9]+)?\Z")
_HEXADECIMAL_FLOAT = re.compile(
    r"[+-]?0[xX]([0-9a-fA-F]+(\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)([pP][+-]?[0-9]+)?\Z"
)
_NAN = re.compile(r"([+-]?)nan(?::(0[xX][0-9a-fA-F]+|canonical))?\Z", re.IGNORECASE)
_INFINITY = re.compile(r"([+-]?)inf(?:inity)?\Z", re.IGNORECASE)

INTEGER_BITS = {"i32": 32, "i64": 64}
"""Width of each integer type."""

_VECTOR = re.compile(r"([if][0-9]+x[0-9]+):(.*)\Z", re.DOTALL)
_VECTOR_BYTES = 16

_LANES = {"i8x16": 16, "i16x8": 8, "i32x4": 4, "i64x2": 2, "f32x4": 4, "f64x2": 2}
"""Of each shape of a vector, how many lanes it has."""

_FRACTION_BITS = {"f32": 23, "f64": 52}
_SIGN_BIT = {"f32": 31, "f64": 63}


class ValueTextError(ValueError):
    """The text is no value of the wanted type; says why."""


def parse_value(text: str, type_name: str, index: int) -> int | float | bytes | None:
    """Read the argument at position `index`.

    Raises:
        ArgumentError: the text is no value of that type, or out of its range.
    """
    try:
        return _parse(text, type_name)
    except ValueTextError as error:
        raise ArgumentError(
            f"argument {index}: {error}: {text!r}", index=index, wanted=type_name, given=text
        ) from None


def _parse(text: str, type_name: str) -> int | float | bytes | None:
    if type_name in INTEGER_BITS:
        return _parse_integer(text, INTEGER_BITS[type_name], type_name)
    if type_name in _FRACTION_BITS:
        return _parse_float(text, type_name)
    if type_name == "v128":
        return _parse_vector(text)
    if type_name in ("funcref", "externref"):
        if text == "null":
            return None
        raise ValueTextError(f"only null can be written as an argument of type {type_name}")
    if type_name.endswith("ref") or type_name.startswith("(ref"):
        return None if text == "null" else _parse_integer(text, 31, "i31")
    raise ValueTextError(f"values of type {type_name} cannot be written as arguments")


def _parse_integer(text: str, bits: int, type_name: str) -> int:
    if not _INTEGER.match(text):
        raise ValueTextError(f"not an integer, which {type_name} wants")
    value = int(text, 16) if "x" in text.lower() else int(text)
    limit = 1 << (bits - 1)
    if not -limit <= value < limit:
        raise ValueTextError(f"out of range for {type_name} ({-limit} to {limit - 1})")
    return value


def _parse_vector(text: str) -> bytes:
    if match := _VECTOR.match(text):
        shape, lanes = match[1], match[2].split(",")
        wanted = _LANES.get(shape)
        if wanted is None:
            raise ValueTextError(f"no shape of a vector: {shape}")
        if len(lanes) != wanted:
            raise ValueTextError(f"{shape} has {wanted} lanes, not {len(lanes)}")
        return b"".join(_parse_lane(lane.strip(), shape) for lane in lanes)
    if not _INTEGER.match(text):
        raise ValueTextError("neither an integer nor lanes (as in i32x4:1,2,3,4), which v128 wants")
    value = int(text, 16) if "x" in text.lower() else int(text)
    if not 0 <= value < 1 << 8 * _VECTOR_BYTES:
        raise ValueTextError("out of range for v128 (0 to 2**128 - 1)")
    return value.to_bytes(_VECTOR_BYTES, "little")


def _parse_lane(text: str, shape: str) -> bytes:
    size = _VECTOR_BYTES // _LANES[shape]
    lane = shape.partition("x")[0]
    if shape[0] == "f":
        value = _parse_float(text, lane)
        return (f32_bits(value) if lane == "f32" else f64_bits(value)).to_bytes(size, "little")
    if not _INTEGER.match(text):
        raise ValueTextError(f"not an integer, which a lane of {shape} is")
    integer, limit = (int(text, 16) if "x" in text.lower() else int(text)), 1 << 8 * size
    if not -limit // 2 <= integer < limit:
        raise ValueTextError(f"a lane of {shape} is out of range ({-limit // 2} to {limit - 1})")
    return (integer % limit).to_bytes(size, "little")


def _parse_float(text: str, type_name: str) -> float:
    if match := _NAN.match(text):
        return _parse_nan(match, type_name)
    if match := _INFINITY.match(text):
        return -math.inf if match[1] == "-" else math.inf
    if _HEXADECIMAL_FLOAT.match(text):
        value = _nearest_f64_to_hexadecimal(text)
        exact: Callable[[str], Fraction] = _exact_hexadecimal
    elif _FLOAT.match(text):
        value = float(text)
        exact = Fraction
    else:
        raise ValueTextError(f"not a number, which {type_name} wants")
    # Where the f64 is zero or infinite, so is the f32, and the exact number may be too large to write down.
    if type_name == "f32" and value != 0 and not math.isinf(value):
        value = math.copysign(nearest_f32(abs(exact(text))), value)
    if math.isinf(value):
        raise ValueTextError(f"out of range for {type_name}")
    return value


def _nearest_f64_to_hexadecimal(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return math.inf


def _exact_hexadecimal(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("p")
    whole, _, fraction = mantissa.lstrip("+-").removeprefix("0x").partition(".")
    magnitude = Fraction(int(whole + fraction, 16), 16 ** len(fraction)) * Fraction(2) ** int(exponent or 0)
    return -magnitude if text.startswith("-") else magnitude


def nearest_f32(exact: Fraction) -> float:
    """The f32 nearest to a number that is not negative, ties to even; infinite where that is too large.

    Rounding to f64 first and then to f32 can go wrong by one, where the f64 is the midpoint of two f32.
    """
    guess = _bits_of_nearby_f32(float(exact)) if exact < 1 << 128 else _F32_INFINITY_BITS
    candidates = range(max(guess - 1, 0), min(guess + 1, _F32_INFINITY_BITS) + 1)
    return f32_from_bits(min(candidates, key=lambda bits: (abs(_exact_f32(bits) - exact), bits & 1)))


_F32_INFINITY_BITS = 0x7F80_0000


def _bits_of_nearby_f32(value: float) -> int:
    try:
        return f32_bits(value)
    except OverflowError:
        return _F32_INFINITY_BITS


def _exact_f32(bits: int) -> Fraction:
    """The number that an f32 stands for; infinity for what would come after the largest, as in rounding."""
    if bits == _F32_INFINITY_BITS:
        return Fraction(1 << 128)
    return Fraction(f32_from_bits(bits))


def _parse_nan(match: re.Match[str], type_name: str) -> float:
    fraction_bits, sign_bit = _FRACTION_BITS[type_name], _SIGN_BIT[type_name]
    payload = 1 << (fraction_bits - 1)
    if match[2] and match[2].lower() != "canonical":
        payload = int(match[2], 16)
        if not 0 < payload < 1 << fraction_bits:
            raise ValueTextError(f"NaN payload out of range for {type_name}")
    infinity = (1 << sign_bit) - (1 << fraction_bits)
    bits = (1 << sign_bit if match[1] == "-" else 0) | infinity | payload
    return f32_from_bits(bits) if type_name == "f32" else f64_from_bits(bits)


def format_value(value: object, type_name: str) -> str:
    """The text of a value, which `parse_value` reads back."""
    if isinstance(value, float):
        return _format_float(value, type_name)
    if isinstance(value, bytes):
        return f"0x{int.from_bytes(value, 'little'):032x}"
    return "null" if value is None else str(value)


def _format_float(value: float, type_name: str) -> str:
    if math.isnan(value):
        return _format_nan(value, type_name)
    if type_name == "f32" and math.isfinite(value):
        return _shortest_f32(value)
    return repr(value)


def _shortest_f32(value: float) -> str:
    """The shortest decimal that reads back, in `repr`'s form; nine digits always do."""
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        if nearest_f32(abs(Fraction(text))) == abs(value):
            break
    else:
        text = f"{value:.9g}"
    return repr(float(text))


def _format_nan(value: float, type_name: str) -> str:
    fraction_bits = _FRACTION_BITS[type_name]
    bits = f32_bits(value) if type_name == "f32" else f64_bits(value)
    payload = bits & ((1 << fraction_bits) - 1)
    sign = "-" if bits >> _SIGN_BIT[type_name] else ""
    return f"{sign}nan" if payload == 1 << (fraction_bits - 1) else f"{sign}nan:{payload:#x}"
