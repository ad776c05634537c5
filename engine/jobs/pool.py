"""The pool of compile jobs: takes them, has them done in other processes, and tells who asked."""

from __future__ import annotations

import atexit
import os
import socket
import threading
import weakref
from collections import Counter
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import BinaryIO

from farcall.engine.errors import ClosedError, ExhaustionError, QueueFullError
from farcall.engine.jobs.batches import allowed_seconds
from farcall.engine.jobs.job import AHEAD, LEISURE, CompiledImage, CompileJob
from farcall.engine.jobs.job_queue import JobQueue
from farcall.engine.jobs.outcome import result_of
from farcall.engine.jobs.processes import TEMPLATE, ModuleProcesses
from farcall.engine.jobs.protocol import End, Order, receive_end, send_order


@dataclass(frozen=True, slots=True)
class CompilePoolStatistics:
    """Counters of a pool.

    Attributes:
        queued: jobs that wait.
        running: jobs under way.
        compiled: jobs that gave an image.
        failed: jobs that gave an error.
        cancelled: jobs that nobody waited for any more.
        seconds: processor time of those that gave an image.
    """

    queued: int
    running: int
    compiled: int
    failed: int
    cancelled: int
    seconds: float


class CompileTicket(Future[CompiledImage]):
    """What somebody waits for. `cancel` is possible until it is done; the job ends when nobody else waits for it."""

    def __init__(self, pool: CompilePool, pending: _Pending) -> None:
        super().__init__()
        self._pool = pool
        self._pending = pending

    def cancel(self) -> bool:
        """Do not wait any longer. Whether that was possible: what is done is done."""
        if not self._pool.abandon(self._pending, self):
            return self.cancelled()
        super().cancel()
        self.set_running_or_notify_cancel()
        return True


class _Pending:
    """A job that waits or is under way. All guarded by the pool's lock."""

    def __init__(self, job: CompileJob) -> None:
        self.job = job
        self.key: Hashable = job.key
        self.priority = job.priority
        self.digest = job.module.digest
        self.tickets: list[CompileTicket] = []
        self.running = False
        self.channel: socket.socket | None = None


