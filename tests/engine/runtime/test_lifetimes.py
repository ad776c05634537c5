"""What lives as long as somebody can reach it, and not longer: whichever way a guest comes to a closed instance.

Each test closes what others still use, makes other instances that would take the place of what was given back too
soon, and then uses it.
"""

from __future__ import annotations

import gc
import weakref

import pytest

from farcall.engine import (
    FUNCREF,
    I32,
    ClosedError,
    FunctionType,
    GlobalType,
    Limits,
    TableType,
    Trap,
)
from tests.engine.guests import wasm

CONSTANT = """(module $constant (memory (export "m") 1) (data (i32.const 0) "\\2a") (type $t (func (result i32)))
  (func $f (export "f") (type $t) (i32.load8_u (i32.const 0))) (elem declare func $f)
  (func (export "ref") (result funcref) (ref.func $f)))"""
"""`f` answers 42, from its own memory."""

CALLER = """(module $caller (table (export "t") 4 funcref) (type $t (func (result i32)))
  (func (export "call") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
  (func (export "put") (param i32 funcref) (table.set 0 (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result funcref) (table.get 0 (local.get 0))))"""


@pytest.fixture
def disturb(make):
    """Fills the places that were given back with something else."""

    def disturb() -> None:
        gc.collect()
        others = [
            make(
                '(module (memory 1) (table 4 funcref) (data (i32.const 0) "\\07") (func (export "f")'
                " (result i32) (i32.const 13)))"
            )
            for _ in range(20)
        ]
        for other in others:
            other.close()
        gc.collect()

    return disturb


class TestImports:
    def test_of_functions_memories_tables_and_globals(self, make, disturb, counts):
        library = make(
            """(module (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g")
                (mut i32) (i32.const 7))
            (func $f (export "f") (result i32) (global.get 0)) (elem (i32.const 0) $f))"""
        )
        user = make(
            """(module (import "l" "m" (memory 1)) (import "l" "t" (table 1 funcref)) (import "l" "g"
                (global (mut i32)))
            (import "l" "f" (func $f (result i32)))
            (func (export "all") (result i32) (i32.store (i32.const 0) (call $f))
              (i32.add (i32.load (i32.const 0)) (i32.add (global.get 0) (call_indirect (result i32)
              (i32.const 0))))))""",
            {"l": library},
        )
        library.close()
        disturb()
        assert user.exports.all() == 21
        user.close()
        assert counts() == (0, 0, 0)

    def test_what_an_importer_exports_again_stays_usable(self, make, disturb):
        """The importer is open; that the exporter is not is no concern of who uses the importer."""
        library = make(
            """(module (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g")
                (mut i32) (i32.const 7))
            (func $f (export "f") (result i32) (i32.const 5)) (elem (i32.const 0) $f))"""
        )
        user = make(
            """(module (import "l" "m" (memory 1)) (import "l" "t" (table 1 funcref)) (import "l" "g"
                (global (mut i32)))
            (import "l" "f" (func (result i32))) (export "m" (memory 0)) (export "t" (table 0)) (export "g"
            (global 0))
            (export "f" (func 0)))""",
            {"l": library},
        )
        library.close()
        disturb()
        user.memory("m").write(0, b"abc")
        assert user.memory("m").read(0, 3) == b"abc"
        user.global_("g").value = 8
        assert user.global_("g").value == 8
        assert user.table("t").size == 1
        assert user.exports.f() == 5
        third = make(
            '(module (import "u" "f" (func (result i32))) (import "u" "m" (memory 1)) (export "f" (func 0)))',
            {"u": user},
        )
        user.close()
        disturb()
        assert third.exports.f() == 5

    def test_a_long_chain(self, make, disturb, counts):
        chain = [make('(module (func (export "f") (result i32) (i32.const 0)))')]
        for _ in range(50):
            chain.append(
                make(
                    """(module (memory 1) (import "p" "f" (func $f (result i32)))
                    (func (export "f") (result i32) (i32.add (call $f) (i32.const 1))))""".replace(
                        "(memory 1) ", ""
                    ),
                    {"p": chain[-1]},
                )
            )
        for instance in chain[:-1]:
            instance.close()
        disturb()
        assert chain[-1].exports.f() == 50
        assert counts()[0] == 1
        chain[-1].close()
        assert counts() == (0, 0, 0)

    def test_released_at_once_where_nobody_needs_it(self, make, counts):
        library = make('(module (memory (export "m") 1))')
        users = [
            make('(module (import "l" "m" (memory 1)) (table 1 funcref))', {"l": library}) for _ in range(5)
        ]
        for user in users:
            user.close()
        assert counts() == (1, 1, 1)
        library.close()
        assert counts() == (0, 0, 0)


