"""A whole module: in parallel, with less work where LLVM would take minutes, given up when nobody waits."""

from __future__ import annotations

import threading

import pytest
import wasmtime

from farcall.engine import (
    Cancellation,
    CompileCancelledError,
    CompileLimitError,
    CompileLimits,
    CompilerCrashError,
    Engine,
    ExhaustionError,
    QueueFullError,
    Store,
)
from farcall.engine.codegen.compiler import Optimization
from farcall.engine.jobs import batches, module_compiler
from farcall.engine.jobs import pool as pool_module
from farcall.engine.jobs.batches import body_bytes, split_into_batches
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.lowering import LoweringOptions
from tests.engine.guests import Background, wasm
from tests.engine.jobs.process_tree import is_running, job_process, wait_until

CHAIN = 30_000
"""Operations of which each needs the one before: LLVM's time grows with the square of their number."""
ANSWERS = 60
"""Functions in the module that is compiled in parts."""


def counted(value):
    """What the function of `chain` returns."""
    for _ in range(CHAIN):
        value = value.bit_count()
    return value


@pytest.fixture
def chain(engine):
    return engine.load_module(
        wasmtime.wat2wasm(
            '(module (func (export "f") (param i64) (result i64) (local.get 0)' + " i64.popcnt" * CHAIN + "))"
        )
    )


@pytest.fixture
def chain_and_more(engine):
    """One function that takes too long, and many that do not."""
    others = "".join(
        f'(func (export "g{index}") (result i32) {"(i32.const 1) drop " * 400} (i32.const {index}))'
        for index in range(40)
    )
    text = '(func (export "f") (param i64) (result i64) (local.get 0)' + " i64.popcnt" * CHAIN + ")"
    return engine.load_module(wasm(f"(module {others} {text})"))


@pytest.fixture
def parts(monkeypatch, engine):
    """A module that is compiled by several jobs; its functions call each other."""
    monkeypatch.setattr(batches, "_SMALLEST_BATCH", 500)
    monkeypatch.setattr(batches, "_LARGEST_BATCH", 1000)
    filling = "(local.set 0 (i32.add (local.get 0) (i32.const 0)))" * 20
    functions = "".join(
        f'(func $f{index} (export "f{index}") (param i32) (result i32) {filling}'
        f" (i32.add (i32.const {index})"
        f" (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))"
        f" (else (call $f{(index * 7 + 1) % ANSWERS} (i32.sub (local.get 0) (i32.const 1)))))))"
        for index in range(ANSWERS)
    )
    return engine.load_module(wasm(f"(module {functions})"))


def answer(index, depth):
    total = index
    for _ in range(depth):
        index = (index * 7 + 1) % ANSWERS
        total += index
    return total


def failing(monkeypatch, kind, error):
    """Let jobs of one kind fail; how many there were."""
    submit, attempts = CompilePool.submit, []

    def failing_submit(self, job):
        ticket = submit(self, job)
        if job.optimization is kind:
            attempts.append(job)
            ticket.cancel()
            failed = type(ticket)(self, ticket._pending)
            failed.set_exception(error(job))
            return failed
        return ticket

    monkeypatch.setattr(CompilePool, "submit", failing_submit)
    return attempts


def test_functions_of_different_jobs_call_each_other(engine, parts):
    with Store(engine) as store:
        exports = store.instantiate(parts).exports
        assert engine.statistics().compile_jobs.compiled > 5
        for index in (0, 3, ANSWERS - 1):
            assert exports[f"f{index}"](10) == answer(index, 10)


def test_the_image_does_not_depend_on_which_job_ends_first(parts, monkeypatch):
    monkeypatch.setattr(
        module_compiler, "split_into_batches", lambda *arguments: split_into_batches(*arguments[:2], 1)
    )
    images = []
    for processes in (1, 3):
        pool = CompilePool(processes=processes)
        compiler = module_compiler.ModuleCompiler(pool)
        options = LoweringOptions(ensure_termination=True, listeners=False)
        images.append(compiler.compile(parts, options, lambda _: None, Cancellation()))
        assert pool.statistics().compiled > 5
        pool.close()
    assert images[0] == images[1]


