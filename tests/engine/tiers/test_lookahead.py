"""Looking ahead: what will be called soon is compiled by other processes, and nobody depends on it."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from farcall.engine import CompileLimits, Engine, Store, TerminatedError, Trap
from farcall.engine.errors import CompilerCrashError
from farcall.engine.jobs import CompilePool
from farcall.engine.tiers.lookahead import Lookahead
from tests.engine.guests import Background, wait_until, wasm
from tests.engine.jobs.jobs import OPTIONS

NOT_COMPILED, FAST = 0, 1

CHAIN = """(module
  (func (export "a") (param i32) (result i32)
    (drop (i32.div_u (i32.const 1) (local.get 0)))
    (drop (if (result i32) (i32.eq (local.get 0) (i32.const 2)) (then (call $maybe)) (else (i32.const 0))))
    (call $b))
  (func $b (result i32) (call $c))
  (func $c (result i32) (i32.const 3))
  (func $maybe (result i32) (call $c)))"""
"""`a` calls `b` for certain, but traps before it does so if it is called with 0."""


def call_in_vain(instance):
    """Call `a` so that it calls nothing."""
    with pytest.raises(Trap, match="divide by zero"):
        instance.exports.a(0)


def levels(instance):
    return list(instance.engine._code.levels)


@pytest.fixture(autouse=True)
def every_function_by_itself(monkeypatch):
    """Any module is large enough, also for validation to note calls, and a first call compiles nothing else."""
    monkeypatch.setattr("farcall.engine.validation.native.bodies.SMALLEST_CODE", 0)
    monkeypatch.setattr("farcall.engine.validation.native.bodies.SMALLEST_PREPARED", 0)
    monkeypatch.setattr("farcall.engine.tiers.lookahead.LARGE_CODE_BYTES", 0)
    monkeypatch.setattr("farcall.engine.tiers.first_call._GROUP_TEXT", 0)


@pytest.fixture
def engine():
    """One that never optimises, and has a process beside the guest's own."""
    with Engine(code_policy="fast", compile_limits=CompileLimits(processes=2)) as engine:
        yield engine


def test_what_is_certain_to_be_called_gets_code(make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.lookahead._PATIENCE", 3600)
    instance = make(CHAIN)
    call_in_vain(instance)
    wait_until(lambda: levels(instance) == [FAST, FAST, FAST, NOT_COMPILED])
    assert instance.exports.a(1) == 3


def test_what_may_be_called_is_compiled_where_a_core_has_nothing_to_do(monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.lookahead._PATIENCE", 3600)
    with (
        Engine(code_policy="fast", compile_limits=CompileLimits(processes=3)) as engine,
        Store(engine) as store,
    ):
        instance = store.instantiate(engine.load_module(wasm(CHAIN)))
        call_in_vain(instance)
        wait_until(lambda: levels(instance) == [FAST] * 4)


def test_nothing_more_is_compiled_once_nothing_new_is_called(engine, make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.lookahead._PATIENCE", -1)
    instance = make(CHAIN)
    call_in_vain(instance)
    wait_until(lambda: engine.statistics().compile_jobs.compiled == 1)  # the one that starts the processes
    assert levels(instance) == [FAST, NOT_COMPILED, NOT_COMPILED, NOT_COMPILED]


def test_one_core_is_left_to_the_guest():
    with (
        Engine(code_policy="fast", compile_limits=CompileLimits(processes=1)) as engine,
        Store(engine) as store,
    ):
        instance = store.instantiate(engine.load_module(wasm(CHAIN)))
        call_in_vain(instance)
        assert engine.statistics().compile_jobs.queued == 0
        assert engine.statistics().compile_jobs.running == 0


class Pool:
    """Takes jobs, and does them when the test says so."""

    def __init__(self, monkeypatch):
        self.jobs = []
        monkeypatch.setattr(CompilePool, "submit", self.submit)

    def submit(self, job):
        ticket = Future()
        self.jobs.append((job, ticket))
        if not job.functions:  # what starts the processes
            ticket.set_result(None)
        return ticket

    @property
    def functions(self):
        return [list(job.functions) for job, _ in self.jobs if job.functions]

    def fail(self):
        """Fail the jobs that are under way, and those that come after them."""
        for job, ticket in self.jobs:  # it grows meanwhile
            if not ticket.done():
                ticket.set_exception(CompilerCrashError(job.functions, "for a test"))


def test_a_function_that_is_most_of_a_batch_is_waited_for(make, monkeypatch):
    pool = Pool(monkeypatch)
    instance = make(CHAIN)
    call_in_vain(instance)
    assert pool.functions == [[1, 2]]
    calling = Background(lambda: instance.exports.a(1))
    wait_until(lambda: instance.engine.group._wakers)
    assert levels(instance) == [FAST, NOT_COMPILED, NOT_COMPILED, NOT_COMPILED]
    pool.fail()
    assert calling.value() == 3  # it was compiled after all, since the job gave nothing


def test_a_function_that_is_little_of_a_batch_is_compiled_by_who_calls_it(make, monkeypatch):
    pool = Pool(monkeypatch)
    long = "(drop (i32.const 1))" * 400
    instance = make(f"""(module
      (func (export "a") (param i32) (result i32)
        (drop (i32.div_u (i32.const 1) (local.get 0)))
        (call $b)
        (if (i32.eq (local.get 0) (i32.const 2)) (then (unreachable)))
        (call $long))
      (func $b (result i32) (i32.const 3)) (func $long {long}))""")
    call_in_vain(instance)
    assert pool.functions == [[1, 2]]
    with pytest.raises(Trap, match="unreachable"):
        instance.exports.a(2)
    assert levels(instance) == [FAST, FAST, NOT_COMPILED]


def test_jobs_that_fail_leave_functions_to_their_first_calls(make, monkeypatch):
    pool = Pool(monkeypatch)
    instance = make(CHAIN)
    call_in_vain(instance)
    pool.fail()
    assert levels(instance) == [FAST, NOT_COMPILED, NOT_COMPILED, NOT_COMPILED]
    assert instance.exports.a(1) == 3


def test_a_stopped_guest_does_not_wait_for_a_job(make, monkeypatch):
    Pool(monkeypatch)
    instance = make(CHAIN)
    call_in_vain(instance)
    invocation = instance.function("a").invocation((1,))
    running = Background(invocation.run)
    wait_until(lambda: instance.engine.group._wakers)
    invocation.terminate("enough")
    with pytest.raises(TerminatedError, match="enough"):
        running.value()


def test_while_the_guest_waits_for_a_job_of_its_own_what_may_be_called_is_compiled(make, monkeypatch):
    monkeypatch.setattr("farcall.engine.tiers.lookahead._PATIENCE", -1)  # it is waited for, however long
    code = make(CHAIN).engine._code
    pool = Pool(monkeypatch)
    lookahead = Lookahead(OPTIONS, CompilePool(processes=2), lambda *_: None)
    lookahead.called(code, 0)
    assert pool.functions == []
    with lookahead.while_compiled_elsewhere(code):
        assert pool.functions == [[1, 2]]
        pool.fail()
        assert pool.functions == [[1, 2], [3, 1, 2]]
    pool.fail()
    assert pool.functions == [[1, 2], [3, 1, 2]]
