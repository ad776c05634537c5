"""Routines as machine code give what they give in Python, and what is not in the subset is refused."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.binary.leb128 import read_signed, read_unsigned
from farcall.engine.binary.leb128_routines import (
    POSITION_MASK,
    VALUE_SHIFT,
    scan_signed,
    scan_type_index,
    scan_u32,
    scan_u64,
)
from farcall.engine.errors import MalformedModuleError
from farcall.engine.routines import Compiled, routine
from farcall.engine.routines.translation import UnsupportedCodeError, routine_texts

SCANS = Compiled(scan_u32, scan_u64, scan_signed, scan_type_index)


@routine
def classify(number: int, limit: int) -> int:
    """Every statement and operator of the subset."""
    total = 0
    while True:
        number -= 1
        if number < 0 or total > limit:
            break
        if number & 1 and not (number == 5 or number > 7):
            continue
        match number:
            case 2 | 4:
                total += 10
            case 6:
                total = total ^ 0x55 if total >= 10 else -total
            case _:
                total += number << 1 | number >> 2
        total += int(number in (2, 8)) + (number not in (0, limit)) * 3
    return total


CLASSIFY = Compiled(classify)


@given(st.integers(0, 200), st.integers(0, 10_000))
def test_translated_code_does_what_python_does(number, limit):
    assert CLASSIFY.function(classify)(number, limit) == classify(number, limit)


def expected(read, source, bits):
    try:
        return read(source, 0, bits)
    except (MalformedModuleError, IndexError):
        return None


@given(
    st.one_of(
        st.binary(max_size=12),
        st.builds(
            lambda count, last: b"\x80" * count + last, st.integers(0, 11), st.binary(min_size=1, max_size=1)
        ),
        st.builds(
            lambda count, last: b"\xff" * count + last, st.integers(0, 11), st.binary(min_size=1, max_size=1)
        ),
    )
)
def test_integers_are_scanned_as_they_are_read(source):
    place = ctypes.create_string_buffer(source)
    address, size = ctypes.addressof(place), len(source)

    found = SCANS.function(scan_u32)(address, 0, size)
    assert (None if found < 0 else (found >> VALUE_SHIFT, found & POSITION_MASK)) == expected(
        read_unsigned, source, 32
    )

    found = SCANS.function(scan_u64)(address, 0, size)
    read = expected(read_unsigned, source, 64)
    assert (None if found < 0 else (found >> 1, found & 1)) == (
        None if read is None else (read[1], int(read[0] >> 32 != 0))
    )

    for bits in (32, 33, 64):
        found = SCANS.function(scan_signed)(address, 0, size, bits)
        read = expected(read_signed, source, bits)
        assert (None if found < 0 else found) == (None if read is None else read[1])

    found = SCANS.function(scan_type_index)(address, 0, size)
    read = expected(read_signed, source, 33)
    assert (None if found < 0 else (found >> VALUE_SHIFT, found & POSITION_MASK)) == (
        None if read is None or read[0] < 0 else read
    )


@routine
def divides(first: int, second: int) -> int:
    """Division is not in the subset."""
    return first // second


@routine
def calls_python(value: int) -> int:
    """Nor are calls of what is no routine."""
    return hash(value)


@routine
def compares_twice(value: int) -> int:
    """Nor chains of comparisons."""
    if 0 < value < 10:
        return 1
    return 0


@pytest.mark.parametrize("function", [divides, calls_python, compares_twice])
def test_what_is_not_in_the_subset_is_refused_with_its_line(function):
    with pytest.raises(UnsupportedCodeError, match=rf"{function.__name__}, line \d+"):
        routine_texts((function,))
