"""The queue of what waits for a group of linked instances."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from farcall.server.execution.job import Job

if TYPE_CHECKING:
    from farcall.server.execution.workers import Workers


_merging = threading.Lock()
"""Held while a queue gets its successor, so that two which are merged into each other make no circle."""


class CallQueue:
    """Jobs on instances that are linked to each other, in the order in which they came; one runs at a time.

    The engine makes linked instances take turns by itself. The queue keeps the order, and keeps a busy group
    from occupying more than one worker. Instances start with a queue of their own; linking merges queues.

    Jobs are submitted and withdrawn by the event loop's thread; `hand_over` is called by a worker.
    """

    __slots__ = ("_active", "_jobs", "_lock", "_successor", "_workers")

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._jobs: deque[Job[Any]] = deque()  # guarded by _lock
        self._active = False  # a worker, or the event loop between enter and leave, has it; guarded by _lock
        self._successor: CallQueue | None = None  # guarded by _lock; set once

    @property
    def current(self) -> CallQueue:
        """The queue that this one has been merged into, or itself."""
        queue = self
        while queue._successor is not None:
            queue = queue._successor
        return queue

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._active

    def submit(self, job: Job[Any]) -> bool:
        """Queue a job; whether it is the first and starts at once."""
        with self._lock:
            successor = self._successor
            if successor is None:
                if self._active:
                    self._jobs.append(job)
                    return False
                self._active = True
        if successor is not None:
            return successor.submit(job)
        job.started = True
        self._workers.start(self, job)
        return True

    def enter(self) -> bool:
        """Take the queue for work on the event loop's thread, if nothing runs or waits; `leave` gives it back."""
        with self._lock:
            if self._active or self._successor is not None:
                return False
            self._active = True
            return True

    def leave(self) -> None:
        """Give the queue back; what `hand_over` has queued meanwhile starts."""
        job = self.next()
        if job is not None:
            self._workers.start(self, job)

    def next(self) -> Job[Any] | None:
        """For who has the queue: the next job; None if there is none, and the queue is idle from now on."""
        with self._lock:
            if self._jobs:
                job = self._jobs.popleft()
                job.started = True
                return job
            self._active = False
            return None

    def withdraw(self, job: Job[Any]) -> bool:
        """Take a job out that has not started; whether it was there."""
        queue = self.current
        with queue._lock:
            try:
                queue._jobs.remove(job)
            except ValueError:
                return False
            return True

    def hand_over(self, successor: CallQueue) -> None:
        """In a worker that runs a job of this queue: let `successor` have what waits, and all that comes."""
        with _merging:
            target = successor.current
            if target is self:
                return
            with self._lock:
                jobs = list(self._jobs)
                self._jobs.clear()
                self._successor = target
        for job in jobs:
            target.submit(job)
