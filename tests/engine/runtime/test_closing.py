"""Closing instances, stores and engines: what is refused afterwards, and when closing itself is."""

from __future__ import annotations

import gc

import pytest

from farcall.engine import (
    FUNCREF,
    I32,
    ArgumentError,
    ClosedError,
    Engine,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    ReentrancyError,
    Store,
    TableType,
)
from tests.engine.guests import wasm
from tests.engine.runtime.test_lifetimes import CALLER, CONSTANT


class TestClosing:
    def test_what_is_closed_says_so(self, make):
        instance = make(
            """(module (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g")
                (mut i32) (i32.const 0))
            (func (export "f") (result i32) (i32.const 1)))""",
            name="gone",
        )
        function, memory, table, variable = (instance.exports[name] for name in ("f", "m", "t", "g"))
        with instance:
            assert not instance.closed
        assert instance.closed
        assert "closed" in repr(instance)

        def assign() -> None:
            variable.value = 1

        for use in (
            function,
            function.invocation(()).run,
            lambda: function.call_many([()]),
            lambda: function.call_bits(()),
            lambda: memory.read(0, 1),
            lambda: memory.write(0, b"a"),
            lambda: memory.grow(1),
            lambda: memory[0],
            lambda: table.get(0),
            lambda: table.set(0, None),
            lambda: table.grow(1),
            lambda: variable.value,
            lambda: variable.bits,
            assign,
            lambda: instance.exports.f,
            lambda: instance.exports["f"],
            lambda: instance.function("f"),
            lambda: instance.memory("m"),
            lambda: instance.exports["none"],
        ):
            with pytest.raises(ClosedError, match="instance 'gone' is closed"):
                use()
        assert memory.size == 0
        assert table.size == 0
        instance.close()

    def test_closing_inside_is_refused_and_changes_nothing(self, make, store, engine):
        errors = []

        def host() -> None:
            for close in (instance.close, store.close, engine.close, linked.close):
                try:
                    close()
                except ReentrancyError as error:
                    errors.append(error)

        function = store.host_function(FunctionType((), ()), host)
        instance = make(
            '(module (import "" "h" (func $h)) (memory (export "m") 1) (func (export "go") (result i32)'
            " (call $h) (i32.const 5)))",
            {"": {"h": function}},
            name="open",
        )
        linked = make('(module (import "o" "m" (memory 1)))', {"o": instance})
        assert instance.exports.go() == 5
        assert len(errors) == 4
        assert instance.exports.go() == 5
        assert store.instance("open") is instance
        assert not instance.closed
        assert not store.closed
        make("(module)")
        invocation = instance.function("go").invocation(())
        assert invocation.run() == (5,)

    def test_others_can_be_closed_inside(self, make, store, counts):
        def host() -> None:
            make("(module (memory 1))").close()
            other.close()

        function = store.host_function(FunctionType((), ()), host)
        other = make("(module (memory 1))")
        instance = make(
            '(module (import "" "h" (func $h)) (func (export "go") (call $h) (call $h)))',
            {"": {"h": function}},
        )
        instance.exports.go()
        assert counts() == (1, 0, 1)

    def test_a_store_that_is_closed(self, engine):
        store = Store(engine)
        module = engine.load_module(wasm(CONSTANT))
        instance = store.instantiate(module)
        memory = store.memory(MemoryType(Limits(1)))
        host = store.host_function(FunctionType((FUNCREF,), ()), print)
        function = instance.exports.f
        store.close()
        store.close()
        assert store.closed
        assert instance.closed
        assert engine.statistics().memories == 0
        for use in (
            lambda: store.instantiate(module),
            lambda: store.memory(MemoryType(Limits(1))),
            lambda: store.table(TableType(FUNCREF, Limits(1))),
            lambda: store.global_(GlobalType(I32, True), 1),
            function,
            lambda: memory.read(0, 1),
        ):
            with pytest.raises(ClosedError):
                use()
        assert store.instances == {}
        with pytest.raises(ArgumentError):
            host(5)

    def test_an_engine_that_is_closed(self):
        engine = Engine()
        store = Store(engine)
        module = engine.load_module(wasm(CONSTANT))
        compiled = engine.compile_module(module)
        instance = store.instantiate(module)
        engine.close()
        engine.close()
        assert instance.closed
        assert store.closed
        for use in (
            lambda: engine.load_module(wasm("(module)")),
            lambda: engine.compile_module(module),
            lambda: engine.new_module_engine(module, instance),
            lambda: Store(engine),
            lambda: store.instantiate(compiled),
        ):
            with pytest.raises(ClosedError, match="closed"):
                use()
        statistics = engine.statistics()
        assert (statistics.compiled_modules, statistics.code_bytes, statistics.stores) == (0, 0, 0)
        assert engine.compiled_module_count() == 0

    def test_a_store_that_is_forgotten_gives_everything_back(self, engine, counts):
        module = engine.load_module(wasm(CONSTANT))
        gc.collect()
        for _ in range(5):
            forgotten = Store(engine)
            forgotten.memory(MemoryType(Limits(1)))
            caller = forgotten.instantiate(engine.load_module(wasm(CALLER)))
            caller.table("t")[0] = forgotten.instantiate(module).exports.f
            assert caller.exports.call(0) == 42
        function = caller.exports.call
        del forgotten, caller
        gc.collect()
        # The last store's instance is used still, through its function.
        assert function(0) == 42
        del function
        gc.collect()
        assert counts() == (0, 0, 0)
        assert engine.statistics().stores == 0
