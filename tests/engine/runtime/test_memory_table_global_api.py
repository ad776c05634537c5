"""Memories, tables and globals from Python: ranges, growth, limits, and what is not one of their values."""

from __future__ import annotations

import array

import pytest

from farcall.engine import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    ArgumentError,
    ExhaustionError,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    RangeError,
    Store,
    TableType,
)
from tests.engine.guests import wasm

PAGE = 65536


class Index:
    """An integer only by its `__index__`, as numpy's are."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


@pytest.fixture
def memory(store):
    return store.memory(MemoryType(Limits(2, 4)))


class TestMemory:
    def test_reading_and_writing(self, memory):
        assert memory.size == len(memory) == 2 * PAGE
        assert memory.pages == 2
        memory.write(10, b"hello")
        assert memory.read(10, 5) == b"hello"
        assert memory.read(2 * PAGE - 1, 1) == b"\0"
        assert memory.read(2 * PAGE, 0) == memory.read(0, 0) == b""
        memory.write(2 * PAGE, b"")
        memory.write(2 * PAGE - 2, bytearray(b"ab"))
        assert memory.read(2 * PAGE - 2, 2) == b"ab"
        memory.write(Index(0), memoryview(b"0123456789")[2:8:2])
        assert memory.read(Index(0), Index(3)) == b"246"
        memory.write(0, array.array("i", [1, 2]))
        assert memory.read(0, 8) == b"\1\0\0\0\2\0\0\0"
        assert type(memory.read(0, 1)) is bytes

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (2 * PAGE, 1), (2 * PAGE + 1, 0), (0, 2 * PAGE + 1), (-1, 1), (0, -1), (-1, 2), (2**32, 1), (2**64, 1),
            (2**64 - 1, 1), (0, 2**64), (1, 2**64 - 1), (10**30, 1), (-(10**30), 1), (2**31, 2**31),
        ],
    )  # fmt: skip
    def test_ranges_outside(self, memory, offset, length):
        with pytest.raises(RangeError, match="131072 bytes"):
            memory.read(offset, length)
        if length == 1:
            with pytest.raises(RangeError):
                memory.write(offset, b"x")

    @pytest.mark.parametrize("offset", [1.0, "1", None, b"1"])
    def test_offsets_that_are_no_integers(self, memory, offset):
        with pytest.raises(TypeError):
            memory.read(offset, 1)
        with pytest.raises(TypeError):
            memory.read(1, offset)
        with pytest.raises(TypeError):
            memory.write(offset, b"a")

    @pytest.mark.parametrize("data", [5, "text", None, [1, 2], 1.5])
    def test_data_that_are_no_bytes(self, memory, data):
        with pytest.raises(TypeError):
            memory.write(0, data)
        with pytest.raises(TypeError):
            memory[0:1] = data
        assert memory.read(0, 8) == bytes(8)

    def test_slices_and_items(self, memory):
        memory[0:5] = b"abcde"
        assert memory[0:5] == b"abcde"
        assert memory[1:3] == b"bc"
        assert memory[:2] == b"ab"
        assert len(memory[2:]) == 2 * PAGE - 2
        assert len(memory[:]) == 2 * PAGE
        assert memory[2] == ord("c")
        memory[2] = 0xFF
        assert memory[0:5] == b"ab\xffde"
        memory[7:] = b"xyz"
        assert memory[7:10] == b"xyz"
        assert memory[-1] == 0
        memory[-3:] = b"end"
        assert memory[-3:] == b"end"
        assert memory[-3:-1] == b"en"
        assert memory[Index(0) : Index(2)] == b"ab"
        memory[0:8] = array.array("i", [3, 4])
        assert memory[0:8] == b"\3\0\0\0\4\0\0\0"
        assert memory[5:5] == b""

    def test_slices_that_are_refused(self, memory):
        with pytest.raises(RangeError, match="step"):
            memory[0:4:2]
        with pytest.raises(RangeError):
            memory[4:2]
        with pytest.raises(RangeError):
            memory[0 : 2 * PAGE + 1]
        with pytest.raises(RangeError):
            memory[-2 * PAGE - 1 :]
        with pytest.raises(RangeError, match="3 bytes do not fit a slice of 4"):
            memory[0:4] = b"abc"
        with pytest.raises(RangeError):
            memory[2 * PAGE]
        with pytest.raises(RangeError):
            memory[2 * PAGE - 1 :] = b"ab"
        with pytest.raises(ValueError, match="256"):
            memory[0] = 256
        with pytest.raises(TypeError):
            memory["a"]
        assert not any(memory[:])

    def test_growing(self, memory):
        assert memory.grow(0) == 2
        assert memory.grow(1) == 2
        assert memory.size == 3 * PAGE
        memory.write(3 * PAGE - 1, b"x")
        for pages in (2, 100, 2**32, 2**64, -1, -(2**64)):
            with pytest.raises(ExhaustionError, match="limit"):
                memory.grow(pages)
        assert memory.grow(Index(1)) == 3
        with pytest.raises(TypeError):
            memory.grow(0.5)
        assert memory.type == MemoryType(Limits(4, 4))
        assert memory.declared_type == MemoryType(Limits(2, 4))

    def test_parts_of_two_gibibytes_and_more(self, store):
        """`ctypes.string_at` takes lengths as a C int: it would go wrong from here on, silently so at 4 GiB - 1."""
        memory = store.memory(MemoryType(Limits(2**16)))
        memory.write(2**31 - 1, b"x")
        content = memory.read(0, 2**31)
        assert len(content) == 2**31
        assert content[-1:] == b"x"
        del content
        assert memory.size == 2**32
        memory.write(2**32 - 3, b"end")
        assert memory.read(2**32 - 3, 3) == b"end"
        with pytest.raises(RangeError):
            memory.read(2**32 - 3, 4)
        with pytest.raises(ExhaustionError):
            memory.grow(1)

    def test_without_pages(self, store, make):
        memory = store.memory(MemoryType(Limits(0, 1)))
        assert memory.read(0, 0) == b""
        with pytest.raises(RangeError):
            memory.read(0, 1)
        assert memory.grow(1) == 0
        assert memory.read(0, 1) == b"\0"

    def test_equality(self, store, memory):
        other = store.memory(MemoryType(Limits(2, 4)))
        assert memory == memory.seen_by(other.owner)
        assert memory != other
        assert memory != 1
        assert len({memory, memory.seen_by(other.owner), other}) == 2
        assert repr(memory) == "<farcall memory i32 2..4 pages>"


class TestTable:
    def test_items(self, store, make):
        table = store.table(TableType(EXTERNREF, Limits(3, 5)))
        assert table.size == len(table) == 3
        assert [table[index] for index in range(3)] == [None] * 3
        value = {"any": "object"}
        table.set(1, value)
        assert table.get(1) is value
        table[2] = "text"
        assert table[Index(2)] == "text"
        table[1] = None
        assert table[1] is None

    @pytest.mark.parametrize("index", [3, 4, -1, 2**32, 2**64, -(2**70)])
    def test_indices_outside(self, store, index):
        table = store.table(TableType(EXTERNREF, Limits(3, 5)))
        with pytest.raises(RangeError, match="a table of 3 elements has none at"):
            table[index]
        with pytest.raises(RangeError):
            table[index] = "x"

    def test_growing(self, store):
        table = store.table(TableType(EXTERNREF, Limits(1, 5)))
        assert table.grow(2, "x") == 1
        assert table.grow(0) == 3
        assert [table[index] for index in range(3)] == [None, "x", "x"]
        for count in (3, 2**40, -1):
            with pytest.raises(ExhaustionError, match="limit is 5"):
                table.grow(count)
        assert table.size == 3
        assert table.type == TableType(EXTERNREF, Limits(3, 5))
        with pytest.raises(TypeError):
            table.grow("1")
        with pytest.raises(TypeError):
            table[0.0]

    def test_of_the_largest_size(self, store):
        table = store.table(TableType(FUNCREF, Limits(0)))
        assert table.grow(10_000_000) == 0
        assert table[9_999_999] is None
        with pytest.raises(ExhaustionError):
            table.grow(1)
        with pytest.raises(ExhaustionError):
            store.table(TableType(FUNCREF, Limits(10_000_001)))

    @pytest.mark.parametrize("value", [5, "f", print, object()])
    def test_what_is_no_function(self, store, value):
        table = store.table(TableType(FUNCREF, Limits(1)))
        with pytest.raises(ArgumentError, match="funcref"):
            table[0] = value
        with pytest.raises(ArgumentError, match="funcref"):
            table.grow(1, value)
        assert table.size == 1

    def test_functions_of_another_store(self, engine, store):
        table = store.table(TableType(FUNCREF, Limits(1)))
        with Store(engine) as other:
            module = engine.load_module(wasm('(module (func (export "f")))'))
            with pytest.raises(ArgumentError, match="funcref"):
                table[0] = other.instantiate(module).exports.f
            with pytest.raises(ArgumentError, match="funcref"):
                table[0] = other.host_function(FunctionType((), ()), print)

    def test_functions_come_back_equal(self, store, make):
        table = store.table(TableType(FUNCREF, Limits(2)))
        instance = make('(module (func (export "f") (result i32) (i32.const 3)))')
        host = store.host_function(FunctionType((), ()), print)
        table[0], table[1] = instance.exports.f, host
        assert table[0] == instance.exports.f
        assert table[0]() == 3
        assert table[1] is host
        assert table[0] != table[1]
        assert instance.exports.f != 3


class TestGlobal:
    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            (I32, [0, 1, -1, 2**31 - 1, -(2**31)]),
            (I64, [0, 2**63 - 1, -(2**63)]),
            (F32, [0.0, -1.5, float("inf"), 2.0**-149]),
            (F64, [0.0, 1e308, float("-inf"), 5e-324]),
            (EXTERNREF, [None, "x", [1]]),
        ],
    )
    def test_values(self, store, kind, values):
        variable = store.global_(GlobalType(kind, True), values[0])
        for value in values:
            variable.value = value
            assert variable.value == value
            assert type(variable.value) is type(value)

    @pytest.mark.parametrize(
        ("kind", "value"),
        [(I32, 2**31), (I32, 1.0), (I64, 2**63), (F32, 1e39), (F64, "1"), (FUNCREF, 5), (I32, None)],
    )
    def test_what_is_none(self, store, kind, value):
        variable = store.global_(GlobalType(kind, True), None if kind is FUNCREF else 0)
        with pytest.raises(ArgumentError):
            variable.value = value
        with pytest.raises(ArgumentError):
            store.global_(GlobalType(kind, False), value)

    def test_bits(self, store, make):
        instance = make(
            """(module (global (export "f") (mut f32) (f32.const nan:0x200001)) (global (export "d") f64
                (f64.const -0x1p-1074))
            (global (export "i") i32 (i32.const -1)))"""
        )
        assert instance.global_("f").bits == 0x7FA00001
        assert instance.global_("d").bits == 0x8000000000000001
        assert instance.global_("i").bits == 0xFFFFFFFF

    def test_a_failed_one_leaves_nothing(self, store, engine):
        before = engine.statistics()
        for _ in range(5):
            with pytest.raises(ArgumentError):
                store.global_(GlobalType(I32, True), "no")
            with pytest.raises(ExhaustionError):
                store.table(TableType(FUNCREF, Limits(10**9)))
        assert engine.statistics() == before
