"""Literals become exact bit patterns, and expected results match what the specification lets them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .numbers import float_bits, integer_bits
from .s_expressions import parse
from .values import HostReference, Result, parse_argument, parse_pattern


def bits_of(value, width):
    formats = {32: "<fI", 64: "<dQ"}[width]
    return struct.unpack("<" + formats[2], struct.pack(formats[:2], value))[0]


@given(st.floats(allow_nan=False))
def test_decimal_and_hexadecimal_doubles_read_back(value):
    assert float_bits(repr(value), 64) == bits_of(value, 64)
    if math.isfinite(value):
        assert float_bits(value.hex(), 64) == bits_of(value, 64)


@given(st.floats(allow_nan=False, width=32))
def test_decimal_and_hexadecimal_singles_read_back(value):
    assert float_bits(repr(value), 32) == bits_of(value, 32)


def test_singles_are_rounded_once():
    # Just above the tie between 1 and its successor: rounding to a double first would make it the tie.
    assert float_bits("0x1.000001000000001p0", 32) == 0x3F800001
    assert float_bits("0x1.000001p0", 32) == 0x3F800000


@pytest.mark.parametrize(
    ("literal", "width", "bits"),
    [
        ("nan", 32, 0x7FC00000),
        ("-nan", 64, 0xFFF8000000000000),
        ("nan:0x200000", 32, 0x7FA00000),
        ("-inf", 32, 0xFF800000),
        ("-0", 32, 0x80000000),
        ("1_000.5_0", 64, 0x408F440000000000),
        ("0x0.000001p-126", 32, 0),
        ("0x1p-149", 32, 1),
        ("0x1.fffffffp127", 32, None),
        ("1e39", 32, None),
        ("nan:0x0", 32, None),
    ],
)
def test_float_literals(literal, width, bits):
    if bits is None:
        with pytest.raises(ValueError, match="out of range"):
            float_bits(literal, width)
    else:
        assert float_bits(literal, width) == bits


@pytest.mark.parametrize(
    ("literal", "bits", "value"),
    [("-1", 32, 0xFFFFFFFF), ("0xffff_ffff", 32, 0xFFFFFFFF), ("-0x80", 8, 0x80), ("+5", 64, 5)],
)
def test_integer_literals(literal, bits, value):
    assert integer_bits(literal, bits) == value


@pytest.mark.parametrize("literal", ["", "0x", "1.0", "256", "-129", "x"])
def test_no_integer_literals(literal):
    with pytest.raises(ValueError, match="integer"):
        integer_bits(literal, 8)


def matches(pattern, type_name, value):
    (expression,) = parse(pattern.encode())
    return parse_pattern(expression).matches(Result(type_name, value))


@pytest.mark.parametrize(
    ("pattern", "type_name", "value", "matched"),
    [
        ("(i32.const -1)", "i32", 0xFFFFFFFF, True),
        ("(i32.const -1)", "i64", 0xFFFFFFFF, False),
        ("(f32.const nan:canonical)", "f32", 0xFFC00000, True),
        ("(f32.const nan:canonical)", "f32", 0x7FC00001, False),
        ("(f32.const nan:arithmetic)", "f32", 0x7FC00001, True),
        ("(f32.const nan:arithmetic)", "f32", 0x7FA00000, False),
        ("(f32.const nan:0x200000)", "f32", 0x7FA00000, True),
        ("(f64.const nan:arithmetic)", "f64", 0x7FF0000000000000, False),
        ("(f64.const 0)", "f64", 1 << 63, False),
        ("(v128.const i32x4 1 2 3 4)", "v128", 4 << 96 | 3 << 64 | 2 << 32 | 1, True),
        ("(v128.const i32x4 1 2 3 4)", "v128", 4 << 96 | 3 << 64 | 2 << 32 | 2, False),
        ("(v128.const f64x2 nan:canonical 1)", "v128", 0x3FF0000000000000 << 64 | 0x7FF8 << 48, True),
        ("(ref.null)", "funcref", None, True),
        ("(ref.null func)", "funcref", None, True),
        ("(ref.null func)", "i32", None, False),
        ("(ref.null extern)", "externref", HostReference(0), False),
        ("(ref.extern 1)", "externref", HostReference(1), True),
        ("(ref.extern 1)", "externref", HostReference(2), False),
        ("(ref.extern)", "externref", HostReference(2), True),
        ("(ref.extern)", "externref", None, False),
        ("(ref.func)", "funcref", None, False),
        ("(either (i32.const 1) (i32.const 2))", "i32", 2, True),
        ("(either (i32.const 1) (i32.const 2))", "i32", 3, False),
    ],
)
def test_patterns(pattern, type_name, value, matched):
    assert matches(pattern, type_name, value) is matched


def test_vector_arguments_have_their_first_lane_lowest():
    (expression,) = parse(b"(v128.const i16x8 1 2 3 4 5 6 7 -8)")
    argument = parse_argument(expression)
    assert argument.value.to_bytes(16, "little") == struct.pack("<8h", 1, 2, 3, 4, 5, 6, 7, -8)
