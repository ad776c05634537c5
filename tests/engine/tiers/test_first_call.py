"""The fast tier: what is compiled when a function is called for the first time, and that it is the same guest."""

from __future__ import annotations

import threading

import pytest

from farcall.engine import (
    I32,
    I64,
    CompileLimitError,
    Engine,
    ExhaustionError,
    FunctionType,
    Store,
    TerminatedError,
    Trap,
    TrapKind,
)
from farcall.engine.lowering import context
from farcall.engine.tiers.first_call import FastTier
from tests.engine.guests import Background, wait_until, wasm

NOT_COMPILED, FAST = 0, 1


@pytest.fixture
def engine():
    """One that never optimises."""
    with Engine(code_policy="fast") as engine:
        yield engine


def levels(instance):
    return list(instance.engine._code.levels)


def test_nothing_is_compiled_before_it_is_called(make):
    instance = make("""(module (func (export "a") (result i32) (i32.const 1))
        (func (export "b") (result i32) (i32.const 2)))""")
    assert levels(instance) == [NOT_COMPILED, NOT_COMPILED]
    assert instance.exports.b() == 2
    assert levels(instance) == [NOT_COMPILED, FAST]


def test_what_it_calls_comes_along(make):
    instance = make("""(module (func $a (export "a") (result i32) (call $b)) (func $b (result i32) (call $c))
        (func $c (result i32) (i32.const 3)) (func (export "other") (result i32) (i32.const 4)))""")
    assert instance.exports.a() == 3
    assert levels(instance) == [FAST, FAST, FAST, NOT_COMPILED]


def test_large_callees_are_left_for_their_own_first_call(make):
    long = "(global.set $g (i32.add (global.get $g) (i32.const 1)))" * 4000
    instance = make(f"""(module (global $g (mut i32) (i32.const 0)) (func $long {long})
        (func (export "a") (param i32) (result i32) (if (local.get 0) (then (call $long))) (global.get $g)))""")
    assert instance.exports.a(0) == 0
    assert levels(instance) == [NOT_COMPILED, FAST]
    assert instance.exports.a(1) == 4000
    assert levels(instance) == [FAST, FAST]


def test_every_kind_of_argument_comes_through_the_first_call(make):
    """More than registers take, of every type: they must be as they were after the compilation."""
    numbers = "i32 i64 f32 f64 " * 6
    total = "(f64.const 0)"
    for position in range(24):
        convert = ("f64.convert_i32_s", "f64.convert_i64_s", "f64.promote_f32", "")[position % 4]
        value = f"(local.get {position})"
        scaled = f"(f64.mul (f64.const {position + 1}) {f'({convert} {value})' if convert else value})"
        total = f"(f64.add {total} {scaled})"
    passing = " ".join(f"(local.get {position})" for position in range(24))
    instance = make(f"""(module (type $t (func (param {numbers}) (result f64)))
        (table funcref (elem $sum)) (func $sum (type $t) {total})
        (func (export "direct") (type $t) (call $sum {passing}))
        (func (export "indirect") (type $t) (call_indirect (type $t) {passing} (i32.const 0))))""")
    arguments = [value for step in range(6) for value in (step - 3, -(step << 35), step + 0.5, step / 8)]
    expected = sum((position + 1) * value for position, value in enumerate(arguments))
    assert instance.exports.indirect(*arguments) == expected
    assert instance.exports.direct(*arguments) == expected


def test_vectors_and_many_results_come_through_the_first_call(make):
    instance = make("""(module
        (func $many (param v128 v128 v128 v128 v128 v128 v128 v128 v128 i64)
          (result i64 i64 i64 i64 i64 i64 f64 v128)
          (local.get 9) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (f64.const 7)
          (i64x2.add (local.get 0) (local.get 8)))
        (table funcref (elem $many))
        (func (export "go") (param v128 i64) (result i64 i64 i64 i64 i64 i64 f64 v128)
          (call_indirect (param v128 v128 v128 v128 v128 v128 v128 v128 v128 i64)
            (result i64 i64 i64 i64 i64 i64 f64 v128)
            (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
            (local.get 0) (local.get 0) (local.get 1) (i32.const 0))))""")
    vector = (7).to_bytes(8, "little") + (1 << 40).to_bytes(8, "little")
    *numbers, doubled = instance.exports.go(vector, 11)
    assert numbers == [11, 2, 3, 4, 5, 6, 7.0]
    assert doubled == (14).to_bytes(8, "little") + (2 << 40).to_bytes(8, "little")


def test_tail_calls_of_what_has_no_code_yet(make):
    instance = make("""(module (type $t (func (param i64 i64) (result i64)))
        (table funcref (elem $down))
        (func $down (type $t)
          (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
          (return_call $up (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 2))))
        (func $up (type $t)
          (return_call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0)))
        (func (export "go") (param i64) (result i64) (return_call $up (local.get 0) (i64.const 0))))""")
    assert instance.exports.go(1_000_000) == 2_000_000


def test_imports_are_compiled_in_the_instance_that_exports_them(make):
    library = make(
        '(module (func (export "double") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))'
    )
    user = make(
        """(module (import "l" "double" (func $double (param i32) (result i32))) (table funcref (elem $double))
        (func (export "direct") (param i32) (result i32) (call $double (local.get 0)))
        (func (export "indirect") (param i32) (result i32)
          (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))""",
        {"l": library},
    )
    assert levels(library) == [NOT_COMPILED]
    assert (user.exports.indirect(4), user.exports.direct(5)) == (8, 10)
    assert levels(library) == [FAST]


