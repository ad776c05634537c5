"""Work that several wait for: done once, told of to all, and given up when nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from farcall.engine.errors import CompileCancelledError, ExhaustionError
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Waiter(Generic[Value]):
    """Somebody who waits."""

    def __init__(self, listener: ProgressListener | None) -> None:
        self.listener = listener
        self.outcome: Future[Value] = Future()


class _Work(Generic[Value]):
    """Work under way. The waiters are guarded by the lock of `SharedWork`."""

    def __init__(self) -> None:
        self.cancellation = Cancellation()
        self.waiters: list[_Waiter[Value]] = []
        self.progress: CompileProgress | None = None


class SharedWork(Generic[Key, Value]):
    """Work by key. Each is done in a thread of its own, so that whoever asked first can leave like anyone else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[Key, _Work[Value]] = {}  # guarded by _lock

    def is_under_way(self, key: Key) -> bool:
        """Whether it is being done now."""
        with self._lock:
            return key in self._works

    def run(
        self,
        key: Key,
        make: Callable[[ProgressListener, Cancellation], Value],
        listener: ProgressListener | None = None,
        cancellation: Cancellation | None = None,
    ) -> Value:
        """What `make` gives; of several who want the same, the first one's does it.

        Parameters:
            make: does it; is told where to say how far it is, and when it is to be given up.
            listener: told of how far it is.
            cancellation: when not to wait any longer.

        Raises:
            CompileCancelledError: it was cancelled by this caller.
            ExhaustionError: no thread can be started.
            Exception: what `make` raises.
        """
        waiter = _Waiter[Value](listener)
        with self._lock:
            work = self._works.get(key)
            if work is None:
                work = _Work()
                arguments = (key, work, make)
                thread = threading.Thread(target=self._make, args=arguments, name="farcall-work", daemon=True)
                try:
                    thread.start()  # it cannot end before this has let go of the lock
                except RuntimeError as error:
                    raise ExhaustionError(f"no thread for compiling can be started: {error}") from error
                self._works[key] = work
            work.waiters.append(waiter)
            progress = work.progress
        try:
            if progress is not None and listener is not None:
                listener(progress)
            if cancellation is not None:
                cancellation.attach(lambda: self._leave(key, work, waiter, CompileCancelledError()))
            return waiter.outcome.result()
        except BaseException as error:
            self._leave(key, work, waiter, error)
            raise

    def _leave(self, key: Key, work: _Work[Value], waiter: _Waiter[Value], error: BaseException) -> None:
        """Somebody waits no longer; nothing, if there is nothing to wait for any more."""
        with self._lock:
            if waiter not in work.waiters:
                return
            work.waiters.remove(waiter)
            last = not work.waiters
            if last:
                del self._works[key]
        waiter.outcome.set_exception(error)
        if last:
            work.cancellation.cancel()

    def _make(
        self, key: Key, work: _Work[Value], make: Callable[[ProgressListener, Cancellation], Value]
    ) -> None:
        def report(progress: CompileProgress) -> None:
            with self._lock:
                work.progress = progress
                waiters = list(work.waiters)
            for waiter in waiters:
                if waiter.listener is not None:
                    try:
                        waiter.listener(progress)
                    except BaseException as error:
                        self._leave(key, work, waiter, error)

        value: Value | None = None
        failure: BaseException | None = None
        try:
            value = make(report, work.cancellation)
        except BaseException as error:
            failure = error
        with self._lock:
            waiters, work.waiters = work.waiters, []
            if self._works.get(key) is work:
                del self._works[key]
        for waiter in waiters:
            if failure is None:
                waiter.outcome.set_result(value)  # type: ignore[arg-type] # `make` gave it
            else:
                waiter.outcome.set_exception(failure)
