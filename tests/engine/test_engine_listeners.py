"""Listeners: told of every call of the instances they were given for, and of no other's."""

from __future__ import annotations

import itertools

import pytest

from farcall.engine import EXTERNREF, I32, FunctionType, Store, TerminatedError, Trap
from tests.engine.guests import Background, wait_until, wasm

NESTED = """(module $m
  (func $inner (param i32) (result i32) (if (i32.eqz (local.get 0)) (then unreachable)) (i32.mul
  (local.get 0) (i32.const 2)))
  (func $middle (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1)))
  (func (export "go") (param i32) (result i32) (call $middle (local.get 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "deep") (param i32) (if (local.get 0) (then (call 4 (i32.sub (local.get 0) (i32.const 1)))))))"""


class Listener:
    def __init__(self, log: list | None = None, name: str = "") -> None:
        self.log = [] if log is None else log
        self._name = name

    def _add(self, *entry) -> None:
        self.log.append((self._name, *entry) if self._name else entry)

    def before(self, function, arguments) -> None:
        self._add("before", function.name, arguments)

    def after(self, function, results) -> None:
        self._add("after", function.name, results)

    def abort(self, function, error) -> None:
        self._add("abort", function.name, type(error).__name__)


RETURNED = [
    ("before", "go", (5,)),
    ("before", "middle", (5,)),
    ("before", "inner", (5,)),
    ("after", "inner", (10,)),
    ("after", "middle", (11,)),
    ("after", "go", (11,)),
]
TRAPPED = [
    ("before", "go", (0,)),
    ("before", "middle", (0,)),
    ("before", "inner", (0,)),
    ("abort", "inner", "Trap"),
    ("abort", "middle", "Trap"),
    ("abort", "go", "Trap"),
]


@pytest.fixture
def listened(engine, store):
    listener = Listener()
    compiled = engine.compile_module(engine.load_module(wasm(NESTED)), [listener], ensure_termination=True)
    return store.instantiate(compiled), listener.log


def test_nested_calls(listened):
    instance, log = listened
    assert instance.exports.go(5) == 11
    assert log == RETURNED
    log.clear()
    assert instance.function("go").call_many([(5,), (5,)]) == [(11,), (11,)]
    assert log == RETURNED * 2


def test_traps(listened):
    instance, log = listened
    for _ in range(3):
        log.clear()
        with pytest.raises(Trap):
            instance.exports.go(0)
        assert log == TRAPPED
    log.clear()
    assert instance.exports.go(5) == 11
    assert log == RETURNED


def test_stopping(listened):
    instance, log = listened
    invocation = instance.function("spin").invocation(())
    thread = Background(invocation.run)
    wait_until(lambda: bool(log))
    invocation.terminate("enough")
    assert isinstance(thread.join().error, TerminatedError)
    assert log == [("before", "spin", ()), ("abort", "spin", "TerminatedError")]


def test_stack_exhaustion(engine, store):
    listener = Listener()
    text = '(module (func $f (export "go") (call $f) (call $f)))'
    instance = store.instantiate(engine.compile_module(engine.load_module(wasm(text)), [listener]))
    with pytest.raises(Trap):
        instance.exports.go()
    begun = sum(entry[0] == "before" for entry in listener.log)
    assert begun > 100
    assert sum(entry[0] == "abort" for entry in listener.log) == begun


def test_what_they_are_told_of_a_function(engine, store):
    told = []

    class Definitions(Listener):
        def before(self, function, arguments) -> None:
            told.append(function)

    module = engine.load_module(wasm(NESTED))
    instance = store.instantiate(engine.compile_module(module, [Definitions()]))
    instance.exports.go(1)
    assert [(function.index, function.name) for function in told] == [(2, "go"), (1, "middle"), (0, "inner")]
    assert all(function.module is module for function in told)


def test_values_of_every_type(engine, store):
    listener = Listener()
    text = """(module (func $f (export "f") (param i32 i64 f32 f64 externref funcref)
        (result funcref externref f64 f32 i64 i32)
      (local.get 5) (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0)))"""
    instance = store.instantiate(engine.compile_module(engine.load_module(wasm(text)), [listener]))
    arguments = (-1, -(2**63), 0.5, -0.25, "text", instance.exports.f)
    assert instance.exports.f(*arguments) == arguments[::-1]
    assert listener.log == [("before", "f", arguments), ("after", "f", arguments[::-1])]


