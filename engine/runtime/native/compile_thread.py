"""Compiling in the middle of a guest's call, in threads of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_STACK_SIZE = 8 << 20
"""Bytes; LLVM needs more than the threads of a process with a small `threading.stack_size` have."""
_MOST_THREADS = 32
"""No more than so many compile at once. There are as many as were needed at once: see `start_with_stack`."""


class _CompileThreads:
    """Threads that were started when they were needed, and are used again: each keeps LLVM's machines, and memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(_MOST_THREADS, "farcall-first-call")

    def submit(self, task: Callable[[], T]) -> Future[T]:
        waiting = [task]

        def run() -> T:
            return waiting.pop()()  # nothing of the task is there any more when its outcome is

        with self._lock:  # the size of new threads' stacks is the process's
            before = threading.stack_size(_STACK_SIZE)
            try:
                return self._executor.submit(run)
            except RuntimeError:  # at the interpreter's end, executors end first
                return _run_in_new_thread(run)
            finally:
                threading.stack_size(before)


def _run_in_new_thread(task: Callable[[], T]) -> Future[T]:
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = task()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, name="farcall-first-call").start()
    return outcome


_threads = _CompileThreads()


def _start_anew() -> None:
    global _threads  # noqa: PLW0603 - in a forked process, the parent's threads are not there
    _threads = _CompileThreads()


os.register_at_fork(after_in_child=_start_anew)


def start_with_stack(task: Callable[[], T]) -> Future[T]:
    """Run a task in a thread of its own: one that runs guests may have less of its stack left than LLVM needs."""
    return _threads.submit(task)


def run_with_stack(task: Callable[[], T]) -> T:
    """The same, and wait for it.

    Raises:
        BaseException: what the task raises.
    """
    return start_with_stack(task).result()
