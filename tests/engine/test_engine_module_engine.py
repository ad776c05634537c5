"""The module engine's methods, used directly: wiring, looking up, and what a wrong use gets."""

from __future__ import annotations

import pytest

from farcall.engine import (
    I32,
    I64,
    ClosedError,
    Engine,
    EngineBug,
    FunctionType,
    Instance,
    LinkError,
    Store,
    TerminatedError,
    Trap,
    TrapKind,
)
from farcall.engine.interface import AbstractEngine, ModuleEngine
from tests.engine.guests import Background, wasm

EXPORTER = """(module $exporter (memory (export "m") 1 4) (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
  (func (export "other") (param i64) (result i64) (local.get 0)))"""
IMPORTER = """(module $importer (import "e" "a" (func $a (result i32))) (import "e" "b" (func $b (result i32)))
  (import "e" "m" (memory 1)) (func (export "go") (result i32) (i32.add (i32.mul (call $a) (i32.const 10)) (call $b)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""


@pytest.fixture
def bind(engine, store):
    """A module engine for a module's text, wired to nothing yet."""

    def bind(text: str, name: str) -> ModuleEngine:
        module = engine.load_module(wasm(text))
        return engine.new_module_engine(
            engine.compile_module(module, ensure_termination=True), Instance(store, name, module)
        )

    return bind


def test_the_engine_is_one():
    assert issubclass(Engine, AbstractEngine)
    for name in (
        "close",
        "compile_module",
        "compiled_module_count",
        "delete_compiled_module",
        "new_module_engine",
    ):
        assert callable(getattr(AbstractEngine, name))
    for name in (
        "done_instantiation", "new_function", "resolve_imported_function", "resolve_imported_memory", "lookup_function",
        "function_instance_reference",
    ):  # fmt: skip
        assert callable(getattr(ModuleEngine, name))


