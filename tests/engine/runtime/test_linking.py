"""Imports: what is shared and what is copied, whose turn it is, and every way in which linking is refused."""

from __future__ import annotations

import time

import pytest

from farcall.engine import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    ArgumentError,
    ClosedError,
    ExhaustionError,
    FunctionType,
    GlobalType,
    Limits,
    LinkError,
    MemoryType,
    NameTakenError,
    ReentrancyError,
    Store,
    StoreLimits,
    TableType,
    Trap,
    TrapKind,
)
from tests.engine.guests import Background, wait_until, wasm

LIBRARY = """(module $library
  (memory (export "memory") 1 4) (table (export "table") 2 8 funcref)
  (global (export "counter") (mut i32) (i32.const 5)) (global (export "limit") i32 (i32.const 100))
  (func (export "bump") (result i32)
    (global.set 0 (i32.add (global.get 0) (i32.const 1))) (global.get 0))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "table size") (result i32) (table.size 0))
  (func (export "table grow") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0))))"""

USER = """(module $user
  (import "l" "memory" (memory 1)) (import "l" "table" (table 2 funcref))
  (import "l" "counter" (global $counter (mut i32))) (import "l" "limit" (global $limit i32))
  (import "l" "bump" (func $bump (result i32)))
  (export "memory" (memory 0)) (export "table" (table 0)) (export "counter" (global $counter))
  (export "limit" (global $limit)) (export "bump" (func $bump))
  (func (export "set") (param i32) (global.set $counter (local.get 0)))
  (func (export "bump twice") (result i32) (drop (call $bump)) (call $bump))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table grow") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0)))
  (func (export "total") (result i32) (i32.add (global.get $limit) (global.get $counter))))"""


@pytest.fixture
def linked(make):
    library = make(LIBRARY, name="library")
    return library, make(USER, {"l": library}, name="user")


