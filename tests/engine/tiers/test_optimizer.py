"""The optimising tier: what runs much comes first, guests go on meanwhile, and in the end all is optimised."""

from __future__ import annotations

import gc
import weakref

import pytest

from farcall.engine import CompileLimitError, Engine, Store, Trap
from farcall.engine.jobs import CompilePool, CompileTicket
from tests.engine.guests import Background, wait_until, wasm

FAST, OPTIMIZED = 1, 2

FIB = """(func $fib (export "fib") (param i32) (result i32)
  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2)))))))"""

CHAIN = "(local.get 0)" + " i64.popcnt" * 100_000


def levels(instance):
    return list(instance.engine._code.levels)


def test_what_runs_much_is_optimised_and_gives_the_same(make):
    instance = make(f"(module {FIB})")
    assert instance.exports.fib(20) == 6765
    assert levels(instance) == [FAST]
    wait_until(lambda: levels(instance) == [OPTIMIZED])
    assert instance.exports.fib(20) == 6765


def test_a_guest_in_a_loop_calls_the_optimised_code_without_an_end_of_its_call(make):
    """The loop itself is in one call of `go`; what it calls is replaced meanwhile, and nothing stops."""
    instance = make("""(module (memory 1) (global $turns (mut i64) (i64.const 0))
        (func $step (param i64) (result i64) (i64.add (i64.mul (local.get 0) (i64.const 5)) (i64.const 1)))
        (func (export "go") (param i64) (result i64) (local i64)
          (loop (local.set 1 (call $step (local.get 1)))
            (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
          (local.get 1)))""")
    count = 300_000_000
    running = Background(lambda: instance.exports.go(count))
    wait_until(lambda: levels(instance) == [OPTIMIZED, OPTIMIZED])
    value, factor, addend = 0, 5, 1
    left = count
    while left:  # the linear step applied `count` times, by squaring
        if left & 1:
            value = value * factor + addend
        addend, factor, left = addend * factor + addend, factor * factor, left >> 1
        addend, factor, value = (number % (1 << 64) for number in (addend, factor, value))
    assert running.value() % (1 << 64) == value


def test_all_the_rest_follows(engine, make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.optimizer._SMALL_MODULE", 0)
    functions = "".join(
        f'(func (export "f{number}") (result i32) (i32.const {number}))' for number in range(20)
    )
    instance = make(f"(module {FIB} {functions})")
    assert (instance.exports.fib(15), instance.exports.f3()) == (610, 3)
    wait_until(lambda: levels(instance) == [OPTIMIZED] * 21)
    wait_until(lambda: engine._tiers.optimizer.idle)
    assert [instance.exports[f"f{number}"]() for number in range(20)] == list(range(20))


def test_what_cannot_be_optimised_stays_as_it_is_and_others_do_not(engine, make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.optimizer._SMALL_MODULE", 0)
    divisions = "(local.set 0 (i32.div_s (local.get 0) (local.get 1)))" * 2000
    instance = make(
        f'(module {FIB} (func (export "complex") (param i32 i32) (result i32) {divisions} (local.get 0)))'
    )
    assert (instance.exports.fib(15), instance.exports.complex(7, 1)) == (610, 7)
    wait_until(lambda: engine._tiers.optimizer.idle)
    assert levels(instance) == [OPTIMIZED, FAST]
    assert instance.exports.complex(9, 1) == 9


def test_a_module_of_which_nearly_nothing_can_be_optimised_is_given_up(engine, make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.optimizer._SMALL_MODULE", 0)
    monkeypatch.setattr("farcall.engine.tiers.optimizer._REST_BATCH", 1)
    submit, tried = CompilePool.submit, []

    def refuse(self, job):
        tried.append(job.functions)
        ticket = submit(self, job)
        ticket.cancel()
        refused = CompileTicket(self, ticket._pending)
        refused.set_exception(CompileLimitError(job.functions, "time", 1))
        return refused

    monkeypatch.setattr(CompilePool, "submit", refuse)
    functions = "".join(f'(func (export "f{number}"))' for number in range(100))
    instance = make(f"(module {functions})")
    instance.exports.f0()
    wait_until(lambda: engine._tiers.optimizer.idle)
    assert 20 <= len(tried) < 100
    assert instance.engine._code.given_up == set(range(100))
    assert instance.exports.f99() is None


def test_code_that_nobody_uses_is_forgotten(engine):
    module = engine.load_module(wasm(f"(module {FIB})"))
    with Store(engine) as store:
        instance = store.instantiate(module)
        instance.exports.fib(10)
        code = weakref.ref(instance.engine._code)
        del instance
    engine.delete_compiled_module(module)
    wait_until(lambda: gc.collect() >= 0 and code() is None)
    wait_until(lambda: engine._tiers.optimizer.idle)


def test_what_is_being_optimised_for_nobody_is_given_up(engine):
    """LLVM would be at it for long: each operation needs the one before."""
    module = engine.load_module(wasm(f'(module (func (export "f")) (func (param i64) (result i64) {CHAIN}))'))
    with Store(engine) as store:
        store.instantiate(module).exports.f()
        wait_until(lambda: engine.compiled(module).code.levels[0] == OPTIMIZED)
        wait_until(lambda: engine.statistics().compile_jobs.running)
    engine.delete_compiled_module(module)
    wait_until(lambda: engine._tiers.optimizer.idle)
    wait_until(lambda: engine.statistics().compile_jobs.running == 0)
    jobs = engine.statistics().compile_jobs
    assert jobs.cancelled > 0


def test_traps_in_optimised_code_have_their_backtraces(make):
    instance = make("""(module (func $check (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
        (func (export "go") (param i32) (local i32) (local.set 1 (i32.const 1000))
          (loop (call $check (local.get 1)) (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br_if 0 (i32.gt_s (local.get 1) (local.get 0))))))""")
    instance.exports.go(0)
    wait_until(lambda: levels(instance) == [OPTIMIZED, OPTIMIZED])
    with pytest.raises(Trap) as raised:
        instance.exports.go(-1)
    assert [frame.function_index for frame in raised.value.backtrace] == [0, 1]


@pytest.mark.parametrize("policy", ["optimized", "fast"])
def test_other_policies_optimise_nothing_in_the_background(policy):
    with Engine(code_policy=policy) as engine, Store(engine) as store:
        assert store.instantiate(engine.load_module(wasm(f"(module {FIB})"))).exports.fib(20) == 6765
        assert engine._tiers.optimizer is None


def test_there_is_no_other_policy():
    with pytest.raises(ValueError, match="eager"):
        Engine(code_policy="eager")
