"""Runs a guest in a thread of its own, until it ends, its time is over, or an interrupt comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from farcall import engine
from farcall.client import errors
from farcall.client.command_line.engine_errors import client_error, frames_of

T = TypeVar("T")

_STOP_PATIENCE = 5.0
"""Seconds that a guest which was told to stop gets to say where it was."""

_LONGEST_WAIT = 0.25
"""Seconds that the main thread waits without looking for signals.

One that arrives when Python is just about to wait in the system does not end that wait.
"""


def run_until(work: Callable[[threading.Event], T], timeout: float | None, stop: Callable[[], None]) -> T:
    """Runs `work` in a thread of its own: while a guest runs, Python's main thread would not notice signals.

    Args:
        work: the time begins to count when it sets the event that it gets.
        timeout: seconds, after which it is stopped; None for no end.
        stop: stops the guest.

    Returns:
        What `work` returns.

    Raises:
        KeyboardInterrupt: this process was interrupted, and the guest has been stopped.
        errors.DeadlineExceededError: the time was over.
        errors.FarcallError: the client's for the engine's that `work` raised; others as they are.
    """
    begun = threading.Event()
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(begun))
        except BaseException as error:
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while not begun.wait(_LONGEST_WAIT):
            pass
        _join(thread, timeout)
    except KeyboardInterrupt:
        stop()
        thread.join(_STOP_PATIENCE)
        raise
    if thread.is_alive():
        stop()
        thread.join(_STOP_PATIENCE)
        backtrace = frames_of(failures[0]) if failures else ()
        raise errors.DeadlineExceededError(f"stopped after {timeout:g} seconds", backtrace=backtrace)
    if failures:
        failure = failures[0]
        raise client_error(failure) if isinstance(failure, engine.FarcallError) else failure
    return results[0]


def _join(thread: threading.Thread, timeout: float | None) -> None:
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while thread.is_alive() and (left := end - time.monotonic()) > 0:
        thread.join(min(left, _LONGEST_WAIT))