class TestReferencesInTables:
    def test_put_there_by_an_element_segment(self, make, disturb, counts):
        caller = make(CALLER)
        user = make(
            """(module (import "c" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "\\2a")
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem (i32.const 1) $f))""",
            {"c": caller},
        )
        user.close()
        disturb()
        assert caller.exports.call(1) == 42
        assert caller.table("t")[1].name == "f"
        assert counts()[1] == 1

    def test_is_released_once_overwritten(self, make, disturb, counts):
        caller = make(CALLER)
        user = make(
            '(module (import "c" "t" (table 4 funcref)) (memory 1) (func $f (result i32) (i32.const 3))'
            " (elem (i32.const 1) $f))",
            {"c": caller},
        )
        user.close()
        assert counts() == (1, 1, 1)
        caller.table("t")[1] = None
        make('(module (import "c" "t" (table 4 funcref)))', {"c": caller}).close()
        assert counts() == (1, 0, 1)

    def test_instances_that_shared_a_table_but_left_nothing_in_it_are_released(self, make, counts):
        caller = make(CALLER)
        for _ in range(200):
            make('(module (import "c" "t" (table 4 funcref)) (memory 1))', {"c": caller}).close()
        assert counts() == (1, 0, 1)

    def test_put_there_by_the_embedder(self, make, disturb):
        caller, constant = make(CALLER), make(CONSTANT)
        caller.table("t")[0] = constant.exports.f
        constant.close()
        disturb()
        assert caller.exports.call(0) == 42

    def test_grown_with(self, make, disturb):
        caller, constant = make(CALLER), make(CONSTANT)
        caller.table("t").grow(3, constant.exports.f)
        constant.close()
        disturb()
        assert [caller.exports.call(index) for index in (4, 5, 6)] == [42] * 3

    def test_given_as_an_argument_and_stored_by_the_callee(self, make, disturb):
        caller, constant = make(CALLER), make(CONSTANT)
        caller.exports.put(2, constant.exports.f)
        constant.close()
        disturb()
        assert caller.exports.call(2) == 42
        caller.function("put").call_many([(3, caller.exports["get"](2))])

    def test_given_in_a_batch(self, make, disturb):
        caller = make(CALLER)
        constants = [make(CONSTANT) for _ in range(3)]
        caller.function("put").call_many([(n, constant.exports.f) for n, constant in enumerate(constants)])
        for constant in constants:
            constant.close()
        disturb()
        assert [caller.exports.call(n) for n in range(3)] == [42] * 3

    def test_given_from_guest_to_guest(self, make, disturb, counts):
        """The receiver keeps the giver's function; the giver imports the receiver, not the other way round."""
        caller = make(CALLER)
        giver = make(
            """(module (import "c" "put" (func $put (param i32 funcref))) (memory 1) (data (i32.const 0) "\\2a")
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem declare func $f)
            (func (export "go") (call $put (i32.const 0) (ref.func $f))))""",
            {"c": caller},
        )
        giver.exports.go()
        giver.close()
        disturb()
        assert caller.exports.call(0) == 42

    def test_given_through_an_indirect_call_to_a_function_that_the_embedder_put_there(self, make, disturb):
        """The receiver shares nothing with the giver but that its function is in a table that the giver has."""
        keeper = make(CALLER)
        middle = make('(module (table (export "t") 1 funcref))')
        middle.table("t")[0] = keeper.exports.put
        giver = make(
            """(module (import "m" "t" (table 1 funcref)) (memory 1) (data (i32.const 0) "\\2a")
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem declare func $f)
            (func (export "go") (call_indirect (param i32 funcref) (i32.const 0) (ref.func $f) (i32.const 0))))""",
            {"m": middle},
        )
        giver.exports.go()
        giver.close()
        middle.close()
        disturb()
        assert keeper.exports.call(0) == 42

    def test_given_back_by_who_was_given_a_function(self, make, disturb):
        """A is given a function of B and calls it with one of its own: B keeps it, though nobody linked B to A."""
        keeper = make(CALLER)
        giver = make(
            """(module (memory 1) (data (i32.const 0) "\\2a") (table 1 funcref) (type $put (func (param i32 funcref)))
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem declare func $f)
            (func (export "go") (param funcref) (table.set (i32.const 0) (local.get 0))
              (call_indirect (type $put) (i32.const 1) (ref.func $f) (i32.const 0))))"""
        )
        giver.exports.go(keeper.exports.put)
        giver.close()
        disturb()
        assert keeper.exports.call(1) == 42

    def test_copied_from_table_to_table(self, make, disturb):
        constant = make(CONSTANT)
        first = make('(module (table (export "t") 1 funcref))')
        first.table("t")[0] = constant.exports.f
        second = make(
            """(module (import "f" "t" (table $from 1 funcref)) (table $own 1 funcref)
            (func (export "copy") (table.copy $own $from (i32.const 0) (i32.const 0) (i32.const 1)))
            (func (export "call") (result i32) (call_indirect $own (result i32) (i32.const 0))))""",
            {"f": first},
        )
        second.exports.copy()
        first.table("t")[0] = None
        constant.close()
        first.close()
        disturb()
        assert second.exports.call() == 42

    def test_of_an_import_of_the_closed_instance(self, make, disturb):
        """`ref.func` of an import: the record is the importer's, the code the exporter's."""
        caller, constant = make(CALLER), make(CONSTANT)
        middle = make(
            """(module (import "c" "t" (table 4 funcref)) (import "k" "f" (func $f (result i32))) (elem
                (i32.const 0) $f))""",
            {"c": caller, "k": constant},
        )
        middle.close()
        constant.close()
        disturb()
        assert caller.exports.call(0) == 42
        assert caller.table("t")[0] == constant.engine.new_function(0)

    def test_of_a_host_function_whose_importer_is_closed(self, make, store, disturb):
        caller = make(CALLER)
        host = store.host_function(FunctionType((), (I32,)), lambda: 42)
        middle = make(
            '(module (import "c" "t" (table 4 funcref)) (import "h" "f" (func $f (result i32))) (elem'
            " (i32.const 0) $f))",
            {"c": caller, "h": {"f": host}},
        )
        caller.table("t")[1] = store.host_function(FunctionType((), (I32,)), lambda: 43)
        del host
        middle.close()
        del middle
        disturb()
        assert caller.exports.call(0) == 42
        assert caller.exports.call(1) == 43

    def test_in_a_passive_segment(self, make, disturb):
        caller, constant = make(CALLER), make(CONSTANT)
        holder = make(
            """(module (import "c" "t" (table 4 funcref)) (import "k" "f" (func $f (result i32))) (elem $e func $f)
            (func (export "init") (table.init $e (i32.const 2) (i32.const 0) (i32.const 1))))""",
            {"c": caller, "k": constant},
        )
        constant.close()
        disturb()
        holder.exports.init()
        holder.close()
        disturb()
        assert caller.exports.call(2) == 42

    def test_of_a_failed_instantiation(self, make, disturb, counts):
        caller = make(CALLER)
        with pytest.raises(Trap):
            make(
                """(module (import "c" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "\\2a") (data
                    (i32.const 65536) "x")
                (func $f (result i32) (i32.load8_u (i32.const 0))) (elem (i32.const 0) $f))""",
                {"c": caller},
            )
        disturb()
        assert caller.exports.call(0) == 42
        caller.close()
        assert counts() == (0, 0, 0)

    def test_of_an_instantiation_that_failed_inside_a_host_function(self, make, store, disturb, counts):
        text = """(module (import "c" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "\\2a") (data
            (i32.const 65536) "x")
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem (i32.const 0) $f))"""

        def fail() -> None:
            with pytest.raises(Trap):
                make(text, {"c": caller})

        host = store.host_function(FunctionType((), ()), fail)
        caller = make(
            """(module (import "" "h" (func $h)) (table (export "t") 4 funcref)
            (func (export "go") (result i32) (call $h) (call_indirect (result i32) (i32.const 0))))""",
            {"": {"h": host}},
        )
        assert caller.exports.go() == 42
        assert caller.exports.go() == 42
        disturb()
        caller.close()
        assert counts() == (0, 0, 0)

    def test_failed_instantiations_inside_a_host_function_leave_nothing_where_no_references_are(
        self, make, store, counts
    ):
        def fail() -> None:
            with pytest.raises(Trap):
                make(
                    '(module (import "o" "m" (memory 1)) (memory 1) (start 0) (func unreachable))'.replace(
                        "(memory 1) (start", "(start"
                    ),
                    {"o": outer},
                )

        host = store.host_function(FunctionType((), ()), fail)
        outer = make(
            '(module (import "" "h" (func $h)) (memory (export "m") 1) (func (export "go") (call $h)))',
            {"": {"h": host}},
        )
        before = counts()
        for _ in range(20):
            outer.exports.go()
        assert counts() == before

    def test_circles(self, make, disturb, counts):
        """Two instances hold each other's functions: both stay as long as one is open, and then neither."""
        one, two = make(CALLER), make(CALLER)
        constant = make(CONSTANT)
        one.table("t")[0] = two.exports.call
        two.table("t")[0] = one.exports.call
        two.table("t")[1] = constant.exports.f
        two.close()
        constant.close()
        disturb()
        one.table("t")[2] = make('(module (func (export "f") (result i32) (i32.const 1)))').exports.f
        assert one.exports.call(2) == 1
        one.close()
        assert counts() == (1, 0, 1)


