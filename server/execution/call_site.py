"""Where a job waits in the middle of its work, and other jobs run meanwhile, in the same worker.

A guest that calls a function of a client waits for the client's answer. Before it answers, the client may want to read
the guest's memory, or to call it: requests that would wait in the instance's queue for the very call that waits for
them. They carry the call's token, and run here, one call inside the other.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from contextvars import ContextVar
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from farcall.engine import Stoppable, TerminatedError
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.job import Job

if TYPE_CHECKING:
    from farcall.server.execution.workers import Workers

T = TypeVar("T")


class CallSite(Generic[T]):
    """A job that waits in its worker for an answer, of type `T`.

    Attributes:
        token: what requests name it by; nobody can guess it.
    """

    def __init__(self, queue: CallQueue, workers: Workers) -> None:
        """Make the place, in the worker that will wait.

        Parameters:
            queue: that of the job that waits.
        """
        self.token = secrets.token_hex(16)
        self._queue = queue
        self._workers = workers
        self._lock = threading.Lock()
        self._jobs: deque[Job[Any]] = deque()  # guarded by _lock
        self._answers: list[T] = []  # the first counts; guarded by _lock
        self._ended = False  # guarded by _lock
        self._woken: SimpleQueue[None] = SimpleQueue()

    # -- On the event loop's thread --------------------------------------------------------------------------------

    def serves(self, queue: CallQueue) -> bool:
        """Whether the jobs of that queue have to run here, as the one that waits keeps them from running there."""
        return not self._ended and self._queue.current is queue.current

    def submit(self, job: Job[Any]) -> None:
        """Have a job run in the middle of the waiting one; in the queue, if that has ended meanwhile."""
        with self._lock:
            if not self._ended:
                self._jobs.append(job)
                self._woken.put(None)
                return
        self._queue.current.submit(job)

    def withdraw(self, job: Job[Any]) -> bool:
        """Take a job out that has not started; whether it was there."""
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
                return True
        return self._queue.withdraw(job)

    def answer(self, answer: T) -> None:
        """What the job waits for has come."""
        with self._lock:
            self._answers.append(answer)
        self._woken.put(None)

    # -- In the worker ---------------------------------------------------------------------------------------------

    def wait(self, stoppable: Stoppable) -> T:
        """Wait for the answer, and run what is submitted meanwhile.

        Parameters:
            stoppable: what stops the waiting job.

        Raises:
            TerminatedError: it was stopped.
        """
        try:
            with stoppable.waking(lambda: self._woken.put(None)):
                while stoppable.reason is None:
                    self._woken.get()
                    job = None
                    with self._lock:
                        if stoppable.reason is not None:
                            break
                        if self._answers:
                            return self._answers[0]
                        if self._jobs:
                            job = self._jobs.popleft()
                            job.started = True
                    if job is not None:
                        job.run()
                        self._workers.tell(job)
            raise TerminatedError(stoppable.reason or "stopped")
        finally:
            self._end()

    def _end(self) -> None:
        """Nothing runs here any more; what was not begun takes its turn in the queue."""
        with self._lock:
            self._ended = True
            jobs = list(self._jobs)
            self._jobs.clear()
        for job in jobs:
            self._queue.current.submit(job)


within_call: ContextVar[CallSite[Any] | None] = ContextVar("within_call", default=None)
"""Of the task that serves a request: the call that the request is made within, if there is one."""