class TestWiring:
    def test_functions_in_any_order_and_memories(self, bind, make):
        exporter = make(EXPORTER)
        importer = bind(IMPORTER, "importer")
        importer.resolve_imported_function(1, 0, exporter.engine)
        importer.resolve_imported_function(0, 0, exporter.engine)
        importer.resolve_imported_memory(exporter.engine)
        importer.done_instantiation()
        assert importer.new_function(2)() == 12
        assert importer.new_function(2)() == 34
        # Growth by either side is seen by both.
        exporter.memory("m").grow(1)
        exporter.memory("m").write(65536, b"\5")
        assert importer.new_function(3)(65536) == 5
        assert importer.new_function(4)() == 2
        assert exporter.memory("m").pages == 3
        # Imports have callables, too.
        assert importer.new_function(0) == exporter.exports.next
        assert importer.new_function(0)() == 5

    def test_memories_in_any_order(self, bind, make):
        first = make('(module (memory (export "m") 1) (data (i32.const 0) "\\01"))')
        second = make('(module (memory 1) (memory (export "m") 1) (data (memory 1) (i32.const 0) "\\02"))')
        importer = bind(
            """(module (import "" "a" (memory $a 1)) (import "" "b" (memory $b 1)) (memory $c 1)
            (func (export "sum") (result i32)
              (i32.store8 $c (i32.const 0) (i32.const 3))
              (i32.add (i32.add (i32.load8_u $a (i32.const 0)) (i32.mul (i32.const 10) (i32.load8_u $b (i32.const 0))))
                       (i32.mul (i32.const 100) (i32.load8_u $c (i32.const 0))))))""",
            "importer",
        )
        importer.resolve_imported_memory(second.engine, 1, 1)
        importer.resolve_imported_memory(first.engine, 0, 0)
        importer.make_memories_and_tables()
        assert importer.new_function(0)() == 321
        with pytest.raises(IndexError, match="imports no memory 2"):
            importer.resolve_imported_memory(first.engine, 2, 0)
        with pytest.raises(IndexError, match="has no memory 2"):
            importer.resolve_imported_memory(second.engine, 0, 2)

    def test_what_is_wired_is_linked(self, bind, make):
        """It takes turns with the exporter, is stopped with it, and keeps it alive."""
        exporter = make(EXPORTER)
        importer = bind(
            '(module (import "e" "s" (func $s (result i32))) (func (export "go") (result i32) (call $s)))',
            "i",
        )
        importer.resolve_imported_function(0, 1, exporter.engine)
        invocation = importer.new_function(1).invocation(())
        running = Background(invocation.run)
        threading_wait()
        waiting = Background(exporter.exports.next)
        threading_wait()
        assert waiting.running
        invocation.terminate("enough")
        assert isinstance(running.join().error, TerminatedError)
        assert waiting.value() == 1
        exporter.close()
        again = importer.new_function(1).invocation(())
        running = Background(again.run)
        threading_wait()
        again.terminate("enough")
        assert isinstance(running.join().error, TerminatedError)

    def test_a_host_function_that_the_other_instance_imports(self, bind, make, store):
        host = store.host_function(FunctionType((), (I32,)), lambda: 7)
        middle = make('(module (import "" "h" (func (result i32))))', {"": {"h": host}})
        importer = bind(IMPORTER, "importer")
        importer.resolve_imported_function(0, 0, middle.engine)
        importer.resolve_imported_function(1, 0, middle.engine)
        assert importer.new_function(2)() == 77
        assert importer.new_function(0) is host

    def test_another_type_is_refused(self, bind, make):
        importer = bind(IMPORTER, "importer")
        with pytest.raises(
            LinkError, match=r'"e" "a": wanted function \(\) -> \(i32\), found function \(i64\) -> \(i64\)'
        ):
            importer.resolve_imported_function(0, 2, make(EXPORTER).engine)

    def test_indices_that_do_not_exist(self, bind, make):
        importer, exporter = bind(IMPORTER, "importer"), make(EXPORTER)
        for index, theirs in ((2, 0), (0, 3), (0, -1), (-3, 0)):
            with pytest.raises(IndexError):
                importer.resolve_imported_function(index, theirs, exporter.engine)
        for index in (-1, 5, 10**9):
            with pytest.raises(IndexError, match="has no function"):
                importer.new_function(index)
        with pytest.raises(IndexError):
            importer.resolve_imported_memory(exporter.engine, 0, 1)

    def test_closed_ones(self, bind, make):
        importer, exporter = bind(IMPORTER, "importer"), make(EXPORTER, name="gone")
        exporter.close()
        with pytest.raises(ClosedError, match="'gone'"):
            importer.resolve_imported_function(0, 0, exporter.engine)

    def test_those_of_another_store(self, bind, engine):
        importer = bind(IMPORTER, "importer")
        with Store(engine) as other:
            foreign = other.instantiate(engine.load_module(wasm(EXPORTER)))
            with pytest.raises(LinkError, match="of another store"):
                importer.resolve_imported_function(0, 0, foreign.engine)
            with pytest.raises(LinkError, match="of another store"):
                importer.resolve_imported_memory(foreign.engine)

    def test_what_was_not_wired_traps_and_never_crashes(self, bind):
        """Also an access far from address 0."""
        importer = bind(IMPORTER, "importer")
        with pytest.raises(
            EngineBug, match="imported function 0 of instance 'importer' has not been resolved"
        ):
            importer.new_function(0)
        with pytest.raises(Trap):
            importer.new_function(2)()
        for index in (0, 65536, 2**31 - 1, -1):
            with pytest.raises(Trap):
                importer.new_function(3)(index)

    def test_an_instance_of_another_engine(self, engine, store):
        with Engine() as other:
            module = other.load_module(wasm(EXPORTER))
            with pytest.raises(ValueError, match="another engine"):
                other.new_module_engine(module, Instance(store, "x", module))

    def test_it_is_released_with_its_store(self, engine):
        before = engine.statistics()
        store = Store(engine)
        module = engine.load_module(wasm(EXPORTER))
        made = engine.new_module_engine(module, Instance(store, "x", module))
        made.make_memories_and_tables()
        assert engine.statistics().memories == before.memories + 1
        store.close()
        assert engine.statistics().memories == before.memories
        with pytest.raises(ClosedError):
            made.new_function(0)()


def threading_wait() -> None:
    import time

    time.sleep(0.03)


