"""Loops over all functions of a module, against the same in Python."""

from __future__ import annotations

import ctypes
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.abi import layout
from farcall.engine.abi.code_table import CHUNK_FUNCTIONS, CHUNK_SIZE, cell_offset, stub_offset
from farcall.engine.runtime.native.machine import native_runtime

TABLE = 0x7000_0000_0000


def field(records: bytearray, index: int, offset: int, size: int) -> int:
    start = index * layout.FUNCTION_RECORD_SIZE + offset
    return int.from_bytes(records[start : start + size], "little")


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 20))
def test_records_have_types_and_indices_of_all_and_stubs_of_those_from_the_first_on(
    types: list[int], first: int
) -> None:
    first = min(first, len(types))
    loops = native_runtime().function_loops
    records = bytearray(len(types) * layout.FUNCTION_RECORD_SIZE)
    ids, descriptors = (ctypes.c_int32 * 4)(7, -1, 1 << 30, 2), (ctypes.c_uint64 * 4)(10, 1 << 63, 30, 40)
    loops.write_types(records, array("I", types), ctypes.addressof(ids), ctypes.addressof(descriptors))
    loops.write_stub_addresses(records, first, TABLE)
    for index, type_index in enumerate(types):
        assert field(records, index, layout.FUNCTION_RECORD_INDEX, 4) == index
        assert field(records, index, layout.FUNCTION_RECORD_TYPE_ID, 4) == ids[type_index] & 0xFFFFFFFF
        assert field(records, index, layout.FUNCTION_RECORD_DESCRIPTOR, 8) == descriptors[type_index]
        code = field(records, index, layout.FUNCTION_RECORD_CODE, 8)
        assert code == (TABLE + stub_offset(index - first) if index >= first else 0)
        assert field(records, index, layout.FUNCTION_RECORD_TAIL, 8) == 0
        assert field(records, index, layout.FUNCTION_RECORD_CONTEXT, 8) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 1 << 40)), max_size=20, unique_by=lambda pair: pair[0]
    )
)
def test_code_of_functions_that_there_are_is_written(given: list[tuple[int, int]]) -> None:
    count, base = 20, 1 << 44
    records = bytearray(count * layout.FUNCTION_RECORD_SIZE)
    indices, offsets = (
        array("I", [index for index, _offset in given]),
        array("Q", [offset for _index, offset in given]),
    )
    expected = {index: base + offset for index, offset in given if index < count}
    assert native_runtime().function_loops.write_codes(records, base, indices, offsets) == len(expected)
    for index in range(count):
        assert field(records, index, layout.FUNCTION_RECORD_CODE, 8) == expected.get(index, 0)
        assert field(records, index, layout.FUNCTION_RECORD_INDEX, 4) == 0


def test_stubs_of_later_chunks_are_found() -> None:
    records = bytearray((2 * CHUNK_FUNCTIONS + 1) * layout.FUNCTION_RECORD_SIZE)
    native_runtime().function_loops.write_stub_addresses(records, 0, TABLE)
    for position in (0, CHUNK_FUNCTIONS - 1, CHUNK_FUNCTIONS, 2 * CHUNK_FUNCTIONS):
        assert field(records, position, layout.FUNCTION_RECORD_CODE, 8) == TABLE + stub_offset(position)


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=12),
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, 1 << 40)), max_size=12, unique_by=lambda pair: pair[0]
    ),
    st.integers(1, 2),
    st.integers(0, 5),
)
def test_functions_get_code_unless_theirs_is_as_good(
    before: list[int], given: list[tuple[int, int]], level: int, first: int
) -> None:
    loops = native_runtime().function_loops
    given = [(position % len(before), offset) for position, offset in given]
    given = list(dict(given).items())
    levels, base = bytearray(before), 1 << 44
    indices = array("I", [first + position for position, _offset in given])
    offsets = array("Q", [offset for _position, offset in given])
    table = ctypes.create_string_buffer(CHUNK_SIZE)
    better = {position: base + offset for position, offset in given if before[position] < level}
    assert loops.count_worse(levels, level, indices, first) == len(better)
    assert loops.set_codes(ctypes.addressof(table), levels, level, base, indices, offsets, first) == len(
        better
    )
    assert list(levels) == [level if position in better else was for position, was in enumerate(before)]
    for position in range(len(before)):
        at = cell_offset(position)
        assert int.from_bytes(table[at : at + 8], "little") == better.get(position, 0)


@pytest.mark.parametrize("index", [4, 8, 0xFFFFFFFF])
def test_a_function_that_is_none_of_the_modules_is_seen(index: int) -> None:
    loops = native_runtime().function_loops
    assert loops.count_worse(bytearray(3), 1, array("I", [5, 7]), 5) == 2
    assert loops.count_worse(bytearray(3), 1, array("I", [5, index]), 5) == -1
    assert loops.count_worse(bytearray(), 1, array("I", []), 5) == 0
