"""Jobs are done elsewhere, once, in order of urgency, and can be given up."""

from __future__ import annotations

import os
from concurrent.futures import CancelledError, wait
from pathlib import Path

import pytest

from farcall.engine import ClosedError, EngineBug, ExhaustionError, QueueFullError
from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.codegen.target import host_target
from farcall.engine.jobs.job import AHEAD, BACKGROUND, FOREGROUND, LEISURE
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.lowering import lower_functions
from tests.engine.guests import wasm
from tests.engine.jobs.jobs import OPTIONS, job_for, small_text
from tests.engine.jobs.process_tree import is_running, job_process, levels, wait_until


def occupied(pool, endless):
    """The ticket of a job that is under way, and does not end by itself."""
    ticket = pool.submit(job_for(endless))
    wait_until(lambda: pool.statistics().running == 1)
    return ticket


def test_what_is_urgent_does_not_wait_for_what_is_less_urgent_to_end(pool, small, endless):
    """And what is less urgent waits for all that is more urgent."""
    background = pool.submit(job_for(endless, priority=BACKGROUND))
    wait_until(lambda: pool.statistics().running == 1)
    waiting = pool.submit(job_for(small, priority=LEISURE))
    again = pool.submit(job_for(small, optimization=Optimization.FAST, priority=BACKGROUND))
    assert pool.submit(job_for(small, priority=FOREGROUND, linked=False)).result().object is not None
    assert (pool.statistics().running, pool.statistics().queued) == (1, 2)
    background.cancel()
    assert again.result().image is not None
    assert waiting.result().image is not None


@pytest.mark.parametrize("optimization", Optimization)
def test_a_job_gives_what_compiling_in_this_process_gives(pool, small, optimization):
    compiled = pool.submit(job_for(small, optimization=optimization)).result()
    text = lower_functions(small, context_layout(small), OPTIONS, small.functions)
    expected = compile_to_object(text, host_target(), optimization)
    assert compiled.linked_image() == link([read_object(expected)])
    assert compiled.object is None
    assert compiled.seconds > 0
    assert compiled.peak_memory > 1 << 20
    unlinked = pool.submit(job_for(small, optimization=optimization, linked=False)).result()
    assert (unlinked.image, unlinked.object) == (None, expected)


def test_some_functions_of_a_module_are_compiled(pool, small):
    image = pool.submit(job_for(small, [2, 0])).result().linked_image()
    assert {name for _, _, name in image.functions} == {"f0", "f2"}


def test_a_defect_is_told_with_where_it_is(pool, small):
    with pytest.raises(
        EngineBug, match=r"(?s)functions 1 to 7 could not be compiled:.*Traceback.*IndexError"
    ):
        pool.submit(job_for(small, [1, 7])).result()
    assert pool.submit(job_for(small)).result().image is not None


def test_the_same_job_twice_is_one_job(pool, small, endless):
    first = occupied(pool, endless)
    tickets = [pool.submit(job_for(small)) for _ in range(5)]
    assert pool.statistics().queued == 1
    first.cancel()
    assert len({id(ticket.result().image) for ticket in tickets}) == 1
    assert pool.statistics().compiled == 1


def test_a_job_under_way_is_joined(pool, endless):
    first, second = occupied(pool, endless), pool.submit(job_for(endless))
    assert (pool.statistics().queued, pool.statistics().running) == (0, 1)
    process = job_process()
    assert first.cancel()
    assert pool.statistics().cancelled == 0
    assert is_running(process)  # the second waits for it still
    assert second.cancel()
    assert pool.statistics().cancelled == 1
    wait_until(lambda: not is_running(process))


@pytest.mark.parametrize(
    "change",
    [
        {"optimization": Optimization.FAST},
        {"functions": [0]},
        {"linked": False},
        {"options": OPTIONS.__class__(False, False)},
    ],
)
def test_jobs_that_differ_are_different(pool, small, endless, change):
    blocking = occupied(pool, endless)
    pool.submit(job_for(small))
    pool.submit(job_for(small, **change))
    assert pool.statistics().queued == 2
    blocking.cancel()


def test_a_waiting_job_that_is_cancelled_never_begins(pool, small, endless):
    blocking = occupied(pool, endless)
    ticket = pool.submit(job_for(small))
    assert ticket.cancel()
    assert ticket.cancelled()
    assert ticket.cancel()
    with pytest.raises(CancelledError):
        ticket.result()
    assert pool.statistics().queued == 0
    blocking.cancel()
    wait_until(lambda: pool.statistics().running == 0)
    assert (pool.statistics().compiled, pool.statistics().cancelled) == (0, 2)


def test_a_job_under_way_that_is_cancelled_ends_and_the_next_runs(pool, small, endless):
    ticket = occupied(pool, endless)
    process = job_process()
    following = pool.submit(job_for(small))
    assert ticket.cancel()
    assert wait([ticket], 0).done == {ticket}
    assert following.result().image is not None
    wait_until(lambda: not is_running(process))