class TestReferencesElsewhere:
    def test_in_a_mutable_global_of_another_instance(self, make, disturb, counts):
        holder = make(
            """(module (global $g (export "g") (mut funcref) (ref.null func)) (table 1 funcref)
            (func (export "call") (result i32) (table.set (i32.const 0) (global.get $g)) (call_indirect
            (result i32) (i32.const 0))))"""
        )
        writer = make(
            """(module (import "h" "g" (global $g (mut funcref))) (memory 1) (data (i32.const 0) "\\2a")
            (func $f (result i32) (i32.load8_u (i32.const 0))) (elem declare func $f)
            (func (export "write") (global.set $g (ref.func $f))))""",
            {"h": holder},
        )
        writer.exports.write()
        writer.close()
        disturb()
        assert holder.exports.call() == 42
        holder.close()
        assert counts() == (0, 0, 0)

    def test_in_a_constant_global_initialized_from_an_import(self, make, disturb):
        constant = make(CONSTANT)
        first = make(
            '(module (import "k" "f" (func $f (result i32))) (global (export "g") funcref (ref.func $f)))',
            {"k": constant},
        )
        second = make(
            """(module (import "o" "g" (global $g funcref)) (global $copy funcref (global.get $g)) (table 2 funcref)
            (elem (i32.const 1) funcref (global.get $g))
            (func (export "call") (result i32) (table.set (i32.const 0) (global.get $copy))
              (i32.add (call_indirect (result i32) (i32.const 0)) (call_indirect (result i32) (i32.const 1)))))""",
            {"o": first},
        )
        constant.close()
        first.close()
        disturb()
        assert second.exports.call() == 84

    def test_in_globals_and_tables_of_the_embedder(self, make, store, disturb):
        constant = make(CONSTANT)
        table = store.table(TableType(FUNCREF, Limits(1)))
        variable = store.global_(GlobalType(FUNCREF, True), constant.exports.f)
        table[0] = constant.exports.f
        constant.close()
        disturb()
        caller = make(
            """(module (import "" "t" (table $t 1 funcref)) (import "" "g" (global $g (mut funcref)))
                (table $own 1 funcref)
            (func (export "call") (result i32) (table.set $own (i32.const 0) (global.get $g))
              (i32.add (call_indirect $own (result i32) (i32.const 0)) (call_indirect $t (result i32)
              (i32.const 0)))))""",
            {"": {"t": table, "g": variable}},
        )
        assert caller.exports.call() == 84

    def test_returned_to_python_and_given_to_another(self, make, disturb):
        caller, constant = make(CALLER), make(CONSTANT)
        reference = constant.exports.ref()
        assert reference == constant.exports.f
        assert reference() == 42
        caller.exports.put(0, reference)
        constant.close()
        disturb()
        assert caller.exports.call(0) == 42
        with pytest.raises(ClosedError):
            reference()
        with pytest.raises(ClosedError):
            caller.exports.put(1, reference)
        with pytest.raises(ClosedError):
            caller.table("t")[1] = reference
        with pytest.raises(Trap):
            caller.exports.call(1)

    def test_returned_by_a_host_function(self, make, store, disturb):
        """Also by one that the guest reaches through a table, and so does not import."""
        constant = make(CONSTANT)
        host = store.host_function(FunctionType((), (FUNCREF,)), lambda: constant.exports.f)
        for text, imports in (
            ('(import "" "h" (func $h (result funcref)))', {"": {"h": host}}),
            (
                '(table $t (export "t") 1 funcref) (func $h (result funcref) (call_indirect $t'
                " (result funcref) (i32.const 0)))",
                {},
            ),
        ):
            caller = make(
                f"""(module {text} (table $own 1 funcref)
                (func (export "fetch") (table.set $own (i32.const 0) (call $h)))
                (func (export "call") (result i32) (call_indirect $own (result i32) (i32.const 0))))""",
                imports,
            )
            if not imports:
                caller.table("t")[0] = host
            constant = make(CONSTANT)
            caller.exports.fetch()
            constant.close()
            disturb()
            assert caller.exports.call() == 42

    def test_handed_to_a_host_function_and_kept_by_python(self, make, store, disturb):
        kept = []
        host = store.host_function(FunctionType((FUNCREF,), ()), kept.append)
        giver = make(
            """(module (import "" "h" (func $h (param funcref))) (func $f (result i32) (i32.const 42))
                (elem declare func $f)
            (func (export "go") (call $h (ref.func $f))))""",
            {"": {"h": host}},
        )
        giver.exports.go()
        assert kept[0]() == 42
        giver.close()
        disturb()
        with pytest.raises(ClosedError):
            kept[0]()