def test_several_are_told_in_order(engine, store):
    log: list = []
    listeners = [Listener(log, name) for name in "abc"]
    instance = store.instantiate(engine.compile_module(engine.load_module(wasm(NESTED)), listeners))
    instance.exports.deep(0)
    assert log == [
        (name, kind, "deep", value) for kind, value in (("before", (0,)), ("after", ())) for name in "abc"
    ]


def test_host_exceptions_and_what_is_called_through_the_host(engine, store):
    log: list = []
    inner = store.instantiate(
        engine.compile_module(engine.load_module(wasm(NESTED)), [Listener(log, "inner")])
    )
    failures = [None]

    def host(value: int) -> int:
        if failures[-1] is not None:
            raise failures[-1]
        try:
            return inner.exports.go(value)
        except Trap:
            return -1

    function = store.host_function(FunctionType((I32,), (I32,)), host)
    text = """(module (import "" "h" (func $h (param i32) (result i32))) (func $use (param i32)
        (result i32) (call $h (local.get 0)))
      (func (export "run") (param i32) (result i32) (call $use (local.get 0))))"""
    compiled = engine.compile_module(engine.load_module(wasm(text)), [Listener(log, "outer")])
    outer = store.instantiate(compiled, {"": {"h": function}})
    begun = [("outer", "before", "run", (5,)), ("outer", "before", "use", (5,))]

    assert outer.exports.run(5) == 11
    assert log == [
        *begun,
        *(("inner", *entry) for entry in RETURNED),
        ("outer", "after", "use", (11,)),
        ("outer", "after", "run", (11,)),
    ]
    log.clear()
    assert outer.exports.run(0) == -1
    assert [entry for entry in log if entry[0] == "inner"] == [("inner", *entry) for entry in TRAPPED]
    assert log[-2:] == [("outer", "after", "use", (-1,)), ("outer", "after", "run", (-1,))]
    log.clear()
    failures.append(ValueError("host"))
    with pytest.raises(ValueError, match="host"):
        outer.exports.run(5)
    assert log == [*begun, ("outer", "abort", "use", "ValueError"), ("outer", "abort", "run", "ValueError")]


def test_linked_instances_tell_their_own_listeners_only(engine, store):
    log: list = []
    library_module = engine.load_module(wasm('(module (func (export "f") (result i32) (i32.const 3)))'))
    user_module = engine.load_module(
        wasm('(module (import "l" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))')
    )
    for library_listens, user_listens in itertools.product((True, False), repeat=2):
        log.clear()
        library = store.instantiate(
            engine.compile_module(library_module, [Listener(log, "library")] * library_listens)
        )
        user = store.instantiate(
            engine.compile_module(user_module, [Listener(log, "user")] * user_listens), {"l": library}
        )
        assert user.exports.g() == 3
        assert [entry[0] for entry in log] == ["user"] * user_listens + ["library"] * 2 * library_listens + [
            "user"
        ] * user_listens


ORDERS = [
    order
    for order in itertools.permutations(["compile a", "compile b", "compile c", "make a", "make b", "make c"])
    if all(order.index(f"compile {client}") < order.index(f"make {client}") for client in "abc")
]


class TestOneClientNeverSeesAnothersCalls:
    """The code is shared, whichever order things are done in."""

    @pytest.mark.parametrize("shared", [True, False], ids=["one Module", "a Module each"])
    def test_in_every_order(self, engine, shared):
        source = wasm(NESTED)
        one = engine.load_module(source)
        for order in ORDERS:
            logs: dict[str, list] = {client: [] for client in "abc"}
            # The third client has no listeners at all.
            listeners = {"a": [Listener(logs["a"])], "b": [Listener(logs["b"])], "c": []}
            modules = {client: one if shared else engine.load_module(source) for client in "abc"}
            compiled, instances = {}, {}
            stores = {client: Store(engine) for client in "abc"}
            for step in order:
                action, client = step.split()
                if action == "compile":
                    compiled[client] = engine.compile_module(
                        modules[client], listeners[client], ensure_termination=True
                    )
                else:
                    made_from = compiled[client] if shared else modules[client]
                    instances[client] = stores[client].instantiate(made_from)
            for client in "abc":
                instances[client].exports.go(5)
            assert logs == {"a": RETURNED, "b": RETURNED, "c": []}, order
            for store in stores.values():
                store.close()
        assert engine.statistics().compilations == 2


