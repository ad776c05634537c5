"""Tail calls: the stack does not grow, whatever is called how; all that holds for calls holds for them."""

from __future__ import annotations

import pytest

from farcall.engine import (
    I32,
    I64,
    ArgumentError,
    Engine,
    FunctionType,
    InvalidModuleError,
    TerminatedError,
    Trap,
    TrapKind,
)
from tests.engine.guests import Background, wait_until, wasm

MANY = 10_000_000

WIDE = (
    "(param i64 f64 f32 i32 f64 i64 i64 i64 f32 f64 i64 f64 f32 f64 f32 f64 i32 i64) (result i32 f32 i64 f64)"
)
WIDE_LESS = " ".join(
    (
        "(i64.sub (local.get 0) (i64.const 1))",
        *(f"(local.get {index})" for index in range(1, 17)),
        "(i64.add (local.get 17) (i64.const 1))",
    )
)
ENDLESS_SUM = {
    "direct": """(func $f (export "go") (param i64 i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call $f (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))))""",
    "mutual": """(func $f (export "go") (param i64 i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call $g (i64.add (local.get 1) (i64.const 1)) (i64.sub (local.get 0) (i64.const 1))))
      (func $g (param i64 i64) (result i64)
        (if (i64.eqz (local.get 1)) (then (return (local.get 0))))
        (return_call $f (i64.sub (local.get 1) (i64.const 1)) (i64.add (local.get 0) (i64.const 1))))""",
    "indirect": """(type $t (func (param i64 i64) (result i64))) (table funcref (elem $f))
      (func $f (export "go") (type $t)
        (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call_indirect (type $t)
          (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1)) (i32.const 0)))""",
    "from narrow to wide": """(func $f (export "go") (param i64 i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call $g (f64.const 1) (f64.const 2) (i32.const 3) (i32.const 4) (i64.const 5) (i32.const 6)
          (i64.sub (local.get 0) (i64.const 1)) (i64.const 7) (i64.add (local.get 1) (i64.const 1))))
      (func $g (param f64 f64 i32 i32 i64 i32 i64 i64 i64) (result i64)
        (if (i64.eqz (local.get 6)) (then (return (local.get 8))))
        (return_call $f (i64.sub (local.get 6) (i64.const 1)) (i64.add (local.get 8) (i64.const 1))))""",
}


@pytest.mark.parametrize("way", ENDLESS_SUM)
def test_ten_million_tail_calls_do_not_grow_the_stack(make, way):
    assert make(f"(module {ENDLESS_SUM[way]})").exports.go(MANY, 5) == MANY + 5


def test_more_arguments_and_results_than_registers(make):
    instance = make(f"""(module
      (type $wide (func {WIDE}))
      (table funcref (elem $f))
      (func $f (export "direct") (type $wide)
        (if (i64.eqz (local.get 0)) (then (return (local.get 16) (local.get 14) (local.get 17) (local.get 15))))
        (return_call $f {WIDE_LESS}))
      (func (export "indirect") (type $wide)
        (if (i64.eqz (local.get 0)) (then (return (local.get 16) (local.get 14) (local.get 17) (local.get 15))))
        (return_call_indirect (type $wide) {WIDE_LESS} (i32.const 0))))""")
    arguments = (MANY, 1.0, 2.0, 3, 4.0, 5, 6, 7, 8.0, 9.0, 10, 11.0, 12.0, 13.0, 14.5, 15.25, 16, 17)
    assert instance.exports.direct(*arguments) == (16, 14.5, MANY + 17, 15.25)
    assert instance.exports.indirect(*arguments) == (16, 14.5, MANY + 17, 15.25)


def test_callees_that_need_ever_more_room_for_arguments(make):
    # Function n takes n + 1 numbers; each goes on with the next larger one, and the last with the first again.
    count = 40
    functions = []
    for index in range(count):
        target = (index + 1) % count
        parameters = "i64 " * (index + 1)
        rest = " ".join(f"(i64.const {position})" for position in range(1, target + 1))
        check = "".join(
            f"(if (i64.ne (local.get {position}) (i64.const {position})) (then unreachable))"
            for position in range(1, index + 1)
        )
        functions.append(f"""(func $f{index} (param {parameters}) (result i64) {check}
            (if (i64.eqz (local.get 0)) (then (return (i64.const {index}))))
            (return_call $f{target} (i64.sub (local.get 0) (i64.const 1)) {rest}))""")
    instance = make(f'(module {" ".join(functions)} (export "go" (func $f0)))')
    assert instance.exports.go(1_000_000) == 1_000_000 % count
    assert instance.exports.go(39) == 39