class TestHostFunctions:
    def test_are_gone_when_nobody_has_them(self, make, store):
        host = store.host_function(FunctionType((), (I32,)), lambda: 1)
        watch = weakref.ref(host)
        instance = make(
            '(module (import "" "h" (func (result i32))) (export "h" (func 0)))', {"": {"h": host}}
        )
        del host
        gc.collect()
        assert instance.exports.h() == 1
        assert instance.exports.h is watch()
        instance.close()
        del instance
        gc.collect()
        assert watch() is None

    def test_that_are_references_stay(self, make, store):
        caller = make(CALLER)
        caller.exports.put(0, store.host_function(FunctionType((), (I32,)), lambda: 42))
        gc.collect()
        assert caller.exports.call(0) == 42
        assert caller.exports["get"](0)() == 42


class TestWithoutTheCollectorOfGarbage:
    """It comes by when it likes, and until then the optimiser would go on with code that nobody can call."""

    @pytest.fixture(autouse=True)
    def no_collector(self):
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    def test_a_deleted_module_goes_with_its_last_instance(self, engine, store):
        module = engine.load_module(
            wasm("""(module (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g")
                (mut i32) (i32.const 7)) (type $point (struct (field i32)))
              (global (ref $point) (struct.new $point (i32.const 3)))
              (func (export "f") (result i32) (i32.load (i32.const 0))))""")
        )
        instance = store.instantiate(module)
        assert instance.exports.f() == 0
        kept = [instance.exports[name] for name in instance.exports]
        watched = [weakref.ref(module), weakref.ref(engine.compiled(module).code)]
        engine.delete_compiled_module(module)
        instance.close()
        del module, kept, instance
        assert [watch() for watch in watched] == [None, None]

    def test_code_goes_where_somebody_keeps_the_closed_instance(self, engine, store):
        module = engine.load_module(wasm('(module (memory (export "m") 1) (func (export "f")))'))
        instance, other = store.instantiate(module), store.instantiate(module)
        kept = instance.exports.f, instance.exports.m
        watch = weakref.ref(engine.compiled(module).code)
        engine.delete_compiled_module(module)
        instance.close()
        other.exports.f()
        other.close()
        assert watch() is None
        with pytest.raises(ClosedError, match="closed"):
            kept[0]()
        with pytest.raises(ClosedError, match="closed"):
            kept[1].read(0, 1)
        with pytest.raises(ClosedError, match="closed"):
            _ = instance.exports.f
        assert list(instance.exports) == ["m", "f"]