class Failing(Listener):
    def __init__(self, log: list, where: str, name: str) -> None:
        super().__init__(log, name)
        self._where = where

    def before(self, function, arguments) -> None:
        super().before(function, arguments)
        self._maybe_fail("before", function)

    def after(self, function, results) -> None:
        super().after(function, results)
        self._maybe_fail("after", function)

    def abort(self, function, error) -> None:
        super().abort(function, error)
        self._maybe_fail("abort", function)

    def _maybe_fail(self, where: str, function) -> None:
        if where == self._where and function.name == "middle":
            raise LookupError(where)


class TestListenersThatFail:
    def run(self, engine, store, where: str, argument: int) -> list:
        log: list = []
        listeners = [Failing(log, where, "failing"), Listener(log, "other")]
        instance = store.instantiate(engine.compile_module(engine.load_module(wasm(NESTED)), listeners))
        for _ in range(2):
            log.clear()
            with pytest.raises(LookupError, match=where):
                instance.exports.go(argument)
        first = list(log)
        log.clear()
        instance.exports.deep(1)
        assert len(log) == 8, "a call of before is still on the books"
        return first

    def test_before(self, engine, store):
        log = self.run(engine, store, "before", 5)
        assert [entry[:3] for entry in log if entry[1] != "before"] == [
            ("failing", "abort", "middle"),
            ("other", "abort", "middle"),
            ("failing", "abort", "go"),
            ("other", "abort", "go"),
        ]

    def test_after(self, engine, store):
        log = self.run(engine, store, "after", 5)
        assert [entry[:3] for entry in log if entry[1] == "abort"] == [
            ("failing", "abort", "go"),
            ("other", "abort", "go"),
        ]

    def test_abort(self, engine, store):
        """All are told of all calls before the exception goes on; the trap is its cause."""
        log = self.run(engine, store, "abort", 0)
        assert [entry[:3] for entry in log if entry[1] == "abort"] == [
            (name, "abort", function)
            for function in ("inner", "middle", "go")
            for name in ("failing", "other")
        ]


def test_a_listener_that_calls_the_guest(engine, store):
    """It is told of its own calls, too."""
    log: list = []

    class Calling(Listener):
        def before(self, function, arguments) -> None:
            super().before(function, arguments)
            if arguments == (3,):
                assert instance.exports.go(5) == 11

    instance = store.instantiate(engine.compile_module(engine.load_module(wasm(NESTED)), [Calling(log)]))
    assert instance.exports.go(3) == 7
    assert log[0] == ("before", "go", (3,))
    assert log[1:7] == RETURNED
    assert log[-1] == ("after", "go", (7,))
    assert sum(entry[0] == "before" for entry in log) == sum(entry[0] == "after" for entry in log) == 12


def test_listeners_of_several_threads_do_not_mix(engine):
    """Each thread's calls end where they began."""
    module = engine.load_module(wasm(NESTED))

    def work() -> None:
        listener = Listener()
        with Store(engine) as store:
            instance = store.instantiate(engine.compile_module(module, [listener]))
            for _ in range(300):
                listener.log.clear()
                instance.exports.go(5)
                assert listener.log == RETURNED
                listener.log.clear()
                with pytest.raises(Trap):
                    instance.exports.go(0)
                assert listener.log == TRAPPED

    for thread in [Background(work) for _ in range(6)]:
        thread.value()


def test_start_functions_and_references(engine, store):
    listener = Listener()
    text = '(module (import "" "h" (func $h (param externref))) (start $s) (func $s (call $h (ref.null extern))))'
    host = store.host_function(FunctionType((EXTERNREF,), ()), lambda value: None)
    store.instantiate(engine.compile_module(engine.load_module(wasm(text)), [listener]), {"": {"h": host}})
    # Host functions are no guest functions.
    assert listener.log == [("before", "s", ()), ("after", "s", ())]