class CompilePool:
    """Compiles functions in processes of their own, as many at a time as it is told. Thread-safe."""

    def __init__(
        self,
        *,
        processes: int | None = None,
        queue_limit: int = 10_000,
        nice: int = 10,
        memory_limit: int = 4 << 30,
        seconds_limit: int | None = None,
        idle_seconds: float = 10.0,
    ) -> None:
        """Make a pool; processes are started when there is something to do.

        Parameters:
            processes: how many jobs of one urgency run at a time; None is as many as there are cores.
            queue_limit: how many jobs may wait.
            nice: how much the jobs stand back behind this process (0 to 19), so that its callers are served first.
            memory_limit: bytes of address space that a job's process may have.
            seconds_limit: processor time that a job may take, whatever it says itself.
            idle_seconds: how long processes are kept that have nothing to do.
        """
        self.processes = processes or len(os.sched_getaffinity(0))
        self._queue_limit = queue_limit
        self._nice = nice
        self._memory_limit = memory_limit
        self._seconds_limit = seconds_limit
        self._idle_seconds = idle_seconds
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: JobQueue[_Pending] = JobQueue()  # guarded by _lock, like all that follows
        self._pending: dict[Hashable, _Pending] = {}
        self._threads: set[threading.Thread] = set()
        self._waiting_threads = 0
        self._running: Counter[int] = Counter()  # jobs by priority
        self._modules = ModuleProcesses(self._nice, self._memory_limit)
        self._closed = False
        self._compiled = self._failed = self._cancelled = 0
        self._seconds = 0.0

    def forget(self) -> None:
        """In a forked process: jobs and processes are the parent's."""
        closed = self._closed
        self._modules.forget()
        for pending in self._pending.values():
            if pending.channel is not None:
                pending.channel.close()
        self._reset()
        self._closed = closed

    # -- For those who want something compiled ---------------------------------------------------------------------

    def submit(self, job: CompileJob) -> CompileTicket:
        """Have a job done. One that waits or is under way already is not done again; the more urgent priority counts.

        Raises:
            QueueFullError: as many jobs wait as may.
            ClosedError: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("the pool of compile jobs is closed")
            pending = self._pending.get(job.key)
            if pending is None:
                pending = self._add(job)
            elif not pending.running and job.priority < pending.priority:
                self._queue.remove(pending)
                pending.priority = job.priority
                self._push(pending)
            ticket = CompileTicket(self, pending)
            pending.tickets.append(ticket)
            return ticket

    def _add(self, job: CompileJob) -> _Pending:
        if len(self._queue) >= self._queue_limit:
            raise QueueFullError(self._queue_limit)
        pending = _Pending(replace(job, seconds=self._allowed_seconds(job)))
        self._pending[pending.key] = pending
        self._push(pending)
        return pending

    def _push(self, pending: _Pending) -> None:
        """Have a job wait for its turn, and see that there is a thread for it."""
        self._queue.push(pending)
        if self._waiting_threads < len(self._queue) and self._is_startable():
            self._start_thread(pending)
        self._changed.notify()

    def _is_startable(self) -> bool:
        """Whether the next job may start: what is urgent does not wait for what is less urgent to end.

        While there are jobs ahead of first calls, a guest is compiling as well, and the rest leaves a core to it.
        """
        if not len(self._queue):
            return False
        urgency = self._queue.most_urgent()
        running = sum(count for priority, count in self._running.items() if priority <= urgency)
        return running + (urgency > AHEAD and self._running[AHEAD] > 0) < self.processes

    def _allowed_seconds(self, job: CompileJob) -> int:
        seconds = job.seconds or allowed_seconds(job.module, job.functions, job.optimization)
        return seconds if self._seconds_limit is None else min(seconds, self._seconds_limit)

    def _start_thread(self, pending: _Pending | None) -> None:
        """Start another thread that sees to processes.

        Parameters:
            pending: what it is for, if that can be refused.

        Raises:
            ExhaustionError: there is none, and none can be started. The pending job is forgotten.
        """
        thread = threading.Thread(target=self._serve, name="farcall-compile", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            self._threads.discard(thread)
            if not self._threads and pending is not None:
                self._queue.remove(pending)
                del self._pending[pending.key]
                raise ExhaustionError(f"no thread for compile jobs can be started: {error}") from error

    def abandon(self, pending: _Pending, ticket: CompileTicket) -> bool:
        """Somebody does not wait any longer; whether it was not done yet. Use `CompileTicket.cancel`."""
        with self._lock:
            if ticket not in pending.tickets:
                return False
            pending.tickets.remove(ticket)
            if not pending.tickets:
                self._cancelled += 1
                del self._pending[pending.key]
                if not pending.running:
                    self._queue.remove(pending)
                elif pending.channel is not None:
                    pending.channel.shutdown(socket.SHUT_RDWR)
            return True

    def statistics(self) -> CompilePoolStatistics:
        """Counters, as of now."""
        with self._lock:
            return CompilePoolStatistics(
                len(self._queue),
                self._running.total(),
                self._compiled,
                self._failed,
                self._cancelled,
                self._seconds,
            )

    def close(self) -> None:
        """End all jobs and processes; who waits gets a ClosedError, and later calls do. Closing twice is nothing."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            tickets = [ticket for pending in self._pending.values() for ticket in pending.tickets]
            for pending in list(self._pending.values()):
                pending.tickets.clear()
                if not pending.running:
                    self._queue.remove(pending)
                elif pending.channel is not None:
                    pending.channel.shutdown(socket.SHUT_RDWR)
            self._pending.clear()
            self._changed.notify_all()
        for ticket in tickets:
            ticket.set_exception(ClosedError("the pool of compile jobs was closed"))
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        self._modules.close_idle()

    # -- The threads that see to the processes ---------------------------------------------------------------------

    def _serve(self) -> None:
        """See to one job after the other, until there have been none for long."""
        while (pending := self._next()) is not None:
            try:
                result = self._run(pending)
            except BaseException as error:
                self._finish(pending, None, error)
            else:
                self._finish(pending, result, None)

    def _next(self) -> _Pending | None:
        """The next job, or None if this thread is to end."""
        with self._lock:
            self._waiting_threads += 1
            try:
                if not self._closed and not self._is_startable():
                    self._changed.wait_for(lambda: self._closed or self._is_startable(), self._idle_seconds)
                if not self._closed and self._is_startable():
                    pending = self._queue.pop()
                    pending.running = True
                    self._running[pending.priority] += 1
                    self._wake_another()
                    return pending
            finally:
                self._waiting_threads -= 1
            self._threads.discard(threading.current_thread())
            last = not self._threads
        if last:
            self._modules.close_idle()
        return None

    def _wake_another(self) -> None:
        """See that another thread takes the next job, if it may start too: the end of one can make room for two."""
        if not self._is_startable():
            return
        if self._waiting_threads > 1:  # this one counts
            self._changed.notify()
        else:
            self._start_thread(None)  # where none can be had, the job waits for this one

    def _run(self, pending: _Pending) -> CompiledImage:
        """Have a job done. Raises what `result_of` raises."""
        with _new_file("answer") as answers, _new_file("stderr") as said:
            end = self._attempt(pending, answers, said)
            if end is None:
                TEMPLATE.check()
                # The process that has the module is gone. That may be another's doing, so there is a second one.
                end = self._attempt(pending, answers, said)
            answers.seek(0)
            said.seek(0)
            return result_of(pending.job, end, answers, said, self._memory_limit)

    def _attempt(self, pending: _Pending, *files: BinaryIO) -> End | None:
        """How a job's process ended; None if nobody knows, or nobody wants to know any more."""
        for file in files:
            file.seek(0)
            file.truncate()
        process = self._modules.acquire(pending.job.module)
        end = None
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                if self._open_channel(pending, ours):
                    process.send([theirs.fileno(), *(file.fileno() for file in files)])
                    theirs.close()
                    send_order(ours, _order(pending.job))
                    end = receive_end(ours)
            except OSError:
                pass  # its process is gone
            finally:
                wanted = self._close_channel(pending)
                self._modules.release(process, usable=end is not None or not wanted)
        return end

    def _open_channel(self, pending: _Pending, channel: socket.socket) -> bool:
        """From now on, what abandons the job closes its channel. Whether somebody wants it at all."""
        with self._lock:
            if pending.tickets:
                pending.channel = channel
            return bool(pending.tickets)

    def _close_channel(self, pending: _Pending) -> bool:
        """The job's process is through with it. Whether somebody wants the job."""
        with self._lock:
            pending.channel = None
            return bool(pending.tickets)

    def _finish(self, pending: _Pending, result: CompiledImage | None, error: BaseException | None) -> None:
        """Tell those who wait."""
        with self._lock:
            self._running[pending.priority] -= 1
            self._queue.done(pending)
            tickets, pending.tickets = pending.tickets, []
            if tickets:  # else it was abandoned, and counted
                del self._pending[pending.key]
                self._failed += result is None
                self._compiled += result is not None
            self._seconds += 0.0 if result is None else result.seconds
        for ticket in tickets:
            if result is not None:
                ticket.set_result(result)
            else:
                ticket.set_exception(error)


def _new_file(name: str) -> BinaryIO:
    """A file in memory."""
    return os.fdopen(os.memfd_create(name), "w+b")


def _order(job: CompileJob) -> Order:
    functions = tuple(job.functions)
    assert job.seconds is not None
    leisurely = job.priority >= LEISURE
    return Order(functions, job.options, job.optimization, job.seconds, job.target, job.linked, leisurely)


_pools: weakref.WeakSet[CompilePool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
