"""Call sites: where a job waits for an answer, and other jobs run in the middle of it."""

import asyncio
import threading
from collections import deque

import pytest

from farcall.engine import Stoppable, TerminatedError
from farcall.server.errors import CallStoppedError, StopReason
from farcall.server.execution.call_site import CallSite, within_call
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import Job, running_stoppable

INFINITE = float("inf")


@pytest.fixture
async def executor():
    executor = Executor(asyncio.get_running_loop(), 2)
    yield executor
    await asyncio.to_thread(executor.workers.stop)


class Waiting:
    """A job that waits in a site of its queue."""

    def __init__(self, executor):
        self.executor = executor
        self.queue = executor.new_queue()
        self.sites = deque()
        self.there = threading.Event()
        self.job = Job(self._work, deque())
        self.task = asyncio.create_task(executor.run(self.queue, self.job, lambda: INFINITE, INFINITE))

    def _work(self, stoppable):
        self.thread = threading.get_ident()
        self.sites.append(self.executor.new_site(self.queue))
        self.there.set()
        return self.sites[0].wait(stoppable)

    async def site(self):
        await asyncio.to_thread(self.there.wait)
        return self.sites[0]


def other(work):
    return Job(work, deque())


async def test_jobs_within_the_call_run_in_its_thread_before_the_answer(executor):
    waiting = Waiting(executor)
    site = await waiting.site()
    outside = asyncio.create_task(
        executor.run(waiting.queue, other(lambda _: "outside"), lambda: INFINITE, INFINITE)
    )
    within_call.set(site)
    for number in range(3):
        job = other(lambda stoppable: (threading.get_ident(), running_stoppable() is stoppable))
        found = await executor.run(waiting.queue, job, lambda: INFINITE)
        assert found == (waiting.thread, True), number
    assert not outside.done()
    site.answer("answer")
    assert await waiting.task == "answer"
    assert await outside == "outside"


async def test_jobs_of_other_queues_do_not_run_within_the_call(executor):
    waiting = Waiting(executor)
    site = await waiting.site()
    within_call.set(site)
    job = other(lambda _: threading.get_ident())
    assert await executor.run(executor.new_queue(), job, lambda: INFINITE) != waiting.thread
    site.answer(None)
    await waiting.task
    # The call has ended: what still names it takes its turn as any other.
    assert await executor.run(waiting.queue, other(lambda _: 1), lambda: INFINITE) == 1


async def test_calls_nest(executor):
    waiting = Waiting(executor)
    site = await waiting.site()
    inner_site = None
    there = threading.Event()

    def inner(stoppable):
        nonlocal inner_site
        inner_site = executor.new_site(waiting.queue)
        there.set()
        return inner_site.wait(stoppable)

    within_call.set(site)
    job = asyncio.create_task(executor.run(waiting.queue, other(inner), lambda: INFINITE))
    await asyncio.to_thread(there.wait)
    within_call.set(inner_site)
    assert (
        await executor.run(waiting.queue, other(lambda _: threading.get_ident()), lambda: 60)
        == waiting.thread
    )
    inner_site.answer("inner")
    assert await job == "inner"
    site.answer("outer")
    assert await waiting.task == "outer"


async def test_stopping_the_waiting_job_wakes_it(executor):
    waiting = Waiting(executor)
    await waiting.site()
    executor.stop(waiting.job, StopReason.DEADLINE)
    with pytest.raises(CallStoppedError):
        await waiting.task


async def test_a_job_that_waits_in_the_site_is_withdrawn(executor):
    waiting = Waiting(executor)
    site = await waiting.site()
    within_call.set(site)
    busy, go_on = threading.Event(), threading.Event()

    def block(_stoppable):
        busy.set()
        go_on.wait(60)

    blocking = asyncio.create_task(executor.run(waiting.queue, other(block), lambda: INFINITE))
    await asyncio.to_thread(busy.wait)
    late = other(lambda _: pytest.fail("it was stopped before it began"))
    with pytest.raises(CallStoppedError):
        await executor.run(waiting.queue, late, lambda: 0.05)
    go_on.set()
    await blocking
    site.answer(None)
    await waiting.task


def test_a_stop_wakes_who_waits_at_once_or_when_it_comes():
    woken = []
    stoppable = Stoppable()
    with stoppable.waking(lambda: woken.append("first")):
        assert not woken
        stoppable.terminate("enough")
        assert woken == ["first"]
    with stoppable.waking(lambda: woken.append("second")):
        assert woken == ["first", "second"]
    stoppable.terminate("again")
    assert woken == ["first", "second"]
    assert stoppable.reason == "enough"


def test_a_site_of_a_job_that_was_stopped_does_not_wait():
    stoppable = Stoppable()
    stoppable.terminate("enough")
    with pytest.raises(TerminatedError, match="enough"):
        CallSite(None, None).wait(stoppable)
