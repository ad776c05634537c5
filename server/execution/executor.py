"""From a request on the event loop to a job in a worker and back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from farcall.server.errors import StopReason
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.call_site import CallSite, within_call
from farcall.server.execution.job import Job
from farcall.server.execution.workers import Workers, deliver_once

T = TypeVar("T")

PATIENCE = 0.0003
"""Seconds for which the event loop waits for a job itself.

A job that ends within costs two thread switches; one that does not costs a trip through the event loop besides
(60 to 100 us), and the patience. No other request is served meanwhile, so it must stay below what anybody notices.
"""

WORTH_WAITING = 0.00015
"""Seconds: the event loop does not wait for jobs that are expected to take longer."""


class Executor:
    """Runs jobs in workers, stops those whose time is over, and knows all that are on their way.

    Used by the event loop's thread only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_concurrent_calls: int) -> None:
        self._loop = loop
        self.workers = Workers(loop, max_concurrent_calls)
        self._open: dict[Job[Any], CallQueue] = {}

    def new_site(self, queue: CallQueue) -> CallSite[Any]:
        """For a job of this queue, in its worker: where the job can wait while others run in the middle of it."""
        return CallSite(queue, self.workers)

    def new_queue(self) -> CallQueue:
        """A queue for an instance that is linked to no other."""
        return CallQueue(self.workers)

    def try_now(self, queue: CallQueue, job: Job[Any], expected_seconds: float) -> bool:
        """Submit a job and, if it is likely to be done at once, wait for it; whether it is done.

        Where it is not, `attend` or `run` take care of it.
        """
        site = within_call.get()
        if site is not None and site.serves(queue):
            job.place = site
            site.submit(job)
            return False
        if expected_seconds > WORTH_WAITING or not queue.idle:
            queue.submit(job)
            return False
        self.workers.deliver()
        signal = job.expect_signal()
        queue.submit(job)
        signal.acquire(timeout=PATIENCE)
        return job.finished

    def attend(
        self, queue: CallQueue, job: Job[T], seconds: float, deliver: Callable[[Job[T]], object]
    ) -> None:
        """See a submitted job through: `deliver(job)` is called when there is an outcome.

        Parameters:
            seconds: after this time it is stopped.
        """
        self._open[job] = queue
        timer = self._loop.call_later(max(seconds, 0.0), self.stop, job, StopReason.DEADLINE)

        def done(job: Job[T]) -> None:
            timer.cancel()
            del self._open[job]
            deliver(job)

        job.deliver = done
        if job.finished:
            self.workers.deliver()
            deliver_once(job)

    async def run(
        self, queue: CallQueue, job: Job[T], limit: Callable[[], float], expected_seconds: float = 0.0
    ) -> T:
        """Run a job to its end, and stop it when its time is over or the awaiting task is cancelled.

        Parameters:
            limit: tells how many seconds it may take; asked only if it is not done at once.

        Raises:
            CallStoppedError: it was stopped.
            BaseException: what the work raised.
        """
        if not self.try_now(queue, job, expected_seconds):
            ended = asyncio.Event()
            self.attend(queue, job, limit(), lambda _job: ended.set())
            try:
                await ended.wait()
            except asyncio.CancelledError:
                self.stop(job, StopReason.CANCELLED)
                raise
        return job.outcome()

    def stop(self, job: Job[Any], reason: StopReason) -> None:
        """Stop a job that `attend` or `run` take care of; one that waits is done with at once."""
        queue = self._open.get(job)
        if queue is None or job.finished:
            return
        if job.stop_reason is None:
            job.stop_reason = reason
        if (queue if job.place is None else job.place).withdraw(job):
            job.abandon()
            deliver_once(job)
        else:
            job.stoppable.terminate(reason.value)

    def stop_all(self, reason: StopReason, pending: deque[None] | None = None) -> None:
        """Stop all jobs, or those of the instance with this counter."""
        for job in [job for job in self._open if pending is None or job.pending is pending]:
            self.stop(job, reason)

    @property
    def open_jobs(self) -> int:
        """Jobs that wait or run."""
        return len(self._open)