def test_what_is_done_cannot_be_cancelled(pool, small):
    ticket = pool.submit(job_for(small))
    ticket.result()
    assert not ticket.cancel()
    assert ticket.result().image is not None


def test_a_cancelled_job_can_be_asked_for_again(pool, small, endless):
    blocking = occupied(pool, endless)
    pool.submit(job_for(small)).cancel()
    again = pool.submit(job_for(small))
    blocking.cancel()
    assert again.result().image is not None


def test_a_full_queue_refuses(endless):
    modules = [decode_module(wasm(small_text(f"m{index}"))) for index in range(3)]
    pool = CompilePool(processes=1, queue_limit=2)
    try:
        blocking = occupied(pool, endless)
        waiting = [pool.submit(job_for(module)) for module in modules[:2]]
        with pytest.raises(QueueFullError, match="2 compile jobs wait already"):
            pool.submit(job_for(modules[2]))
        joined = pool.submit(job_for(modules[0]))  # what waits already needs no place
        waiting[1].cancel()
        waiting.append(pool.submit(job_for(modules[2])))
        blocking.cancel()
        assert all(ticket.result().image for ticket in (waiting[0], waiting[2], joined))
    finally:
        pool.close()


def test_the_more_urgent_job_is_first_and_can_become_so(pool, endless):
    modules = [decode_module(wasm(small_text(f"m{index}"))) for index in range(3)]
    blocking = occupied(pool, endless)
    order = []
    for index, priority in enumerate((BACKGROUND, BACKGROUND, FOREGROUND)):
        ticket = pool.submit(job_for(modules[index], priority=priority))
        ticket.add_done_callback(lambda _ticket, index=index: order.append(index))
    urgent = pool.submit(job_for(modules[1], priority=FOREGROUND))
    blocking.cancel()
    urgent.result()
    wait_until(lambda: len(order) == 3)
    assert order == [2, 1, 0]


def test_closing_ends_what_waits_and_what_runs(small, endless):
    pool = CompilePool(processes=1)
    running = occupied(pool, endless)
    waiting = pool.submit(job_for(small))
    pool.close()
    for ticket in (running, waiting):
        with pytest.raises(ClosedError):
            ticket.result()
    with pytest.raises(ClosedError):
        pool.submit(job_for(small))
    pool.close()


def test_jobs_stand_back_behind_this_process(endless):
    pool = CompilePool(processes=1, nice=7)
    occupied(pool, endless)
    process = job_process()
    assert os.getpriority(os.PRIO_PROCESS, process) == min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
    pool.close()


def test_what_nobody_waits_for_stands_back_further(endless):
    pool = CompilePool(processes=1, nice=7)
    pool.submit(job_for(endless, priority=LEISURE))
    process, own = job_process(), os.getpriority(os.PRIO_PROCESS, 0)
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, process) == max(15, min(own + 7, 19)))
    pool.close()


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="a kernel with CONFIG_SCHED_AUTOGROUP is needed"
)
@pytest.mark.parametrize("priority", [FOREGROUND, BACKGROUND, LEISURE])
def test_its_session_stands_back_as_well(endless, priority):
    own = Path("/proc/self/autogroup").read_text()
    niceness = max(15, min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)) if priority == LEISURE else 0
    pool = CompilePool(processes=1, nice=7)
    pool.submit(job_for(endless, priority=priority))
    session = Path(f"/proc/{job_process()}/autogroup")
    wait_until(lambda: session.read_text().endswith(f" nice {niceness}\n"))
    pool.close()
    assert Path("/proc/self/autogroup").read_text() == own


def test_several_jobs_run_at_a_time(endless):
    pool = CompilePool(processes=2)
    modules = [endless, decode_module(endless.source + b"\0\2\1x")]
    tickets = [pool.submit(job_for(module)) for module in modules]
    wait_until(lambda: pool.statistics().running == 2 and len(levels()) == 3 and len(levels()[2]) == 2)
    tickets[0].cancel()
    pool.close()


def test_what_is_less_urgent_leaves_a_core_to_the_guest_while_there_are_jobs_ahead(endless, small):
    pool = CompilePool(processes=2)
    others = [decode_module(endless.source + bytes((0, 2, 1, number))) for number in range(2)]
    ahead = pool.submit(job_for(endless, priority=AHEAD))
    wait_until(lambda: pool.statistics().running == 1)
    background = [pool.submit(job_for(module, priority=BACKGROUND)) for module in others]
    assert pool.submit(job_for(small, priority=AHEAD)).result().image is not None
    assert (pool.statistics().running, pool.statistics().queued) == (1, 2)
    ahead.cancel()
    wait_until(lambda: pool.statistics().running == 2)  # both may begin at once
    for ticket in background:
        ticket.cancel()
    pool.close()


def test_without_another_thread_it_is_refused_and_leaves_nothing(pool, small, monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    for _ in range(2):
        with pytest.raises(ExhaustionError, match="no thread for compile jobs can be started: can't start"):
            pool.submit(job_for(small))
    assert pool.statistics().queued == 0
    monkeypatch.undo()
    assert pool.submit(job_for(small)).result().image is not None
