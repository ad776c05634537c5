"""Compiling in the middle of a guest's call, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start_with_stack(task: Callable[[], T]) -> Future[T]:
    """Run a task in a thread of its own: one that runs guests may have less of its stack left than LLVM needs."""
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


def run_with_stack(task: Callable[[], T]) -> T:
    """The same, and wait for it.

    Raises:
        BaseException: what the task raises.
    """
    return start_with_stack(task).result()
