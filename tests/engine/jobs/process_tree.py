"""The processes below one that compile, as the system sees them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 100


_TEMPLATE = b"farcall.engine.jobs.template"
"""What the command of the template process says, and of those that it forks; others are none of the tests' business."""


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                compiles = _TEMPLATE in (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            if state != "Z" and compiles:
                parents[int(entry.name)] = int(parent)
    return parents


def levels(root: int | None = None) -> list[list[int]]:
    """Running children, grandchildren and so on of a process (this one), level by level."""
    parents = _parents()
    found, level = [], [os.getpid() if root is None else root]
    while level := [process for process, parent in parents.items() if parent in level]:
        found.append(level)
    return found


def below(root: int) -> list[int]:
    """All processes below one."""
    return [process for level in levels(root) for process in level]


def job_process() -> int:
    """The one process that does a job, when it is there, and those of jobs before have ended."""
    found: list[int] = []

    def is_there() -> bool:
        of_jobs = levels()[2:]
        found[:] = of_jobs[0] if len(of_jobs) == 1 else []
        return len(found) == 1

    wait_until(is_there)
    return found[0]


def is_running(process: int) -> bool:
    return process in _parents()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what must come; how long that takes is no matter."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.03)
