"""Whatever a job's process does, it concerns that job alone; and no process or descriptor is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from farcall.engine import ClosedError, CompileLimitError, CompilerCrashError, ExhaustionError
from farcall.engine.binary import decode_module
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.jobs.processes import TEMPLATE
from tests.engine.guests import wasm
from tests.engine.jobs.jobs import job_for, small_text
from tests.engine.jobs.process_tree import below, is_running, job_process, levels, wait_until


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_is_an_error_of_that_job_alone(small, endless, number):
    pool = CompilePool(processes=1)
    ticket, other = pool.submit(job_for(endless)), pool.submit(job_for(small))
    os.kill(job_process(), number)
    with pytest.raises(
        CompilerCrashError, match=f"function 0 could not be compiled: its process was ended by {number.name}"
    ) as caught:
        ticket.result()
    assert caught.value.functions == (0,)
    assert other.result().image is not None
    assert pool.statistics().failed == 1
    pool.close()


def test_a_runaway_is_ended(pool, small, endless):
    with pytest.raises(
        CompileLimitError, match="function 0 could not be compiled: that takes more than 1 s"
    ) as caught:
        pool.submit(job_for(endless, seconds=1)).result()
    assert (caught.value.functions, caught.value.resource, caught.value.limit) == ((0,), "time", 1)
    assert pool.submit(job_for(small)).result().image is not None


def test_a_pools_limit_of_time_is_for_all_jobs(endless):
    pool = CompilePool(processes=1, seconds_limit=1)
    for seconds in (600, None):
        with pytest.raises(CompileLimitError, match="that takes more than 1 s"):
            pool.submit(job_for(endless, seconds=seconds)).result()
    pool.close()


@pytest.mark.parametrize("mebibytes", [1, 300])
def test_what_takes_too_much_memory_is_ended(mebibytes, small, large):
    pool = CompilePool(processes=1, memory_limit=mebibytes << 20)
    with pytest.raises(CompileLimitError, match=f"that takes more than {mebibytes} MiB of memory") as caught:
        pool.submit(job_for(large)).result()
    assert (caught.value.resource, caught.value.limit) == ("memory", mebibytes << 20)
    pool.close()


@pytest.fixture(scope="session")
def large():
    """A module that takes LLVM some hundred megabytes."""
    body = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.load (local.get 0))))" * 200
    functions = f"(func (param i32) (result i32) {body} (local.get 0))" * 200
    return decode_module(wasm(f"(module (memory 1) {functions})"))


@pytest.mark.parametrize("level", [0, 1])
def test_a_lost_process_is_replaced(small, endless, level):
    """The template process (level 0) and the module process, both while a job runs and while none does."""
    pool = CompilePool(processes=1)
    ticket = pool.submit(job_for(endless))
    job_process()
    wait_until(lambda: killed(level))
    ticket.cancel()
    assert pool.submit(job_for(small)).result().image is not None
    wait_until(lambda: killed(level))
    assert pool.submit(job_for(small, [0])).result().image is not None
    pool.close()


def killed(level: int) -> bool:
    """Kill a process of that level; whether there was one."""
    try:
        os.kill(levels()[level][0], signal.SIGKILL)
    except (IndexError, ProcessLookupError):  # one that is seen may be about to end
        return False
    return True


def test_a_module_whose_process_is_lost_again_is_given_up(endless, small):
    pool = CompilePool(processes=1)
    ticket = pool.submit(job_for(endless))
    for _ in range(2):
        job = job_process()
        os.kill(levels()[1][0], signal.SIGKILL)
        wait_until(lambda: not is_running(job))  # noqa: B023 - called at once
    with pytest.raises(CompilerCrashError, match="the process that has the module ended"):
        ticket.result()
    assert pool.submit(job_for(small)).result().image is not None
    pool.close()


def test_idle_processes_end(small, monkeypatch):
    monkeypatch.setattr("farcall.engine.jobs.processes._IDLE_SECONDS", 0.0)
    pool = CompilePool(processes=2, idle_seconds=0.0)
    for _ in range(2):
        assert pool.submit(job_for(small)).result().image is not None
        wait_until(lambda: levels() == [])
    pool.close()


def test_closing_leaves_no_process_and_no_descriptor(endless):
    TEMPLATE.close()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(2):
        pool = CompilePool(processes=2)
        pool.submit(job_for(endless))
        modules = [decode_module(wasm(small_text(f"m{index}"))) for index in range(8)]
        for ticket in [pool.submit(job_for(module)) for module in modules]:
            ticket.result()
        job_process()
        pool.close()
        TEMPLATE.close()
        wait_until(lambda: levels() == [])
        assert sorted(os.listdir("/proc/self/fd")) == before


def test_few_modules_are_kept_decoded():
    pool = CompilePool(processes=1)
    for index in range(8):
        pool.submit(job_for(decode_module(wasm(small_text(f"m{index}"))))).result()
    wait_until(lambda: len(levels()[1]) == 4)
    pool.close()


def test_without_another_process_it_is_refused(pool, small, monkeypatch):
    TEMPLATE.close()
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ExhaustionError, match=r"no process to compile in can be started: .*/nowhere/python"):
        pool.submit(job_for(small)).result()
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(ExhaustionError, match="no process to compile in can be started: it ended before"):
        pool.submit(job_for(small)).result()
    monkeypatch.undo()
    assert pool.submit(job_for(small)).result().image is not None


def test_nobody_waits_for_processes_that_start_slowly(small, monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 100000\n")
    slow.chmod(0o755)
    TEMPLATE.close()
    monkeypatch.setattr("sys.executable", str(slow))
    pool = CompilePool(processes=2)
    assert pool.submit(job_for(small)).cancel()
    ticket = pool.submit(job_for(small))
    pool.close()
    with pytest.raises(ClosedError):
        ticket.result()
    TEMPLATE.close()


def test_a_forked_process_compiles_by_itself(pool, small, endless):
    ticket = pool.submit(job_for(endless))
    job_process()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            compiled = pool.submit(job_for(small)).result()
            pool.close()
            TEMPLATE.close()
            status = compiled.image is None
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert not ticket.done()
    ticket.cancel()
    assert pool.submit(job_for(small)).result().image is not None


PROGRAM = """
import sys
from farcall.engine.binary import decode_module
from farcall.engine.jobs.pool import CompilePool
from tests.engine.guests import wasm
from tests.engine.jobs.jobs import ENDLESS_TEXT, job_for, small_text
pool = CompilePool(processes=1)
pool.submit(job_for(decode_module(wasm(small_text())))).result()
if sys.argv[1] == "running":
    pool.submit(job_for(decode_module(wasm(ENDLESS_TEXT))))
    print("running", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_ends_with_jobs_done_ends_quietly():
    outcome = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PROGRAM, "done"], capture_output=True, text=True, check=False
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


@pytest.mark.parametrize("kill", [False, True])
def test_when_the_process_goes_its_jobs_go(kill):
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PROGRAM, "running"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"running\n"
        wait_until(lambda: len(levels(process.pid)) == 3)
        all_of_them = below(process.pid)
        if kill:
            process.kill()
        _, errors = process.communicate()
        assert (process.returncode, errors) == (-signal.SIGKILL if kill else 0, b"")
    wait_until(lambda: not any(map(is_running, all_of_them)))
