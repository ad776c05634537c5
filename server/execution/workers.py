"""The threads in which guests run."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from queue import SimpleQueue
from typing import Any

from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.job import Job

_TURNS = 64
"""Jobs of one queue that a worker runs before it lets other queues have a turn."""


class Workers:
    """Threads that run jobs; made when needed, up to a maximum.

    A guest occupies a thread as long as it runs, and frees the GIL meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, maximum: int) -> None:
        self._loop = loop
        self._maximum = maximum
        self._tasks: SimpleQueue[tuple[CallQueue, Job[Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count(1)
        # One entry for each thread that waits for a task; append and pop are atomic.
        self._idle: deque[None] = deque()
        self._completed: deque[Job[Any]] = deque()
        self._delivery_scheduled = False

    # -- On the event loop's thread --------------------------------------------------------------------------------

    def start(self, queue: CallQueue, job: Job[Any]) -> None:
        """Let a thread run `job`, and then what else is in `queue`. Also called by workers that merge queues."""
        try:
            self._idle.pop()
        except IndexError:
            if len(self._threads) < self._maximum:
                self._add_thread()
        self._tasks.put((queue, job))

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"guest-{next(self._numbers)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Let all threads end once they are idle, and wait for it."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def deliver(self) -> None:
        """Tell of all jobs that are done.

        To be called before something is told of a job that did not come this way, and after its queue was seen to be
        idle: then the outcomes of a queue's jobs are told in the jobs' order.
        """
        # Cleared first: a worker that appends after this line schedules another delivery.
        self._delivery_scheduled = False
        while self._completed:
            deliver_once(self._completed.popleft())

    # -- In the threads --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            self._serve(*task)
            self._idle.append(None)

    def _serve(self, queue: CallQueue, first: Job[Any]) -> None:
        job: Job[Any] | None = first
        turns = 0
        while job is not None:
            if turns == _TURNS:
                self._tasks.put((queue, job))
                return
            turns += 1
            job.run()
            self.tell(job)
            job = queue.next()

    def tell(self, job: Job[Any]) -> None:
        """Let the event loop tell whoever waits for a job that has run."""
        if job.deliver is not None:
            self._complete(job)

    def _complete(self, job: Job[Any]) -> None:
        self._completed.append(job)
        if not self._delivery_scheduled:
            self._delivery_scheduled = True
            self._loop.call_soon_threadsafe(self.deliver)


def deliver_once(job: Job[Any]) -> None:
    """On the event loop's thread: tell whoever waits for the job, unless that was done already."""
    if not job.delivered and job.deliver is not None:
        job.delivered = True
        job.deliver(job)
