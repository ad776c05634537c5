"""What the command line prints for a value reads back as the same value, bit for bit."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.client.errors import ArgumentError
from farcall.client.floats import f32_bits, f32_from_bits, f64_bits
from farcall.client.value_text import format_value, nearest_f32, parse_value


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_i32_reads_back(value):
    assert parse_value(format_value(value, "i32"), "i32", 0) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_i64_reads_back(value):
    assert parse_value(format_value(value, "i64"), "i64", 0) == value


@given(st.integers(0, 2**64 - 1))
def test_every_f64_bit_pattern_reads_back(bits):
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    assert f64_bits(parse_value(format_value(value, "f64"), "f64", 0)) == bits


@given(st.integers(0, 2**32 - 1))
def test_every_f32_reads_back_and_is_no_longer_than_nine_digits(bits):
    value = f32_from_bits(bits)
    text = format_value(value, "f32")
    assert f32_bits(parse_value(text, "f32", 0)) == bits
    if math.isfinite(value):
        assert len(text.split("e")[0].strip("-").replace(".", "").strip("0")) <= 9


@given(st.binary(min_size=16, max_size=16))
def test_every_vector_reads_back(value):
    assert parse_value(format_value(value, "v128"), "v128", 0) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "01" + "00" * 15),
        ("0x0102030405060708090a0b0c0d0e0f10", "100f0e0d0c0b0a090807060504030201"),
        ("i8x16:0,1,2,3,4,5,6,7,8,9,10,11,12,13,-1,0xff", "000102030405060708090a0b0c0dffff"),
        ("i16x8:1, 2, 3, 4, 5, 6, -32768, 65535", "0100020003000400050006000080ffff"),
        ("i32x4:-1,0x80000000,1_000,0", "ffffffff00000080e803000000000000"),
        ("i64x2:-9223372036854775808,18446744073709551615", "0000000000000080ffffffffffffffff"),
        ("f32x4:1,-0,inf,nan:0x1", "0000803f000000800000807f0100807f"),
        ("f64x2:0x1p-1,-nan", "000000000000e03f000000000000f8ff"),
    ],
)
def test_vectors_can_be_written_as_lanes(text, value):
    assert parse_value(text, "v128", 0).hex() == value


@pytest.mark.parametrize(
    ("value", "type_name", "text"),
    [
        (0, "i32", "0"),
        (-1, "i64", "-1"),
        (1.0, "f64", "1.0"),
        (-0.0, "f64", "-0.0"),
        (-0.0, "f32", "-0.0"),
        (0.1, "f64", "0.1"),
        (f32_from_bits(0x3DCCCCCD), "f32", "0.1"),
        (f32_from_bits(0x7F7FFFFF), "f32", "3.4028235e+38"),
        (f32_from_bits(1), "f32", "1e-45"),
        (16777216.0, "f32", "16777216.0"),
        (1e300, "f64", "1e+300"),
        (math.inf, "f32", "inf"),
        (-math.inf, "f64", "-inf"),
        (math.nan, "f64", "nan"),
        (math.nan, "f32", "nan"),
        (-math.nan, "f64", "-nan"),
        (None, "externref", "null"),
    ],
)
def test_form_of_values(value, type_name, text):
    assert format_value(value, type_name) == text


@pytest.mark.parametrize(
    ("text", "type_name", "value"),
    [
        ("0x10", "i32", 16),
        ("-0x80000000", "i32", -(2**31)),
        ("+7", "i64", 7),
        ("1_000", "i32", 1000),
        ("5", "f64", 5.0),
        (".5", "f64", 0.5),
        ("5.", "f64", 5.0),
        ("-1e3", "f32", -1000.0),
        ("0x1p-3", "f64", 0.125),
        ("-0x1.8p1", "f32", -3.0),
        ("Infinity", "f64", math.inf),
        ("-INF", "f32", -math.inf),
        ("1e-999999999", "f64", 0.0),
        ("3.4028235e38", "f32", f32_from_bits(0x7F7FFFFF)),
        # Nearest f64 is the midpoint of two f32; the exact number is not.
        ("1.00000005960464477540", "f32", f32_from_bits(0x3F800001)),
        ("1.00000005960464477538", "f32", 1.0),
        ("1.000000059604644775390625", "f32", 1.0),
        ("null", "funcref", None),
    ],
)
def test_accepted_texts(text, type_name, value):
    assert parse_value(text, type_name, 0) == value


def test_negative_zero_and_nans_keep_their_bits():
    assert math.copysign(1, parse_value("-0", "f64", 0)) == -1
    assert math.copysign(1, parse_value("-0.0", "f32", 0)) == -1
    assert math.copysign(1, parse_value("-1e-999", "f32", 0)) == -1
    assert f64_bits(parse_value("-nan:0x123", "f64", 0)) == 0xFFF0_0000_0000_0123
    assert f64_bits(parse_value("nan", "f64", 0)) == 0x7FF8_0000_0000_0000
    assert f64_bits(parse_value("nan:canonical", "f64", 0)) == 0x7FF8_0000_0000_0000
    assert f32_bits(parse_value("nan:0x400001", "f32", 0)) == 0x7FC0_0001
    assert f32_bits(parse_value("nan:0x1", "f32", 0)) == 0x7F80_0001


@pytest.mark.parametrize(
    ("text", "type_name", "reason"),
    [
        ("2147483648", "i32", "out of range for i32"),
        ("0xffffffff", "i32", "out of range for i32"),
        ("-9223372036854775809", "i64", "out of range for i64"),
        ("1.5", "i32", "not an integer"),
        ("", "i32", "not an integer"),
        ("1 2", "i32", "not an integer"),
        ("_1", "i64", "not an integer"),
        ("abc", "f64", "not a number"),
        (".", "f64", "not a number"),
        ("1e400", "f64", "out of range for f64"),
        ("1e39", "f32", "out of range for f32"),
        ("-0x1p999999999", "f32", "out of range for f32"),
        ("nan:0x0", "f32", "payload"),
        ("1", "externref", "only null"),
        ("-1", "v128", "out of range for v128"),
        (str(1 << 128), "v128", "out of range for v128"),
        ("1.5", "v128", "neither an integer nor lanes"),
        ("i32x2:1,2", "v128", "no shape of a vector: i32x2"),
        ("i32x4:1,2,3", "v128", "i32x4 has 4 lanes, not 3"),
        ("i16x8:0,0,0,0,0,0,0,65536", "v128", "a lane of i16x8 is out of range"),
        ("i64x2:1.5,2", "v128", "not an integer"),
        ("f32x4:1,2,3,x", "v128", "not a number"),
    ],
)
def test_refused_texts_say_why(text, type_name, reason):
    with pytest.raises(ArgumentError, match=reason) as caught:
        parse_value(text, type_name, 3)
    assert caught.value.index == 3
    assert caught.value.wanted == type_name
    assert caught.value.given == text


@given(st.integers(0, 0x7F7FFFFE), st.integers(1, 10**6))
def test_nearest_f32_of_numbers_beside_a_midpoint(bits, closeness):
    low, high = Fraction(f32_from_bits(bits)), Fraction(f32_from_bits(bits + 1))
    middle, step = (low + high) / 2, (high - low) / (2**40 * closeness)
    assert nearest_f32(middle - step) == f32_from_bits(bits)
    assert nearest_f32(middle + step) == f32_from_bits(bits + 1)
    assert nearest_f32(middle) == f32_from_bits(bits if bits % 2 == 0 else bits + 1)