class TestLookup:
    TEXT = """(module $tables (import "" "h" (func $h (param i64)))
      (type $i (func (param i32) (result i32)))
      (table $small 4 funcref) (table $other 2 funcref)
      (func $f (type $i) (local.get 0)) (func $g (param i64))
      (elem (table $small) (i32.const 0) func $f $g $h)
      (elem (table $other) (i32.const 1) func $f))"""

    @pytest.fixture
    def instance(self, make, store):
        host = store.host_function(FunctionType((I64,), ()), print)
        return make(self.TEXT, {"": {"h": host}})

    def test_what_call_indirect_would_reach(self, instance, engine):
        i, long = (
            engine.types.id_of(type_) for type_ in (FunctionType((I32,), (I32,)), FunctionType((I64,), ()))
        )
        assert instance.engine.lookup_function(0, i, 0) == (instance.engine, 1)
        assert instance.engine.lookup_function(0, long, 1) == (instance.engine, 2)
        assert instance.engine.lookup_function(1, i, 1) == (instance.engine, 1)
        found, index = instance.engine.lookup_function(0, i, 0)
        assert found.new_function(index)(5) == 5
        with pytest.raises(EngineBug, match="host function"):
            instance.engine.lookup_function(0, long, 2)
        assert instance.engine.lookup(0, long, 2).type == FunctionType((I64,), ())

    @pytest.mark.parametrize(
        ("offset", "kind"),
        [
            (4, TrapKind.UNDEFINED_ELEMENT),
            (2**32 - 1, TrapKind.UNDEFINED_ELEMENT),
            (2**70, TrapKind.UNDEFINED_ELEMENT),
            (-1, TrapKind.UNDEFINED_ELEMENT),
            (3, TrapKind.UNINITIALIZED_ELEMENT),
            (1, TrapKind.INDIRECT_CALL_TYPE_MISMATCH),
        ],
    )
    def test_or_the_trap_that_it_would_raise(self, instance, engine, offset, kind):
        with pytest.raises(Trap) as raised:
            instance.engine.lookup_function(0, engine.types.id_of(FunctionType((I32,), (I32,))), offset)
        assert raised.value.kind is kind

    def test_types_that_nobody_has(self, instance, engine):
        unknown = engine.types.id_of(FunctionType((I64,) * 7, ()))
        with pytest.raises(Trap) as raised:
            instance.engine.lookup_function(0, unknown, 0)
        assert raised.value.kind is TrapKind.INDIRECT_CALL_TYPE_MISMATCH

    def test_across_instances(self, make, engine):
        library = make(
            '(module (table (export "t") 2 funcref) (func $pad) (func $f (result i32) (i32.const 4)) (elem'
            " (i32.const 1) $f))"
        )
        user = make(
            '(module (import "l" "t" (table 2 funcref)) (func $g (result i32) (i32.const 5)) (elem'
            " (i32.const 0) $g))",
            {"l": library},
        )
        result = engine.types.id_of(FunctionType((), (I32,)))
        for looking in (library, user):
            assert looking.engine.lookup_function(0, result, 0) == (user.engine, 0)
            assert looking.engine.lookup_function(0, result, 1) == (library.engine, 1)

    def test_a_closed_instance(self, instance, engine):
        instance.close()
        with pytest.raises(ClosedError):
            instance.engine.lookup_function(0, 0, 0)


class TestReferences:
    def test_are_what_tables_hold(self, make, engine):
        instance = make(
            """(module (table (export "t") 2 funcref) (func $f (export "f")) (func $g) (elem (i32.const 0) $g $f))"""
        )
        reference = instance.engine.function_instance_reference
        assert instance.table("t").element(0) == reference(1)
        assert instance.table("t").element(1) == reference(0) == instance.exports.f.reference
        assert reference(0) != reference(1)

    def test_type_ids_are_the_same_in_all_modules_of_an_engine(self, make, engine):
        one = make(
            '(module (type (func (param i64))) (type $t (func (result i32))) (table (export "t") 1 funcref)'
            " (func $f (type $t) (i32.const 1)) (elem (i32.const 0) $f))"
        )
        two = make(
            '(module (type $t (func (result i32))) (import "o" "t" (table 1 funcref)) (func (export "go")'
            " (result i32) (call_indirect (type $t) (i32.const 0))))",
            {"o": one},
        )
        assert two.exports.go() == 1

    def test_a_type_that_nobody_has_any_more_leaves_no_id_for_another(self, engine):
        """Ids are not used again: a stale one must not match a new type."""
        import gc

        first = engine.types.id_of(FunctionType((I64,) * 3, ()))
        gc.collect()
        kept = engine.types.keep(FunctionType((I64,) * 4, ()))
        assert kept.number != first
        assert engine.types.id_of(FunctionType((I64,) * 4, ())) == kept.number
