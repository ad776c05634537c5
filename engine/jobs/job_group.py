"""Jobs that one caller waits for, and is told of in his own thread as they end."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from types import TracebackType

from farcall.engine.jobs.job import CompileJob
from farcall.engine.jobs.pool import CompilePool, CompileTicket
from farcall.engine.jobs.progress import Cancellation


class JobGroup:
    """A context manager: what is not done when it is left is given up. Not thread-safe."""

    def __init__(self, pool: CompilePool, cancellation: Cancellation) -> None:
        """Have jobs done by a pool, until it is cancelled."""
        self._pool = pool
        self._cancellation = cancellation
        self._waiting: dict[CompileTicket, CompileJob] = {}
        self._ended: queue.SimpleQueue[CompileTicket | None] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        """Whether any job is not done."""
        return bool(self._waiting)

    def submit(self, job: CompileJob) -> None:
        """Have a job done.

        Raises:
            CompileCancelledError: it is cancelled.
            QueueFullError: as many jobs wait as may.
            ClosedError: the pool is closed.
        """
        self._cancellation.check()
        ticket = self._pool.submit(job)
        self._waiting[ticket] = job
        ticket.add_done_callback(lambda _: self._ended.put(ticket))

    def ended(self) -> Iterator[tuple[CompileJob, CompileTicket]]:
        """The jobs as they end, with those that are submitted meanwhile, until all are done.

        Raises:
            CompileCancelledError: it is cancelled.
        """
        self._cancellation.attach(lambda: self._ended.put(None))
        while self._waiting:
            ticket = self._ended.get()
            self._cancellation.check()
            if ticket in self._waiting:
                assert ticket is not None
                yield self._waiting.pop(ticket), ticket

    def withdraw(self, wanted: Callable[[CompileJob], bool]) -> list[CompileJob]:
        """Give up those jobs that are wanted back and not done; they are not heard of any more."""
        withdrawn = [ticket for ticket, job in self._waiting.items() if wanted(job) and ticket.cancel()]
        return [self._waiting.pop(ticket) for ticket in withdrawn]

    def __enter__(self) -> JobGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.withdraw(lambda _job: True)
