"""One piece of work on an instance: a call, a batch, an access to a memory, an instantiation."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from farcall.engine import Stoppable, TerminatedError
from farcall.server.errors import CallStoppedError, StopReason

T = TypeVar("T")

_thread = threading.local()


class CallPlace(Protocol):
    """Where jobs are run other than in their instance's queue."""

    def withdraw(self, job: Job[Any]) -> bool:
        """Take a job out that has not started; whether it was there."""


def running_stoppable() -> Stoppable | None:
    """What stops the job that the calling thread runs, the innermost one; None where it runs none."""
    return getattr(_thread, "stoppable", None)


class Job(Generic[T]):
    """Work that waits for its turn in a call queue, runs in a worker thread, and can be stopped at any time.

    The event loop's thread makes it, submits it, stops it and reads its outcome; a worker runs it. Fields that
    both use are written by one of them and only in the order noted below; the GIL makes each write whole.

    Attributes:
        stoppable: what the engine stops.
        pending: the counter of jobs of the instance that it works on.
        started: a worker has begun (written by the worker, under the queue's lock).
        finished: there is an outcome (written last by the worker, or by the event loop for work that never
            started).
        seconds: how long the work took.
        stop_reason: why the event loop stopped it.
        place: where it was submitted, if not to its instance's queue.
        deliver: called on the event loop's thread once there is an outcome; set by the event loop before it
            looks at `finished` again, so that one of the two sides notices the other.
    """

    __slots__ = (
        "_error",
        "_result",
        "_signal",
        "_work",
        "deliver",
        "delivered",
        "finished",
        "pending",
        "place",
        "seconds",
        "started",
        "stop_reason",
        "stoppable",
    )

    def __init__(
        self,
        work: Callable[[Stoppable], T],
        pending: deque[None],
        stoppable: Stoppable | None = None,
    ) -> None:
        """Make a job that has yet to be submitted.

        Parameters:
            work: runs in a worker; passes the stoppable on to the engine.
            pending: the instance's counter of jobs that wait or run: an entry for each.
            stoppable: one that belongs to the work already, for instance an `Instantiation`.
        """
        self._work = work
        self.pending = pending
        self._signal: threading.Lock | None = None
        self._result: T | None = None
        self._error: BaseException | None = None
        self.stoppable = Stoppable() if stoppable is None else stoppable
        self.started = False
        self.finished = False
        self.delivered = False
        self.seconds = 0.0
        self.stop_reason: StopReason | None = None
        self.place: CallPlace | None = None
        self.deliver: Callable[[Job[T]], None] | None = None
        pending.append(None)

    # -- In a worker -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the work and keep its outcome."""
        outer = running_stoppable()
        _thread.stoppable = self.stoppable
        begin = time.perf_counter()
        try:
            self._result = self._work(self.stoppable)
        except BaseException as error:
            self._error = error
        finally:
            _thread.stoppable = outer
        self.seconds = time.perf_counter() - begin
        self._finish()

    def _finish(self) -> None:
        self._work = _done
        self.pending.pop()
        self.finished = True
        if self._signal is not None:
            self._signal.release()

    # -- On the event loop's thread --------------------------------------------------------------------------------

    def expect_signal(self) -> threading.Lock:
        """A lock that becomes free when the work is done; to be asked for before the job is submitted."""
        self._signal = threading.Lock()
        self._signal.acquire()
        return self._signal

    def abandon(self) -> None:
        """It has been withdrawn from its queue and will never run."""
        self._finish()

    def outcome(self) -> T:
        """What the work returned. Raises what it raised, and CallStoppedError where it was stopped."""
        error = self._error
        if error is not None:
            try:
                raise self.told(error)
            finally:
                self._error = error = None  # the traceback would keep this frame alive, and itself
        if self.stop_reason is not None and not self.started:
            raise CallStoppedError(self.stop_reason, started=False)
        return self._result  # type: ignore[return-value]

    def told(self, error: BaseException) -> BaseException:
        """The error as the caller is told it: that the engine stopped a guest, with the server's reason for it."""
        if not isinstance(error, TerminatedError):
            return error
        reason = self.stop_reason or StopReason.CLOSED
        return CallStoppedError(reason, error.backtrace, started=bool(error.backtrace) or self.started)


def _done(_stoppable: Stoppable) -> Any:
    """In place of work that is done, whose objects may be large."""
    raise AssertionError("a job runs once")