class TestSharing:
    def test_functions_work_on_their_own_instance(self, linked):
        library, user = linked
        assert user.exports["bump twice"]() == 7
        assert library.exports.bump() == 8
        assert user.exports.bump() == 9

    def test_mutable_globals_are_shared_and_constants_have_the_value(self, linked):
        library, user = linked
        user.exports.set(41)
        assert library.exports.bump() == 42
        assert user.exports.total() == 142
        library.global_("counter").value = 1
        assert user.global_("counter").value == 1
        assert user.exports.total() == 101

    def test_memory_is_shared_and_growth_is_seen_by_both(self, linked):
        library, user = linked
        user.exports.store(8, 77)
        assert library.exports.load(8) == 77
        assert user.exports.grow(1) == 1
        assert library.exports.size() == 2
        user.exports.store(2 * 65536 - 4, 5)
        assert library.exports.load(2 * 65536 - 4) == 5
        assert library.exports.grow(1) == 2
        assert user.memory("memory").pages == 3
        assert library.memory("memory").grow(1) == 3
        user.exports.store(4 * 65536 - 4, 6)
        assert user.memory("memory")[4 * 65536 - 4] == 6
        assert user.exports.grow(1) == -1
        with pytest.raises(Trap):
            user.exports.store(4 * 65536 - 3, 6)

    def test_tables_are_shared_and_growth_is_seen_by_both(self, linked):
        library, user = linked
        assert user.exports["table grow"](2) == 2
        assert library.exports["table size"]() == 4
        assert library.table("table").grow(1, library.exports.bump) == 4
        assert user.table("table").size == 5
        assert user.table("table")[4] == library.exports.bump
        assert user.table("table") == library.table("table")

    def test_what_is_exported_again_is_the_same_thing(self, linked):
        library, user = linked
        assert user.exports.bump == library.exports.bump
        assert hash(user.exports.bump) == hash(library.exports.bump)
        for name in ("memory", "table", "counter"):
            assert user.exports[name] == library.exports[name]
            assert hash(user.exports[name]) == hash(library.exports[name])
        assert user.exports.memory != make_other(user)

    def test_calls_of_linked_instances_take_turns_and_others_do_not(self, make):
        spin = '(func (export "go") (loop (br 0)))'
        library = make(f'(module (memory (export "m") 1) (func (export "f")) {spin})')
        user = make(f'(module (import "l" "m" (memory 1)) (func (export "f")) {spin})', {"l": library})
        stranger = make('(module (func (export "f")))')
        invocation = library.function("go").invocation(())
        running = Background(invocation.run)
        wait_until(lambda: bool(library.engine.group.targets))
        waiting = Background(user.exports.f)
        try:
            assert Background(stranger.exports.f).value() is None
            assert waiting.running
        finally:
            invocation.terminate("done")
        running.join()
        assert waiting.value() is None

    def test_constants_do_not_link(self, make, engine):
        library = make('(module (global (export "g") i32 (i32.const 1)) (func (export "go") (loop (br 0))))')
        invocation = library.function("go").invocation(())
        running = Background(invocation.run)
        time.sleep(0.05)
        try:
            user = Background(
                lambda: make(
                    '(module (import "l" "g" (global i32)) (func (export "f") (result i32) (global.get 0)))',
                    {"l": library},
                )
            ).value()
            assert user.exports.f() == 1
        finally:
            invocation.terminate("done")
            running.join()
        library.close()
        assert user.exports.f() == 1

    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            (I32, "i32", -7),
            (I64, "i64", -(2**63)),
            (F32, "f32", 0.5),
            (F64, "f64", -1e300),
            (EXTERNREF, "externref", "a string"),
        ],
    )
    def test_globals_of_the_embedder(self, make, store, kind, text, value):
        constant = store.global_(GlobalType(kind, False), value)
        variable = store.global_(GlobalType(kind, True), value)
        instance = make(
            f"""(module (import "" "c" (global $c {text})) (import "" "v" (global $v (mut {text})))
            (func (export "c") (result {text}) (global.get $c)) (func (export "v") (result {text}) (global.get $v))
            (func (export "set") (global.set $v (global.get $c))))""",
            {"": {"c": constant, "v": variable}},
        )
        assert instance.exports.c() == instance.exports.v() == value
        zero = None if kind is EXTERNREF else 0
        variable.value = zero
        assert instance.exports.v() == zero
        instance.exports.set()
        assert variable.value == value
        with pytest.raises(ArgumentError, match="immutable"):
            constant.value = zero

    def test_memories_tables_and_functions_of_the_embedder(self, make, store):
        memory = store.memory(MemoryType(Limits(1, 3)))
        table = store.table(TableType(FUNCREF, Limits(2, 4)))
        seen = []
        function = store.host_function(
            FunctionType((I32, F64), (I64,)), lambda a, b: seen.append((a, b)) or 2**40
        )
        instance = make(
            """(module (import "" "m" (memory 1 3)) (import "" "t" (table 2 4 funcref))
            (import "" "f" (func $f (param i32 f64) (result i64))) (elem (i32.const 0) $f $own) (data
            (i32.const 3) "hello")
            (func $own (param i32 f64) (result i64) (i64.const 9))
            (type $t (func (param i32 f64) (result i64)))
            (func (export "go") (param i32) (result i64)
              (call_indirect (type $t) (i32.const -1) (f64.const 2.5) (local.get 0))))""",
            {"": {"m": memory, "t": table, "f": function}},
        )
        assert memory.read(3, 5) == b"hello"
        assert instance.exports.go(0) == 2**40
        assert instance.exports.go(1) == 9
        assert seen == [(-1, 2.5)]
        assert table[0] is function
        assert table[1](0, 0.0) == 9
        table[0], table[1] = table[1], table[0]
        assert instance.exports.go(0) == 9


def make_other(instance):
    return instance.store.memory(MemoryType(Limits(1)))