def test_progress_is_told(engine, parts):
    told = []
    engine.compile_module(parts, progress=told.append)
    assert len(told) > 5
    assert all(progress.functions == ANSWERS and progress.fast == 0 for progress in told)
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert (told[0].done, told[-1].done) == (0, ANSWERS)
    assert told[-1].bytes == told[-1].bytes_done == body_bytes(parts, range(ANSWERS))
    engine.compile_module(parts, progress=told.append)
    assert told[-1].done == ANSWERS


def test_what_takes_too_long_runs_unoptimised_and_the_rest_does_not(engine, chain_and_more, monkeypatch):
    allowed = pool_module.allowed_seconds

    def little_for_the_chain(module, functions, kind):
        hopeless = 40 in functions and kind is Optimization.FULL
        return 2 if hopeless else allowed(module, functions, kind)

    monkeypatch.setattr(pool_module, "allowed_seconds", little_for_the_chain)
    monkeypatch.setattr(batches, "_LARGEST_BATCH", 8000)
    told = []
    engine.compile_module(chain_and_more, ensure_termination=True, progress=told.append)
    assert (told[-1].optimized, told[-1].fast) == (40, 1)
    with Store(engine) as store:
        exports = store.instantiate(chain_and_more).exports
        for value in (0, 1, 7, 0x7FFFFFFFFFFFFFFF):
            assert exports.f(value) == counted(value)
        assert exports.g7() == 7


def test_what_takes_too_long_even_so_is_refused_and_leaves_nothing():
    with Engine(code_policy="optimized", compile_limits=CompileLimits(seconds=1)) as engine:
        locals_ = "(local.set 0 (i64.add (local.get 0) (i64.div_u (local.get 0) (i64.const 3))))"
        text = f"(func (param i64) {locals_ * 150_000})"
        module = engine.load_module(wasm(f"(module {text})"))
        with pytest.raises(CompileLimitError, match=r"functions? .* could not be compiled: .* more than 1 s"):
            engine.compile_module(module)
        assert engine.compiled_module_count() == 0
        assert engine.statistics().compile_jobs.queued == 0


@pytest.mark.parametrize(
    "error",
    [
        lambda job: CompilerCrashError(job.functions, "it crashed"),
        lambda job: CompileLimitError(job.functions, "memory", 1 << 20),
    ],
)
def test_after_some_failures_nothing_more_is_optimised(engine, parts, monkeypatch, error):
    attempts = failing(monkeypatch, Optimization.FULL, error)
    told = []
    engine.compile_module(parts, ensure_termination=True, progress=told.append)
    assert (told[-1].optimized, told[-1].fast) == (0, ANSWERS)
    assert len(attempts) > 3
    with Store(engine) as store:
        assert store.instantiate(parts).exports.f3(10) == answer(3, 10)


def test_a_crash_without_optimisation_is_the_modules_error(engine, parts, monkeypatch):
    failing(monkeypatch, Optimization.FULL, lambda job: CompilerCrashError(job.functions, "it crashed"))
    failing(monkeypatch, Optimization.FAST, lambda job: CompilerCrashError(job.functions, "again"))
    with pytest.raises(CompilerCrashError, match=r"functions 0 to .* could not be compiled: again"):
        engine.compile_module(parts)
    monkeypatch.undo()
    assert engine.compiled_module_count() == 0
    with Store(engine) as store:
        assert store.instantiate(parts).exports.f3(10) == answer(3, 10)


def test_a_full_queue_refuses_the_module_and_drops_its_jobs(parts):
    with Engine(code_policy="optimized", compile_limits=CompileLimits(processes=1, queue=2)) as engine:
        with pytest.raises(QueueFullError):
            engine.compile_module(parts)
        wait_until(lambda: engine.statistics().compile_jobs.running == 0)
        assert engine.statistics().compile_jobs.queued == 0