def test_backtraces_name_the_functions(make):
    instance = make("""(module (func $inner unreachable) (func $outer (export "go") (call $inner)))""")
    for _ in range(2):
        with pytest.raises(Trap) as raised:
            instance.exports.go()
        assert [frame.function_name for frame in raised.value.backtrace] == ["inner", "outer"]


def test_a_function_that_cannot_be_compiled_ends_its_call_and_no_other(make, monkeypatch):
    monkeypatch.setattr(context, "CARRIED_LIMIT", 1000)
    instance = make(f"""(module (func $many (param i32) (result {"i32 " * 100})
          {"(i32.const 1) " * 100} {"local.get 0 br_if 0 " * 20})
        (func (export "go") (param i32) (result i32) (call $many (local.get 0)) {"drop " * 99})
        (func (export "fine") (result i32) (i32.const 5)))""")
    for _ in range(2):
        with pytest.raises(ExhaustionError, match="function 0 is too complex to compile"):
            instance.exports.go(1)
        assert instance.exports.fine() == 5


def test_deep_in_the_stack(make):
    """Little is left of the stack where the first call is made: the compiler does not need it."""
    instance = make("""(module (func $leaf (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
        (table funcref (elem $leaf))
        (func $go (export "go") (param i32) (result i64)
          (if (result i64) (local.get 0)
            (then (i64.add (i64.const 1) (call $go (i32.sub (local.get 0) (i32.const 1)))))
            (else (call_indirect (param i64) (result i64) (i64.const 5) (i32.const 0)))))
        (func $endless (export "endless") (call $other) (call $endless)) (func $other))""")
    with pytest.raises(Trap) as raised:
        instance.exports.go(100_000_000)
    assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
    assert instance.exports.go(20_000) == 20_006
    with pytest.raises(Trap) as raised:
        instance.exports.endless()
    assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED


def test_threads_that_need_the_same_function_at_the_same_time(engine):
    module = engine.load_module(
        wasm('(module (func (export "f") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 3))))')
    )
    start = threading.Barrier(8)

    def call(number):
        with Store(engine) as store:
            function = store.instantiate(module).function("f")
            start.wait()
            return function(number)

    threads = [Background(lambda number=number: call(number)) for number in range(8)]
    assert [thread.value() for thread in threads] == [3 * number for number in range(8)]


def test_host_functions_are_called_before_and_after_their_way_is_compiled(make, store):
    add = store.host_function(FunctionType((I32, I64), (I64,)), lambda a, b: a + b)
    instance = make(
        """(module (import "h" "add" (func $add (param i32 i64) (result i64)))
        (func (export "go") (param i32 i64) (result i64) (call $add (local.get 0) (local.get 1))))""",
        {("h", "add"): add},
    )
    assert [instance.exports.go(number, 1 << 40) for number in range(3)] == [(1 << 40) + n for n in range(3)]


def test_a_guest_in_a_loop_can_be_stopped(make):
    instance = make(
        '(module (func (export "spin") (loop (br 0))) (func (export "one") (result i32) (i32.const 1)))'
    )
    invocation = instance.function("spin").invocation(())
    running = Background(invocation.run)
    wait_until(lambda: instance.engine.group.targets)
    invocation.terminate("enough")
    assert isinstance(running.join().error, TerminatedError)
    assert instance.exports.one() == 1


def test_more_functions_than_a_chunk_of_the_table_holds(make):
    count = 17_000
    functions = "".join(f"(func (result i32) (i32.const {number}))" for number in range(count))
    instance = make(f"""(module {functions}
        (table funcref (elem 0 {count - 1} 16382 16383 16384))
        (func (export "go") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
        (func (export "last") (result i32) (i32.add (call 16383) (call {count - 1}))))""")
    assert [instance.exports.go(number) for number in range(5)] == [0, count - 1, 16382, 16383, 16384]
    assert instance.exports.last() == 16383 + count - 1


def test_a_guest_that_waits_for_its_compilation_can_be_stopped(make, monkeypatch):
    go_on = threading.Event()
    real = FastTier._compile_group

    def wait(*arguments):
        go_on.wait(60)
        real(*arguments)

    monkeypatch.setattr(FastTier, "_compile_group", wait)
    instance = make('(module (func (export "one") (result i32) (i32.const 1)))')
    invocation = instance.function("one").invocation(())
    running = Background(invocation.run)
    wait_until(lambda: instance.engine.group.targets)
    invocation.terminate("enough")
    assert isinstance(running.join().error, TerminatedError)
    go_on.set()
    assert instance.exports.one() == 1


def test_what_takes_llvm_long_is_compiled_in_another_process(engine, make):
    chain = " i64.popcnt" * 30_000
    instance = make(f'(module (func (export "f") (param i64) (result i64) (local.get 0) {chain}))')
    assert instance.exports.f(7) == 1
    assert engine.statistics().compile_jobs.compiled == 1


def test_what_takes_too_long_even_so_is_refused_and_nothing_else(make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.first_call.allowed_seconds", lambda *_: 1)
    conversions = " i64.trunc_sat_f64_s f64.convert_i64_s" * 12_000
    instance = make(f"""(module (func (export "f") (param f64) (result f64) (local.get 0) {conversions})
        (func (export "one") (result i32) (i32.const 1)))""")
    with pytest.raises(CompileLimitError, match="more than 1 s"):
        instance.exports.f(1.0)
    assert instance.exports.one() == 1