class TestPrecedence:
    TEXT = '(module (import "m" "f" (func (result i32))) (export "f" (func 0)))'

    def function(self, store, value):
        return store.host_function(FunctionType((), (I32,)), lambda: value)

    def test_a_single_import_goes_before_its_modules(self, make, store):
        one, two = self.function(store, 1), self.function(store, 2)
        for imports in ({("m", "f"): one, "m": {"f": two}}, {"m": {"f": two}, ("m", "f"): one}):
            assert make(self.TEXT, imports).exports.f() == 1
        instance = make('(module (func (export "f") (result i32) (i32.const 3)))')
        assert make(self.TEXT, {"m": instance}).exports.f() == 3
        assert make(self.TEXT, {"m": instance, ("m", "f"): one}).exports.f() == 1
        assert make(self.TEXT, {"m": {}, ("m", "f"): one, ("x", "y"): "unused", "z": None}).exports.f() == 1

    def test_any_mapping_will_do(self, make, store):
        from types import MappingProxyType

        assert make(self.TEXT, {"m": MappingProxyType({"f": self.function(store, 4)})}).exports.f() == 4
        exports = make('(module (func (export "f") (result i32) (i32.const 5)))').exports
        assert make(self.TEXT, {"m": exports}).exports.f() == 5


EXPORTER = """(module (func (export "f") (param i32) (result i64) (i64.const 0)) (memory (export "m") 1 2)
  (table (export "t") 1 2 funcref) (global (export "g") i32 (i32.const 0)) (global (export "v") (mut f32)
  (f32.const 0)))"""


