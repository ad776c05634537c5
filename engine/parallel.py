"""Work in several threads at once, where it is done without holding Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def thread_count(most: int) -> int:
    """How many threads can run at once on this process's cores, but not more than `most`, and at least one."""
    return max(1, min(most, len(os.sched_getaffinity(0))))


def run_parts(count: int, run: Callable[[int], None]) -> None:
    """Run every part of some work, the first one in this thread, and return when all have ended.

    Where a thread cannot be had, its part is run in this one too.

    Parameters:
        run: it is given the part's number. If it raises in another thread, nobody but `threading.excepthook` is told.
    """
    started = []
    for number in range(1, count):
        thread = threading.Thread(target=run, args=(number,))
        try:
            thread.start()
        except RuntimeError:  # no more threads can be had
            break
        started.append(thread)
    for number in (0, *range(1 + len(started), count)):
        run(number)
    for thread in started:
        thread.join()
