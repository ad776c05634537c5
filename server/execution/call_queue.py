"""The queue of what waits for a group of linked instances."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from farcall.server.execution.job import Job

if TYPE_CHECKING:
    from farcall.server.execution.workers import Workers


class CallQueue:
    """Jobs on instances that are linked to each other, in the order in which they came; one runs at a time.

    The engine makes linked instances take turns by itself. The queue keeps the order, and keeps a busy group
    from occupying more than one worker. Instances start with a queue of their own; linking merges queues.

    Only the event loop's thread puts jobs in, takes them out, and merges. Workers take the next job of a queue
    that they have, and with that give it back when there is none. So an idle queue becomes busy by the event
    loop's thread only, which needs no lock to see that it is idle.

    Attributes:
        successor: the queue that this one has been merged into, or None.
    """

    __slots__ = ("_active", "_held", "_jobs", "_lock", "_parked", "_workers", "successor")

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._jobs: deque[Job[Any]] = deque()  # guarded by _lock
        self._active = (
            False  # a worker has it, or the event loop between enter and leave; cleared under _lock
        )
        self._held = False  # the next job must wait for the merge; guarded by _lock
        self._parked = False  # the worker found the queue held and left it; guarded by _lock
        self.successor: CallQueue | None = None

    @property
    def current(self) -> CallQueue:
        """The queue that this one has been merged into, or itself."""
        queue = self
        while queue.successor is not None:
            queue = queue.successor
        return queue

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._active

    # -- On the event loop's thread --------------------------------------------------------------------------------

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; the first one starts at once."""
        queue = self.current
        with queue._lock:
            if queue._active:
                queue._jobs.append(job)
                return
            queue._active = True
        job.started = True
        queue._workers.start(queue, job)

    def enter(self) -> bool:
        """Take the queue for work on this thread, if nothing runs or waits; `leave` gives it back."""
        if self._active or self.successor is not None:
            return False
        self._active = True
        return True

    def leave(self) -> None:
        """Give the queue back. Nothing has been put in meanwhile: this thread was busy."""
        self._active = False

    def withdraw(self, job: Job[Any]) -> bool:
        """Take a job out that has not started; whether it was there."""
        queue = self.current
        with queue._lock:
            try:
                queue._jobs.remove(job)
            except ValueError:
                return False
            return True

    def merge_into(self, successor: CallQueue) -> None:
        """Let `successor` have what waits, and all that comes; a job of this queue has called `hold` before."""
        target = successor.current
        with self._lock:
            self._held = False
            if target is not self:
                jobs = list(self._jobs)
                self._jobs.clear()
                self.successor = target
            else:  # they have been merged the other way round meanwhile: this queue goes on
                if not self._parked:
                    return
                self._parked = False
                jobs = [self._jobs.popleft()] if self._jobs else []
                self._active = bool(jobs)
        for job in jobs:
            if target is self:
                job.started = True
                self._workers.start(self, job)
            else:
                target.submit(job)

    # -- In a worker -----------------------------------------------------------------------------------------------

    def next(self) -> Job[Any] | None:
        """The next job; None if there is none that can start, and the worker does not have the queue any more."""
        with self._lock:
            if self._held:
                self._parked = True
                return None
            if self._jobs:
                job = self._jobs.popleft()
                job.started = True
                return job
            self._active = False
            return None

    def hold(self) -> None:
        """In a job: let no other job start until the event loop's thread has merged the queue."""
        with self._lock:
            self._held = True
