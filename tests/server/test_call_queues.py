"""Queues, workers and jobs, without gRPC and without guests."""

import asyncio
import threading
import time
from collections import deque

import pytest
from farcall_service import PATIENCE

from farcall.engine import TerminatedError
from farcall.server.errors import CallStoppedError, StopReason
from farcall.server.execution.executor import WORTH_WAITING, Executor
from farcall.server.execution.job import Job
from farcall.server.function_binding import FunctionBinding


@pytest.fixture
async def executor():
    executor = Executor(asyncio.get_running_loop(), 4)
    yield executor
    await asyncio.to_thread(executor.workers.stop)


def forever():
    return float("inf")


def sleeping(seconds, result=None):
    def work(_stoppable):
        time.sleep(seconds)
        return result

    return work


def waiting_for(gate, result=None):
    def work(_stoppable):
        assert gate.wait(PATIENCE)
        return result

    return work


def until_stopped(stoppable):
    """What an endless guest looks like from outside."""
    while stoppable.reason is None:
        time.sleep(0.001)
    raise TerminatedError(stoppable.reason)


async def test_jobs_of_a_queue_run_in_order_and_one_at_a_time(executor):
    queue, pending, order, active = executor.new_queue(), deque(), [], []

    def work(number):
        def run(_stoppable):
            active.append(number)
            assert len(active) == 1
            time.sleep(0.0005 * (number % 3))
            order.append(number)
            active.remove(number)

        return run

    await asyncio.gather(*(executor.run(queue, Job(work(number), pending), forever) for number in range(100)))

    assert order == list(range(100))
    assert not pending
    assert executor.open_jobs == 0


async def test_queues_run_at_the_same_time(executor):
    barrier = threading.Barrier(4)
    jobs = [Job(lambda _stoppable: barrier.wait(PATIENCE), deque()) for _ in range(4)]

    await asyncio.gather(*(executor.run(executor.new_queue(), job, forever) for job in jobs))


async def test_more_queues_than_workers_all_get_their_turn(executor):
    queues = [executor.new_queue() for _ in range(20)]
    jobs = [(queue, Job(sleeping(0.002, number), deque())) for number, queue in enumerate(queues)]

    results = await asyncio.gather(*(executor.run(queue, job, forever) for queue, job in jobs))

    assert results == list(range(20))


async def test_a_busy_queue_lets_others_have_the_only_worker():
    executor = Executor(asyncio.get_running_loop(), 1)
    busy, other, order = executor.new_queue(), executor.new_queue(), []

    def note(name):
        return Job(lambda _stoppable: order.append(name), deque())

    gate = threading.Event()
    first = Job(waiting_for(gate), deque())
    runs = [asyncio.ensure_future(executor.run(busy, first, forever))]
    runs += [asyncio.ensure_future(executor.run(busy, note("busy"), forever)) for _ in range(300)]
    runs.append(asyncio.ensure_future(executor.run(other, note("other"), forever)))
    while executor.open_jobs < len(runs):
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*runs)

    assert order.index("other") < 100
    await asyncio.to_thread(executor.workers.stop)


async def test_errors_come_back(executor):
    def work(_stoppable):
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await executor.run(executor.new_queue(), Job(work, deque()), forever)


async def test_short_jobs_are_done_without_a_trip_through_the_loop(executor, monkeypatch):
    monkeypatch.setattr("farcall.server.execution.executor.PATIENCE", 5)
    job = Job(sleeping(0, 7), deque())

    assert executor.try_now(executor.new_queue(), job, 0.0)
    assert job.outcome() == 7


async def test_jobs_that_are_expected_to_be_long_are_not_waited_for(executor, monkeypatch):
    monkeypatch.setattr("farcall.server.execution.executor.PATIENCE", 1000)
    gate = threading.Event()
    queue, job = executor.new_queue(), Job(waiting_for(gate, 7), deque())

    assert not executor.try_now(queue, job, 1.0)
    gate.set()
    delivered = asyncio.Event()
    executor.attend(queue, job, PATIENCE, lambda _job: delivered.set())
    await delivered.wait()
    assert job.outcome() == 7


async def test_the_loop_s_patience_ends(executor):
    gate = threading.Event()
    job = Job(waiting_for(gate, 7), deque())
    task = asyncio.ensure_future(executor.run(executor.new_queue(), job, forever))
    await asyncio.sleep(0)

    assert not job.finished
    gate.set()
    assert await task == 7


