"""Budgets: what guests may have together, in a store and in an engine."""

from __future__ import annotations

import threading

import pytest
import wasmtime

from farcall.engine import (
    FUNCREF,
    Engine,
    ExhaustionError,
    Limits,
    MemoryType,
    Store,
    StoreLimits,
    TableType,
)

PAGE = 65536
GROWING = wasmtime.wat2wasm(
    '(module (memory (export "memory") 1) (func (export "grow") (param i32) (result i32) (memory.grow'
    " (local.get 0))))"
)


def test_guests_cannot_grow_past_the_engines_budget_and_get_back_what_others_gave_up() -> None:
    with Engine(total_memory_bytes=10 * PAGE) as engine, Store(engine) as first, Store(engine) as second:
        module = engine.load_module(GROWING)
        one, two = first.instantiate(module), second.instantiate(module)
        assert one.exports.grow(7) == 1
        assert two.exports.grow(2) == -1
        assert two.exports.grow(1) == 1
        assert engine.statistics().memory_bytes == 10 * PAGE
        with pytest.raises(ExhaustionError, match="655360 of 655360 bytes are in use"):
            second.instantiate(module)
        with pytest.raises(ExhaustionError):
            two.memory("memory").grow(1)
        one.close()
        assert engine.statistics().memory_bytes == 2 * PAGE
        assert two.exports.grow(8) == 2
    assert engine.memory_budget.used == 0


def test_a_stores_budget_is_part_of_the_engines() -> None:
    with Engine(total_memory_bytes=8 * PAGE) as engine:
        limits = StoreLimits(total_memory_bytes=5 * PAGE)
        with Store(engine, limits=limits) as narrow, Store(engine) as wide:
            module = engine.load_module(GROWING)
            inside, outside = narrow.instantiate(module), wide.instantiate(module)
            assert inside.exports.grow(5) == -1
            assert outside.exports.grow(5) == 1
            assert inside.exports.grow(2) == -1, "the engine's budget is smaller than what the store has left"
            assert inside.exports.grow(1) == 1
            with pytest.raises(ExhaustionError):
                narrow.memory(MemoryType(Limits(1)))
            assert (narrow.memory_budget.used, engine.memory_budget.used) == (2 * PAGE, 8 * PAGE)
        assert engine.memory_budget.used == 0


def test_failed_instantiations_leave_the_budget_as_it_was() -> None:
    too_long = wasmtime.wat2wasm('(module (memory 3) (data (i32.const 65536000) "x"))')
    with Engine() as engine, Store(engine) as store:
        module = engine.load_module(too_long)
        for _ in range(3):
            with pytest.raises(Exception, match="out of bounds memory access"):
                store.instantiate(module)
        assert engine.memory_budget.used == 0


def test_guests_that_grow_at_the_same_time_never_have_more_than_the_budget() -> None:
    threads, budget = 4, 200
    with Engine(total_memory_bytes=budget * PAGE) as engine, Store(engine) as store:
        module = engine.load_module(GROWING)
        instances = [store.instantiate(module) for _ in range(threads)]
        start = threading.Barrier(threads)

        def grow(position: int) -> None:
            start.wait()
            for _ in range(budget):
                instances[position].exports.grow(1)

        workers = [threading.Thread(target=grow, args=(position,)) for position in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sum(instance.memory("memory").pages for instance in instances) == budget
        assert engine.memory_budget.used == budget * PAGE


TABLES = wasmtime.wat2wasm(
    """(module (table (export "table") 1000 funcref) (table $second 0 externref)
      (func (export "grow") (param i32) (result i32) (table.grow $second (ref.null extern) (local.get 0))))"""
)


def test_tables_take_from_the_budget_what_their_elements_take() -> None:
    with Engine(total_memory_bytes=8 * 3000) as engine, Store(engine) as store, Store(engine) as other:
        module = engine.load_module(TABLES)
        one = store.instantiate(module)
        assert engine.memory_budget.used == 8 * 1000
        assert one.exports.grow(500) == 0
        assert one.exports.table.grow(300) == 1000
        assert one.exports.grow(0) == 500
        assert engine.memory_budget.used == store.memory_budget.used == 8 * 1800
        assert one.exports.grow(1201) == -1
        with pytest.raises(ExhaustionError, match="no 9608 bytes of memory are left"):
            one.exports.table.grow(1201)
        assert (one.exports.grow(0), len(one.exports.table)) == (500, 1300)
        mine = other.table(TableType(FUNCREF, Limits(1000)))
        with pytest.raises(ExhaustionError, match="22400 of 24000 bytes are in use"):
            other.instantiate(module)
        assert engine.memory_budget.used == 8 * 2800
        one.close()
        assert (store.memory_budget.used, engine.memory_budget.used) == (0, 8 * 1000)
        assert mine.grow(2000) == 1000
    assert engine.memory_budget.used == 0


def test_a_stores_budget_limits_its_tables() -> None:
    with Engine() as engine, Store(engine, limits=StoreLimits(total_memory_bytes=8 * 1500)) as store:
        instance = store.instantiate(engine.load_module(TABLES))
        assert instance.exports.grow(501) == -1
        assert instance.exports.grow(500) == 0


def test_large_contexts_take_from_the_budget() -> None:
    many = wasmtime.wat2wasm("(module " + "(global (mut i64) (i64.const 0))" * 10_000 + ")")
    with Engine(total_memory_bytes=400_000) as engine, Store(engine) as store:
        module = engine.load_module(many)
        first, _second = store.instantiate(module), store.instantiate(module)
        used = engine.memory_budget.used
        assert 320_000 <= used < 330_000
        with pytest.raises(ExhaustionError, match=f"{used} of 400000 bytes are in use"):
            store.instantiate(module)
        first.close()
        store.instantiate(module)
        assert engine.memory_budget.used == used
    assert engine.memory_budget.used == 0
