"""64-bit memories and tables, and memories with pages of one byte: sizes, limits, what is given back."""

from __future__ import annotations

import pytest

from farcall.engine import (
    FUNCREF,
    I64,
    Engine,
    ExhaustionError,
    Limits,
    LinkError,
    MemoryType,
    RangeError,
    Store,
    StoreLimits,
    TableType,
    Trap,
)
from farcall.engine.runtime.memory import LARGEST_64
from farcall.engine.runtime.native import c_library
from tests.engine.guests import wasm

PAGE = 65536
GIB = 1 << 30

WIDE = """(module (memory (export "m") i64 {limits})
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  (func (export "size") (result i64) (memory.size))
  (func (export "store") (param i64 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "load") (param i64) (result i64) (i64.load (local.get 0))))"""

BYTES = """(module (memory (export "m") {limits} (pagesize 1))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"""


class TestWideMemories:
    def test_more_than_four_gibibytes(self, make):
        """Of which hardly anything is touched, and so is there."""
        instance = make(WIDE.format(limits="1"))
        memory = instance.memory("m")
        assert instance.exports.grow(6 * GIB // PAGE - 1) == 1
        assert (memory.size, memory.pages, instance.exports.size()) == (
            6 * GIB,
            6 * GIB // PAGE,
            6 * GIB // PAGE,
        )
        for address in (0, 4 * GIB - 4, 5 * GIB + 3, 6 * GIB - 8):
            instance.exports.store(address, address + 1)
            assert instance.exports.load(address) == address + 1
            assert int.from_bytes(memory.read(address, 8), "little") == address + 1
        memory[6 * GIB - 1] = 0x7F
        assert instance.exports.load(6 * GIB - 8) >> 56 == 0x7F
        for address in (6 * GIB - 7, 6 * GIB, LARGEST_64, -1, -8):
            with pytest.raises(Trap):
                instance.exports.load(address)
        with pytest.raises(RangeError):
            memory.read(6 * GIB, 1)

    def test_growth_ends_at_the_limit_of_the_implementation(self, make):
        instance = make(WIDE.format(limits="1"))
        most = LARGEST_64 // PAGE
        for pages in (most, 1 << 48, -1, -(1 << 63)):
            assert instance.exports.grow(pages) == -1
        with pytest.raises(ExhaustionError, match=f"its limit is {LARGEST_64}"):
            instance.memory("m").grow(most)
        assert instance.exports.grow(most - 1) == 1
        assert instance.exports.size() == most
        assert instance.exports.grow(1) == -1
        instance.exports.store(LARGEST_64 - 8, 5)
        with pytest.raises(Trap):
            instance.exports.store(LARGEST_64 - 7, 5)

    def test_growth_ends_at_the_maximum_of_the_type_and_of_the_store(self, engine, make):
        assert make(WIDE.format(limits="1 3")).exports.grow(3) == -1
        with Store(engine, limits=StoreLimits(memory_bytes=2 * PAGE + 5)) as store:
            instance = store.instantiate(engine.load_module(wasm(WIDE.format(limits="1 3"))))
            assert instance.exports.grow(2) == -1
            assert instance.exports.grow(1) == 1
            with pytest.raises(ExhaustionError, match=f"over the limit of {2 * PAGE + 5} bytes"):
                store.instantiate(engine.load_module(wasm(WIDE.format(limits="3"))))

    @pytest.mark.parametrize("minimum", [LARGEST_64 // PAGE + 1, 1 << 48])
    def test_a_minimum_over_the_limit_is_valid_and_cannot_be_instantiated(self, engine, store, minimum):
        module = engine.load_module(wasm(WIDE.format(limits=minimum)))
        with pytest.raises(ExhaustionError, match=f"a memory of {minimum * PAGE} bytes is over the limit"):
            store.instantiate(module)

    def test_they_are_given_back_and_zero_again(self, engine, store, counts):
        module = engine.load_module(wasm(WIDE.format(limits="1")))
        before = counts()
        for _ in range(20):
            with store.instantiate(module) as instance:
                assert instance.exports.load(8) == 0
                instance.exports.store(8, -1)
                instance.exports.grow(3)
                assert counts()[1] == before[1] + 1
            assert counts() == before
        assert engine.memory_budget.used == 0

    def test_without_address_space_nothing_is_taken(self, engine, store, counts, monkeypatch):
        module = engine.load_module(wasm(WIDE.format(limits="1")))
        before = counts()
        real = c_library.map_memory

        def refuse(size, protection, at=None, **options):
            if size == LARGEST_64:
                raise OSError(12, "Cannot allocate memory")
            return real(size, protection, at, **options)

        monkeypatch.setattr(c_library, "map_memory", refuse)
        with pytest.raises(ExhaustionError, match="no address space left for a memory of"):
            store.instantiate(module)
        monkeypatch.undo()
        assert counts() == before
        assert engine.memory_budget.used == 0
        assert store.instantiate(module).exports.size() == 1

    def test_only_memories_of_the_same_kind_match(self, make, store):
        provider = make(
            '(module (memory (export "64") i64 1) (memory (export "32") 1) (memory (export "bytes") 1 (pagesize 1)))'
        )
        kinds = {"64": "i64 1", "32": "1", "bytes": "1 (pagesize 1)"}
        for wanted, text in kinds.items():
            for found in kinds:
                importer = f'(module (import "p" "{found}" (memory {text})))'
                if wanted == found:
                    make(importer, {"p": provider})
                    continue
                with pytest.raises(LinkError, match=r"wanted memory i.. 1 pages.*, found memory i.. 1 pages"):
                    make(importer, {"p": provider})

    def test_a_host_s_memory_is_shared(self, store, make):
        memory = store.memory(MemoryType(Limits(1, 4), index_type=I64))
        assert str(memory.type) == "memory i64 1..4 pages"
        instance = make(
            """(module (import "h" "m" (memory i64 1))
            (func (export "f") (result i64) (drop (memory.grow (i64.const 2))) (i64.load (i64.const 131072))))""",
            {"h": {"m": memory}},
        )
        memory.grow(1)
        assert instance.exports.f() == 0
        assert memory.pages == 4


class TestPagesOfAByte:
    def test_growth_byte_by_byte_across_a_page_of_the_machine(self, make):
        start = c_library.PAGE_SIZE - 2
        instance = make(BYTES.format(limits=start))
        memory = instance.memory("m")
        for size in range(start, start + 6):
            assert memory.size == memory.pages == instance.exports.size() == size
            with pytest.raises(Trap):
                instance.exports.store(size, 1)
            with pytest.raises(RangeError):
                memory.write(size, b"x")
            if size % 2:
                assert memory.grow(1) == size
            else:
                assert instance.exports.grow(1) == size
            assert instance.exports.load(size) == 0
            instance.exports.store(size, size & 0xFF)
            assert memory[size] == size & 0xFF

    def test_its_size_is_always_a_number_of_its_index_type(self, make):
        instance = make(BYTES.format(limits="1"))
        assert instance.exports.grow(-1) == -1
        assert instance.exports.grow(-2) == 1
        assert instance.exports.size() == -1
        assert instance.memory("m").size == (1 << 32) - 1
        assert instance.exports.grow(1) == -1
        assert instance.exports.load(-2) == 0
        with pytest.raises(Trap):
            instance.exports.load(-1)

    def test_they_are_zero_again(self, engine, store):
        module = engine.load_module(wasm(BYTES.format(limits="5000")))
        for _ in range(10):
            with store.instantiate(module) as instance:
                memory = instance.memory("m")
                memory.grow(7)
                assert not any(memory.read(0, memory.size))
                memory.write(0, b"\xff" * memory.size)

    def test_budgets_count_bytes(self, engine):
        with Engine(total_memory_bytes=100) as narrow, Store(narrow) as store:
            instance = store.instantiate(narrow.load_module(wasm(BYTES.format(limits="90"))))
            assert instance.exports.grow(11) == -1
            assert instance.exports.grow(10) == 90
            assert narrow.memory_budget.used == 100


class TestWideTables:
    def test_python_sees_them_as_others(self, store, make):
        table = store.table(TableType(FUNCREF, Limits(2, 1 << 40), I64))
        assert str(table.type) == f"table i64 2..{1 << 40} funcref"
        instance = make(
            """(module (import "h" "t" (table i64 2 funcref)) (elem declare func $f)
            (func $f (result i32) (i32.const 9))
            (func (export "grow") (param i64) (result i64) (table.grow (ref.func $f) (local.get 0)))
            (func (export "call") (param i64) (result i32) (call_indirect (result i32) (local.get 0))))""",
            {"h": {"t": table}},
        )
        assert instance.exports.grow(3) == 2
        assert instance.exports.grow(1 << 40) == -1
        assert instance.exports.grow(-1) == -1
        assert [table.get(index) is None for index in range(5)] == [True, True, False, False, False]
        assert table.get(4)() == instance.exports.call(4) == 9
        for index in (5, 1 << 32, (1 << 32) + 4, -1, -(1 << 63)):
            with pytest.raises(Trap, match="undefined element"):
                instance.exports.call(index)

    def test_a_minimum_over_the_limit_cannot_be_instantiated(self, engine, store):
        most = (1 << 64) - 1
        text = f"(module (table i64 {most} {most} funcref) (func (drop (table.get (i64.const -1)))))"
        module = engine.load_module(wasm(text))
        with pytest.raises(ExhaustionError, match="over the limit of 10000000"):
            store.instantiate(module)


def test_a_memory_that_was_not_wired_is_empty(engine, store):
    from farcall.engine import Instance

    module = engine.load_module(
        wasm(
            """(module (import "" "m" (memory i64 0)) (func (result i64) (memory.size))
            (func (result i64) (memory.grow (i64.const 1))) (func (result i64) (i64.load (i64.const 0))))"""
        )
    )
    made = engine.new_module_engine(engine.compile_module(module), Instance(store, "x", module))
    assert made.new_function(0)() == 0
    assert made.new_function(1)() == -1
    with pytest.raises(Trap, match="out of bounds memory access"):
        made.new_function(2)()