class TestRefusals:
    @pytest.mark.parametrize(
        ("wanted", "says", "found"),
        [
            ('"f" (func)', "function () -> ()", "function (i32) -> (i64)"),
            ('"f" (func (param i32) (result i32))', "function (i32) -> (i32)", "function (i32) -> (i64)"),
            ('"f" (memory 1)', "memory i32 1 pages", "function (i32) -> (i64)"),
            ('"m" (func)', "function () -> ()", "memory i32 1..2 pages"),
            ('"m" (memory 2)', "memory i32 2 pages", "memory i32 1..2 pages"),
            ('"m" (memory 1 1)', "memory i32 1..1 pages", "memory i32 1..2 pages"),
            ('"t" (table 2 funcref)', "table 2 funcref", "table 1..2 funcref"),
            ('"t" (table 1 1 funcref)', "table 1..1 funcref", "table 1..2 funcref"),
            ('"t" (table 1 externref)', "table 1 externref", "table 1..2 funcref"),
            ('"t" (global i32)', "global i32", "table 1..2 funcref"),
            ('"g" (global i64)', "global i64", "global i32"),
            ('"g" (global (mut i32))', "global mut i32", "global i32"),
            ('"v" (global f32)', "global f32", "global mut f32"),
            ('"none" (func)', "function () -> ()", None),
            ('"none" (global i32)', "global i32", None),
        ],
    )
    def test_the_error_says_what_was_wanted_and_found(self, make, engine, wanted, says, found):
        exporter = make(EXPORTER)
        before = engine.statistics()
        with pytest.raises(LinkError) as raised:
            make(f'(module (import "env" {wanted}) (global i32 (i32.const 0)))', {"env": exporter})
        error = raised.value
        assert (error.module, error.name) == ("env", wanted.split('"')[1])
        assert (error.wanted, error.found) == (says, found)
        assert error.reason == ("unknown import" if found is None else "incompatible import type")
        assert says in str(error)
        after = engine.statistics()
        assert (after.instances, after.memories, after.linked_groups) == (
            before.instances,
            before.memories,
            before.linked_groups,
        )

    @pytest.mark.parametrize(
        "offered", [{}, {"env": {}}, {"env": None}, {"env": 5}, {("env", "g"): None}, {"other": {}}]
    )
    def test_nothing_was_offered(self, make, offered):
        with pytest.raises(LinkError, match='unknown import: "env" "f"'):
            make('(module (import "env" "f" (func)))', offered)

    @pytest.mark.parametrize("offered", [5, "text", print, object()])
    def test_something_that_is_nothing(self, make, offered):
        with pytest.raises(LinkError, match=f"found a Python {type(offered).__name__}"):
            make('(module (import "env" "f" (func)))', {"env": {"f": offered}})

    def test_growth_counts(self, make):
        exporter = make(EXPORTER)
        exporter.memory("m").grow(1)
        exporter.table("t").grow(1)
        make('(module (import "e" "m" (memory 2)) (import "e" "t" (table 2 2 funcref)))', {"e": exporter})

    def test_closed_exporters(self, make):
        exporter = make(EXPORTER, name="gone")
        imports = {"e": dict(exporter.exports)}
        exporter.close()
        for name, kind in (
            ("f", "(func (param i32) (result i64))"),
            ("m", "(memory 1)"),
            ("t", "(table 1 funcref)"),
            ("g", "(global i32)"),
        ):
            with pytest.raises(ClosedError, match="instance 'gone' is closed"):
                make(f'(module (import "e" "{name}" {kind}))', imports)
            with pytest.raises(ClosedError, match="instance 'gone' is closed"):
                make(f'(module (import "e" "{name}" {kind}))', {"e": exporter})

    def test_what_belongs_to_another_store(self, engine, make, store):
        with Store(engine) as other:
            module = engine.load_module(wasm(EXPORTER))
            foreign = other.instantiate(module)
            externs = {
                "f": (foreign.exports.f, "(func (param i32) (result i64))"),
                "m": (foreign.exports.m, "(memory 1)"),
                "t": (foreign.exports.t, "(table 1 funcref)"),
                "g": (foreign.exports.g, "(global i32)"),
                "v": (foreign.exports.v, "(global (mut f32))"),
                "h": (other.host_function(FunctionType((), ()), print), "(func)"),
                "hm": (other.memory(MemoryType(Limits(1))), "(memory 1)"),
            }
            for name, (extern, kind) in externs.items():
                with pytest.raises(LinkError, match="of another store"):
                    make(f'(module (import "e" "{name}" {kind}))', {"e": {name: extern}})

    def test_names(self, make, store):
        instance = make("(module)", name="a")
        with pytest.raises(NameTakenError, match="'a'"):
            make("(module)", name="a")
        instance.close()
        assert make("(module)", name="a").name == "a"
        made_up = [make("(module)").name for _ in range(3)]
        assert len({*made_up, "a"}) == 4
        assert list(store.instances) == ["a", *made_up]
        assert store.instance("a").name == "a"
        with pytest.raises(KeyError):
            store.instance("b")

    def test_a_name_is_free_again_after_a_failure(self, make):
        with pytest.raises(Trap):
            make("(module (start 0) (func unreachable))", name="a")
        with pytest.raises(LinkError):
            make('(module (import "" "" (func)))', name="a")
        make("(module)", name="a")

    def test_the_limit_of_instances(self, engine):
        with Store(engine, limits=StoreLimits(instances=2)) as store:
            module = engine.load_module(wasm("(module)"))
            first, _second = store.instantiate(module), store.instantiate(module)
            with pytest.raises(ExhaustionError, match="limit of 2 instances"):
                store.instantiate(module)
            first.close()
            store.instantiate(module)

    def test_limits_of_memories_and_tables(self, engine):
        with Store(engine, limits=StoreLimits(memory_bytes=2 * 65536, table_elements=10)) as store:

            def make(text):
                return store.instantiate(engine.load_module(wasm(text)))

            with pytest.raises(ExhaustionError, match="131072"):
                make("(module (memory 3))")
            with pytest.raises(ExhaustionError, match="10"):
                make("(module (table 11 funcref))")
            instance = make(
                """(module (memory (export "m") 1) (table (export "t") 1 funcref)
                (func (export "mg") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "tg") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0))))"""
            )
            assert instance.exports.mg(2) == -1
            assert instance.exports.mg(1) == 1
            assert instance.exports.tg(10) == -1
            assert instance.exports.tg(9) == 1
            with pytest.raises(ExhaustionError):
                instance.memory("m").grow(1)
            with pytest.raises(ExhaustionError):
                instance.table("t").grow(1)
            assert engine.statistics().memories == 1