async def test_a_job_is_stopped_when_its_time_is_over(executor):
    with pytest.raises(CallStoppedError, match="the time for the call is over"):
        await executor.run(executor.new_queue(), Job(until_stopped, deque()), lambda: 0.05)


async def test_a_job_that_waits_never_starts_once_stopped(executor):
    queue, pending, started = executor.new_queue(), deque(), []
    running = asyncio.ensure_future(executor.run(queue, Job(until_stopped, pending), forever))
    await asyncio.sleep(0.01)

    with pytest.raises(CallStoppedError, match="not started"):
        await executor.run(queue, Job(lambda _stoppable: started.append(1), pending), lambda: 0.02)

    assert len(pending) == 1
    assert executor.open_jobs == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    while pending:
        await asyncio.sleep(0.001)
    assert not started


async def test_all_jobs_of_an_instance_are_stopped(executor):
    queue, mine, others = executor.new_queue(), deque(), deque()
    stopped = [
        asyncio.ensure_future(executor.run(queue, Job(until_stopped, mine), forever)) for _ in range(3)
    ]
    spared = asyncio.ensure_future(executor.run(queue, Job(sleeping(0, 5), others), forever))
    await asyncio.sleep(0.01)

    executor.stop_all(StopReason.CLOSED, mine)

    for outcome in await asyncio.gather(*stopped, return_exceptions=True):
        assert isinstance(outcome, CallStoppedError)
    assert await spared == 5


async def test_merged_queues_keep_the_order_of_each(executor):
    first, second, order = executor.new_queue(), executor.new_queue(), []

    def note(name):
        return Job(lambda _stoppable: (time.sleep(0.001), order.append(name)), deque())

    runs = [asyncio.ensure_future(executor.run(first, note(("first", n)), forever, 1)) for n in range(10)]
    runs += [asyncio.ensure_future(executor.run(second, note(("second", n)), forever, 1)) for n in range(5)]
    await asyncio.sleep(0)
    hand_over = Job(lambda _stoppable: second.hand_over(first), deque())
    runs.append(asyncio.ensure_future(executor.run(second, hand_over, forever, 1)))
    await asyncio.sleep(0)
    runs += [
        asyncio.ensure_future(executor.run(second, note(("second", n)), forever, 1)) for n in range(5, 10)
    ]
    await asyncio.gather(*runs)

    assert second.current is first
    for name in ("first", "second"):
        assert [entry for entry in order if entry[0] == name] == [(name, number) for number in range(10)]
    async with asyncio.timeout(PATIENCE):
        while not first.idle:
            await asyncio.sleep(0.001)


async def test_queues_that_are_merged_into_each_other_make_no_circle(executor):
    for _ in range(50):
        one, two = executor.new_queue(), executor.new_queue()
        jobs = [
            (one, Job(lambda _stoppable, one=one, two=two: one.hand_over(two), deque())),
            (two, Job(lambda _stoppable, one=one, two=two: two.hand_over(one), deque())),
        ]
        await asyncio.wait_for(
            asyncio.gather(*(executor.run(queue, job, forever) for queue, job in jobs)), PATIENCE
        )

        assert one.current is two.current
        assert await executor.run(one.current, Job(sleeping(0, 3), deque()), forever) == 3


async def test_a_queue_can_be_used_on_the_loop_only_while_it_is_idle(executor):
    queue = executor.new_queue()
    assert queue.enter()
    assert not queue.enter()
    queue.leave()

    gate = threading.Event()
    run = asyncio.ensure_future(executor.run(queue, Job(waiting_for(gate), deque()), forever, 1))
    await asyncio.sleep(0)
    assert not queue.enter()
    gate.set()
    await run
    async with asyncio.timeout(PATIENCE):
        while not queue.enter():  # the worker may yet have to look whether there is more
            await asyncio.sleep(0.001)
    queue.leave()


async def test_the_estimate_of_a_call_s_time_follows_it_and_forgives_outliers():
    binding = FunctionBinding.__new__(FunctionBinding)
    binding.expected_seconds = 0.0

    binding.took(0.010)
    assert binding.expected_seconds < WORTH_WAITING
    for _ in range(30):
        binding.took(0.010)
    assert binding.expected_seconds > WORTH_WAITING
    for _ in range(10):
        binding.took(0.000_01)
    assert binding.expected_seconds < WORTH_WAITING