def test_cancelling_ends_the_job(engine, chain):
    cancellation = Cancellation()
    compiling = Background(lambda: engine.compile_module(chain, cancellation=cancellation))
    process = job_process()
    cancellation.cancel()
    assert isinstance(compiling.join().error, CompileCancelledError)
    wait_until(lambda: not is_running(process))
    wait_until(lambda: engine.compiled_module_count() == 0)
    assert engine.statistics().compile_jobs.cancelled == 1


def test_what_is_cancelled_already_is_not_begun(engine, parts):
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CompileCancelledError):
        engine.compile_module(parts, cancellation=cancellation)
    wait_until(lambda: engine.statistics().compile_jobs.running == 0)
    assert engine.compile_module(parts).module is parts


@pytest.mark.parametrize("leaving", [0, 1])
def test_who_cancels_leaves_and_who_waits_gets_the_code(engine, chain, leaving):
    """Whoever began it, and whoever came later."""
    cancellations = [Cancellation(), Cancellation()]
    told = [[], []]
    callers = []
    for cancellation, listener in zip(cancellations, told, strict=True):
        callers.append(
            Background(
                lambda cancellation=cancellation, listener=listener: engine.compile_module(
                    chain, cancellation=cancellation, progress=listener.append
                )
            )
        )
        wait_until(lambda listener=listener: listener)
    process = job_process()
    cancellations[leaving].cancel()
    assert isinstance(callers[leaving].join().error, CompileCancelledError)
    assert is_running(process)
    assert callers[1 - leaving]._thread.is_alive()
    cancellations[1 - leaving].cancel()
    assert isinstance(callers[1 - leaving].join().error, CompileCancelledError)
    wait_until(lambda: not is_running(process))


def test_many_who_want_the_same_cost_one_compilation(engine, parts):
    barrier = threading.Barrier(6)

    def ask():
        barrier.wait()
        return engine.compile_module(parts)

    codes = {id(thread.value().code) for thread in [Background(ask) for _ in range(6)]}
    assert len(codes) == 1
    statistics = engine.statistics()
    assert (statistics.compilations, statistics.cache_hits) == (1, 5)


def test_a_listener_that_fails_is_its_callers_error(engine, parts):
    def fail(_):
        raise ValueError("no paper")

    with pytest.raises(ValueError, match="no paper"):
        engine.compile_module(parts, progress=fail)
    wait_until(lambda: engine.statistics().compile_jobs.running == 0)
    assert engine.compile_module(parts).module is parts


def test_closing_the_engine_ends_its_jobs(chain):
    engine = Engine(code_policy="optimized")
    compiling = Background(lambda: engine.compile_module(chain))
    process = job_process()
    engine.close()
    assert compiling.join().error is not None
    wait_until(lambda: not is_running(process))


def test_without_another_process_it_is_refused(engine, parts, monkeypatch):
    from farcall.engine.jobs.processes import TEMPLATE

    TEMPLATE.close()
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ExhaustionError, match="no process to compile in can be started"):
        engine.compile_module(parts)


def test_small_modules_need_no_process(engine):
    with Store(engine) as store:
        module = engine.load_module(wasm('(module (func (export "f") (result i32) (i32.const 7)))'))
        told = []
        engine.compile_module(module, ensure_termination=True, progress=told.append)
        assert store.instantiate(module).exports.f() == 7
    assert engine.statistics().compile_jobs.compiled == 0
    assert told[-1].done == 1


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_batches_give_all_processes_work_and_hold_each_function_once(processes, monkeypatch):
    monkeypatch.setattr(batches, "_SMALLEST_BATCH", 20)
    sizes = [1, 30, 2, 2, 2, 100, 1] * 10
    bodies = "".join(f"(func {'nop ' * size})" for size in sizes)
    with Engine() as engine:
        module = engine.load_module(wasm(f"(module {bodies})"))
        functions = range(len(sizes))
        divided = split_into_batches(module, functions, processes)
    assert [index for batch in divided for index in batch] == list(functions)
    assert len(divided) >= processes
    assert split_into_batches(module, [], processes) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("processes", 0), ("queue", 0), ("seconds", 0), ("memory_bytes", 0), ("nice", 20), ("idle_seconds", -1)],
)
def test_limits_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        CompileLimits(**{name: value})
