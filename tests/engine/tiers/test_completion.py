"""All functions of a module are compiled before somebody goes on, whatever was called of it until then."""

from __future__ import annotations

import pytest

from farcall.engine import (
    Cancellation,
    CompileCancelledError,
    CompileLimits,
    CompilerCrashError,
    Engine,
    QueueFullError,
    Store,
)
from farcall.engine.codegen.compiler import Optimization
from farcall.engine.jobs import batches
from farcall.engine.jobs.pool import CompilePool
from tests.engine.guests import Background, wasm
from tests.engine.jobs.jobs import ENDLESS_TEXT
from tests.engine.jobs.process_tree import is_running, job_process, levels, wait_until

FUNCTIONS = 40


@pytest.fixture(autouse=True)
def _no_others():
    wait_until(lambda: len(levels()) <= 1)


@pytest.fixture
def module(monkeypatch, engine):
    """Compiled by several jobs; each function calls the next."""
    monkeypatch.setattr(batches, "_SMALLEST_BATCH", 500)
    monkeypatch.setattr(batches, "_LARGEST_BATCH", 1000)
    filling = "(local.set 0 (i32.add (local.get 0) (i32.const 0)))" * 20
    functions = "".join(
        f'(func $f{index} (export "f{index}") (param i32) (result i32) {filling}'
        f" (if (result i32) (i32.eqz (local.get 0)) (then (i32.const {index}))"
        f" (else (call $f{(index + 1) % FUNCTIONS} (i32.sub (local.get 0) (i32.const 1))))))"
        for index in range(FUNCTIONS)
    )
    return engine.load_module(wasm(f"(module {functions})"))


def check(engine, compiled):
    with Store(engine) as store:
        exports = store.instantiate(compiled).exports
        for index in (0, 7, FUNCTIONS - 1):
            assert exports[f"f{index}"](100) == (index + 100) % FUNCTIONS


def failing(monkeypatch, hopeless):
    """Let jobs with certain functions and optimisation fail."""
    submit = CompilePool.submit

    def failing_submit(self, job):
        ticket = submit(self, job)
        if not hopeless(job):
            return ticket
        ticket.cancel()
        failed = type(ticket)(self, ticket._pending)
        failed.set_exception(CompilerCrashError(job.functions, "it crashed"))
        return failed

    monkeypatch.setattr(CompilePool, "submit", failing_submit)


def test_all_is_optimised_and_told(engine, module):
    compiled = engine.compile_module(module, ensure_termination=True)
    assert engine.statistics().compile_jobs.compiled == 0
    told = []
    last = engine.complete(compiled, progress=told.append)
    assert len(told) > 5
    assert told[0].done == 0
    assert (last.optimized, last.fast, last.functions) == (FUNCTIONS, 0, FUNCTIONS)
    assert (told[-1], last.bytes_done) == (last, last.bytes)
    jobs = engine.statistics().compile_jobs.compiled
    assert engine.complete(compiled, progress=told.append) == last
    check(engine, compiled)
    assert engine.statistics().compile_jobs.compiled == jobs


def test_what_was_called_already_is_completed(engine, module):
    compiled = engine.compile_module(module, ensure_termination=True)
    check(engine, compiled)
    assert engine.complete(compiled).optimized == FUNCTIONS
    check(engine, compiled)


def test_what_can_stop_can_stop_afterwards(engine):
    module = engine.load_module(wasm('(module (func (export "spin") (loop (br 0))))'))
    compiled = engine.compile_module(module, ensure_termination=True)
    engine.complete(compiled)
    store = Store(engine)
    spinning = Background(store.instantiate(compiled).exports.spin)
    threading_wait = spinning.join
    store.close()
    assert threading_wait().error is not None


def test_what_cannot_be_optimised_is_found_by_halves_and_compiled_fast(engine, module, monkeypatch):
    failing(monkeypatch, lambda job: 13 in job.functions and job.optimization is Optimization.FULL)
    compiled = engine.compile_module(module, ensure_termination=True)
    last = engine.complete(compiled)
    assert (last.optimized, last.fast) == (FUNCTIONS - 1, 1)
    check(engine, compiled)


def test_what_cannot_be_compiled_at_all_is_an_error(engine, module, monkeypatch):
    failing(monkeypatch, lambda job: 13 in job.functions)
    compiled = engine.compile_module(module, ensure_termination=True)
    with pytest.raises(CompilerCrashError, match="function 13 could not be compiled: it crashed"):
        engine.complete(compiled)
    wait_until(lambda: engine.statistics().compile_jobs.running == 0)
    monkeypatch.undo()
    check(engine, compiled)


def test_fast_is_completed_fast(module):
    with Engine(code_policy="fast") as engine:
        compiled = engine.compile_module(module, ensure_termination=True)
        last = engine.complete(compiled)
        assert (last.optimized, last.fast) == (0, FUNCTIONS)
        check(engine, compiled)


def test_a_full_queue_refuses_and_leaves_nothing(module):
    with Engine(compile_limits=CompileLimits(processes=1, queue=2)) as engine:
        compiled = engine.compile_module(module, ensure_termination=True)
        with pytest.raises(QueueFullError):
            engine.complete(compiled)
        wait_until(lambda: engine.statistics().compile_jobs.running == 0)
        assert engine.statistics().compile_jobs.queued == 0


@pytest.mark.parametrize("leaving", [0, 1])
def test_the_jobs_end_when_nobody_waits_any_more(engine, leaving):
    compiled = engine.compile_module(engine.load_module(wasm(ENDLESS_TEXT)), ensure_termination=True)
    cancellations, told = [Cancellation(), Cancellation()], [[], []]
    callers = []
    for cancellation, listener in zip(cancellations, told, strict=True):
        callers.append(
            Background(
                lambda cancellation=cancellation, listener=listener: engine.complete(
                    compiled, cancellation=cancellation, progress=listener.append
                )
            )
        )
        wait_until(lambda listener=listener: listener)
    process = job_process()
    cancellations[leaving].cancel()
    assert isinstance(callers[leaving].join().error, CompileCancelledError)
    assert is_running(process)
    cancellations[1 - leaving].cancel()
    assert isinstance(callers[1 - leaving].join().error, CompileCancelledError)
    wait_until(lambda: not is_running(process))
