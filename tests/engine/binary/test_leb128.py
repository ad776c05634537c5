"""LEB128: what is written is read, and nothing that the format forbids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.binary.leb128 import read_s32, read_s33, read_s64, read_u32, read_u64
from farcall.engine.errors import MalformedModuleError
from tests.engine.binary_format import signed, unsigned

UNSIGNED = {32: read_u32, 64: read_u64}
SIGNED = {32: read_s32, 33: read_s33, 64: read_s64}
BEFORE, AFTER = b"\xff\x80\x00", b"\xff\x01"


def widest(bits: int) -> int:
    """The most bytes that an integer of that width may take."""
    return -(-bits // 7)


@pytest.mark.parametrize("bits", UNSIGNED)
@given(data=st.data())
def test_unsigned_integers_read_back_in_every_length(bits, data):
    value = data.draw(st.integers(0, (1 << bits) - 1))
    padding = data.draw(st.integers(0, widest(bits) - len(unsigned(value))))
    encoded = unsigned(value, padding)
    assert UNSIGNED[bits](BEFORE + encoded + AFTER, len(BEFORE)) == (value, len(BEFORE) + len(encoded))


@pytest.mark.parametrize("bits", SIGNED)
@given(data=st.data())
def test_signed_integers_read_back_in_every_length(bits, data):
    value = data.draw(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
    padding = data.draw(st.integers(0, widest(bits) - len(signed(value))))
    encoded = signed(value, padding)
    assert SIGNED[bits](BEFORE + encoded + AFTER, len(BEFORE)) == (value, len(BEFORE) + len(encoded))


@pytest.mark.parametrize("bits", UNSIGNED)
@given(data=st.data())
def test_unsigned_integers_out_of_range_are_too_large(bits, data):
    value = data.draw(st.integers(1 << bits, (1 << 7 * widest(bits)) - 1))
    with pytest.raises(MalformedModuleError, match="integer too large") as raised:
        UNSIGNED[bits](BEFORE + unsigned(value), len(BEFORE))
    assert raised.value.offset == len(BEFORE)


@pytest.mark.parametrize("bits", SIGNED)
@given(data=st.data())
def test_signed_integers_out_of_range_are_too_large(bits, data):
    capacity = 7 * widest(bits)
    above = st.integers(1 << (bits - 1), (1 << (capacity - 1)) - 1)
    below = st.integers(-(1 << (capacity - 1)), -(1 << (bits - 1)) - 1)
    value = data.draw(above | below)
    with pytest.raises(MalformedModuleError, match="integer too large"):
        SIGNED[bits](signed(value), 0)


@pytest.mark.parametrize(("bits", "read"), [*UNSIGNED.items(), *SIGNED.items()])
def test_more_bytes_than_the_width_allows_are_too_long(bits, read):
    encoded = unsigned(0, widest(bits))
    assert len(encoded) == widest(bits) + 1
    with pytest.raises(MalformedModuleError, match="integer representation too long"):
        read(encoded, 0)


@pytest.mark.parametrize("read", [*UNSIGNED.values(), *SIGNED.values()])
def test_bytes_that_end_inside_are_an_index_error(read):
    for encoded in (b"", b"\x80", b"\x80\x80\x80"):
        with pytest.raises(IndexError):
            read(encoded, 0)