ACROSS_LIBRARY = """(module
  (type $t (func (param i64 i64 i64 i64 i64 i64) (result i64)))
  (table (export "table") 1 funcref)
  (func (export "back") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (i64.add (local.get 1) (local.get 5)))))
    (return_call_indirect (type $t) (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))
      (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 0))))"""
ACROSS = """(module
  (type $t (func (param i64 i64 i64 i64 i64 i64) (result i64)))
  (import "library" "back" (func $back (type $t))) (import "library" "table" (table 1 funcref))
  (elem (i32.const 0) $f)
  (func $f (export "go") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $back (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))
      (local.get 2) (local.get 3) (local.get 4) (local.get 5))))"""


def test_through_imports_of_another_instance_and_back_through_its_table(make):
    library = make(ACROSS_LIBRARY)
    instance = make(ACROSS, {"library": library})
    assert instance.exports.go(MANY, 0, 2, 3, 4, 1000) == MANY
    assert instance.exports.go(MANY + 1, 0, 2, 3, 4, 1000) == MANY + 1 + 1000


def test_of_host_functions_and_of_functions_that_make_none(make, store):
    seen = []
    double = store.host_function(FunctionType((I64,), (I64,)), lambda value: seen.append(value) or 2 * value)
    instance = make(
        """(module (import "env" "double" (func $double (param i64) (result i64)))
        (func $half (param i64) (result i64) (i64.div_s (local.get 0) (i64.const 2)))
        (func (export "host") (param i64) (result i64) (return_call $double (local.get 0)))
        (func (export "plain") (param i64) (result i64) (return_call $half (local.get 0)))
        (func (export "either") (param i64) (result i64)
          (loop (if (i64.gt_s (local.get 0) (i64.const 3)) (then (return_call $half (local.get 0))))
            (local.set 0 (i64.add (local.get 0) (i64.const 1))) (br 0)) unreachable))""",
        {("env", "double"): double},
    )
    assert (instance.exports.host(21), instance.exports.plain(21), instance.exports.either(0)) == (42, 10, 2)
    assert seen == [21]


class TestWithCodeFromTheBeginning:
    @pytest.fixture
    def engine(self):
        """One whose guests never wait for a compilation."""
        with Engine(code_policy="optimized") as engine:
            yield engine

    def test_a_cycle_of_tail_calls_can_be_stopped(self, make):
        check_that_a_cycle_can_be_stopped(make)


def check_that_a_cycle_can_be_stopped(make):
    instance = make("""(module (func $f (return_call $g)) (func $g (return_call $f))
        (func (export "go") (return_call $f)) (func (export "probe") (result i32) (i32.const 3)))""")
    invocation = instance.exports.go.invocation(())
    running = Background(invocation.run)
    wait_until(lambda: instance.engine.group.targets)
    invocation.terminate("enough")
    with pytest.raises(TerminatedError, match="enough") as raised:
        running.value()
    assert raised.value.backtrace[0].function_name in ("f", "g")
    assert len(raised.value.backtrace) == 1  # each took the place of the one before
    assert instance.exports.probe() == 3


def test_the_backtrace_has_the_frames_that_are_there(make):
    instance = make("""(module $m
        (func $trap (param i32) (if (i32.eqz (local.get 0)) (then unreachable))
          (return_call $trap (i32.sub (local.get 0) (i32.const 1))))
        (func $replaced (param i32) (return_call $trap (local.get 0)))
        (func $middle (param i32) (call $replaced (local.get 0)))
        (func (export "go") (param i32) (call $middle (local.get 0))))""")
    with pytest.raises(Trap) as raised:
        instance.exports.go(5)
    assert [frame.function_name for frame in raised.value.backtrace] == ["trap", "middle", "go"]


def test_recursion_beside_tail_calls_still_exhausts_the_stack(make):
    instance = make("""(module
        (func $f (param i64) (result i64) (i64.add (call $g (local.get 0)) (i64.const 1)))
        (func $g (param i64) (result i64) (return_call $f (local.get 0)))
        (func (export "go") (result i64) (return_call $f (i64.const 1))))""")
    for _ in range(3):
        with pytest.raises(Trap) as raised:
            instance.exports.go()
        assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED


def test_traps_of_indirect_tail_calls(make):
    instance = make("""(module (type $t (func (result i32))) (table 3 funcref) (elem (i32.const 0) $f)
        (func $f) (func (export "go") (param i32) (result i32)
          (return_call_indirect (type $t) (local.get 0))))""")
    kinds = []
    for element in range(4):
        with pytest.raises(Trap) as raised:
            instance.exports.go(element)
        kinds.append(raised.value.kind)
    assert kinds == [
        TrapKind.INDIRECT_CALL_TYPE_MISMATCH,
        TrapKind.UNINITIALIZED_ELEMENT,
        TrapKind.UNINITIALIZED_ELEMENT,
        TrapKind.UNDEFINED_ELEMENT,
    ]


class Listener:
    """Counts the calls that have begun and not ended, and notes those of one name."""

    def __init__(self) -> None:
        self.open = self.deepest = self.begun = 0
        self.log: list = []

    def _change(self, by: int, *entry) -> None:
        self.open += by
        self.deepest = max(self.deepest, self.open)
        self.begun += by > 0
        if len(self.log) < 8:
            self.log.append(entry)

    def before(self, function, arguments) -> None:
        self._change(1, "before", function.name, arguments)

    def after(self, function, results) -> None:
        self._change(-1, "after", function.name, results)

    def abort(self, function, error) -> None:
        self._change(-1, "abort", function.name, type(error).__name__)

    def tail_call(self, function) -> None:
        self._change(-1, "tail call", function.name)


LISTENED = """(module
  (func $f (export "go") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 7))))
    (return_call $g (i64.sub (local.get 0) (i64.const 1))))
  (func $g (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then unreachable))
    (return_call $f (i64.sub (local.get 0) (i64.const 1)))))"""


@pytest.fixture
def listened(engine, store):
    listener = Listener()
    module = engine.load_module(wasm(LISTENED))
    return store.instantiate(engine.compile_module(module, [listener])), listener


def test_listeners_are_told_of_what_takes_a_calls_place(listened):
    instance, listener = listened
    assert instance.exports.go(2) == 7
    assert listener.log == [
        ("before", "f", (2,)),
        ("tail call", "f"),
        ("before", "g", (1,)),
        ("tail call", "g"),
        ("before", "f", (0,)),
        ("after", "f", (7,)),
    ]
    listener.log.clear()
    with pytest.raises(Trap):
        instance.exports.go(1)
    assert listener.log[-1] == ("abort", "g", "Trap")


def test_the_stack_does_not_grow_with_listeners(listened):
    instance, listener = listened
    assert instance.exports.go(100_000) == 7
    assert (listener.open, listener.deepest, listener.begun) == (0, 1, 100_001)


def test_listeners_of_two_events_suffice(engine, store):
    class Plain:
        before = after = abort = staticmethod(lambda *_: None)

    module = engine.load_module(wasm(LISTENED))
    instance = store.instantiate(engine.compile_module(module, [Plain()]))
    assert instance.exports.go(1000) == 7


def test_a_callee_with_other_results_is_refused(engine):
    text = "(module (func (result i32) (return_call 1)) (func (result i64) (i64.const 1)))"
    with pytest.raises(
        InvalidModuleError, match=r"type mismatch: return_call of a function with results \(i64\)"
    ):
        engine.load_module(wasm(text))


def test_unoptimised_code_makes_tail_calls_too(make):
    # Many trapping divisions make a function too complex to be optimised (see lowering.complexity).
    divisions = " ".join("(drop (i32.div_s (local.get 1) (local.get 1)))" for _ in range(1100))
    instance = make(f"""(module
      (func $f (export "go") (param i64 i32) (result i64)
        (if (i64.eqz (local.get 0)) (then {divisions} (return (i64.const 7))))
        (return_call $g (local.get 1) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)
          (i64.sub (local.get 0) (i64.const 1))))
      (func $g (param i32 i64 i64 i64 i64 i64) (result i64) (return_call $f (local.get 5) (local.get 0))))""")
    assert instance.exports.go(1_000_000, 1) == 7


def test_types_are_checked_where_host_functions_take_over(make, store):
    refuse = store.host_function(FunctionType((), (I32,)), lambda: "no number")
    instance = make(
        """(module (import "env" "f" (func $f (result i32))) (func (export "go") (result i32) (return_call $f)))""",
        {("env", "f"): refuse},
    )
    with pytest.raises(ArgumentError, match="result of the host function"):
        instance.exports.go()