class TestSegments:
    def test_those_before_a_failing_one_stay(self, make, store):
        """Specification, section 4.5.4: instantiation is no transaction."""
        memory = store.memory(MemoryType(Limits(1)))
        table = store.table(TableType(FUNCREF, Limits(2)))
        with pytest.raises(Trap) as raised:
            make(
                """(module (import "" "m" (memory 1)) (import "" "t" (table 2 funcref)) (func $f
                    (result i32) (i32.const 3))
                (elem (i32.const 0) $f) (data (i32.const 0) "kept") (data (i32.const 65535) "ab"))""",
                {"": {"m": memory, "t": table}},
            )
        assert raised.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
        assert memory.read(0, 4) == b"kept"
        assert memory.read(65535, 1) == b"\0"
        # The instance never came to be, but its function is there and runs, reached by a guest.
        caller = make(
            '(module (import "" "t" (table 2 funcref)) (func (export "go") (result i32) (call_indirect'
            " (result i32) (i32.const 0))))",
            {"": {"t": table}},
        )
        assert caller.exports.go() == 3
        with pytest.raises(Trap) as raised:
            make(
                '(module (import "" "t" (table 2 funcref)) (func $f) (elem (i32.const 0) $f) (elem'
                " (i32.const 2) $f))",
                {"": {"t": table}},
            )
        assert raised.value.kind is TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS

    def test_the_start_function_sees_them(self, make):
        instance = make(
            """(module (memory (export "m") 1) (data (i32.const 0) "\\05") (global $g (export "g")
                (mut i32) (i32.const 0)) (start $s)
            (func $s (global.set $g (i32.load (i32.const 0)))))"""
        )
        assert instance.global_("g").value == 5


class TestReentrancy:
    def test_linking_in_a_host_function(self, make, store):
        """Of the running instance with another one, and of others with each other."""
        made = []

        def host() -> None:
            made.append(
                make(
                    '(module (import "o" "m" (memory 1)) (import "l" "bump" (func (result i32)))'
                    ' (export "m" (memory 0)))',
                    {"o": outer, "l": library},
                )
            )

        library = make(LIBRARY)
        function = store.host_function(FunctionType((), ()), host)
        outer = make(
            """(module (import "" "h" (func $h)) (memory (export "m") 1) (func (export "go") (result i32)
            (call $h) (i32.store (i32.const 0) (i32.const 3)) (i32.load (i32.const 0))))""",
            {"": {"h": function}},
        )
        assert outer.exports.go() == 3
        assert made[0].memory("m").read(0, 1) == b"\3"
        assert outer.exports.go() == 3
        assert library.exports.bump() == 6

    def test_linking_two_instances_that_are_both_active_is_refused(self, make, store):
        refused = []

        def innermost() -> None:
            with pytest.raises(ReentrancyError):
                make('(module (import "a" "m" (memory 1)) (import "b" "f" (func)))', {"a": one, "b": two})
            refused.append(True)

        inner = store.host_function(FunctionType((), ()), innermost)
        two = make(
            '(module (import "" "h" (func $h)) (func (export "go") (call $h)) (func (export "f")))',
            {"": {"h": inner}},
        )
        function = store.host_function(FunctionType((), ()), two.exports.go)
        one = make(
            '(module (import "" "h" (func $h)) (memory (export "m") 1) (func (export "go") (call $h)))',
            {"": {"h": function}},
        )
        one.exports.go()
        assert refused == [True]
        make('(module (import "a" "m" (memory 1)) (import "b" "f" (func)))', {"a": one, "b": two})
