"""How jobs stand back behind the process that they are for, so that its callers are served first.

Where Linux shares processor time out among sessions first (autogroups, sched(7)), niceness compares processes of one
session only, and a session of jobs gets as much as the server's. So the session is made as nice as the processes in it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
_LEISURELY = 15
"""Niceness of what nobody waits for: with 10, one call in a hundred of a busy server's took some milliseconds more."""
_ATTEMPTS, _PAUSE = 20, 0.05
"""Unprivileged processes may change a session's niceness ten times a second, all together."""


def stand_back(niceness: int) -> None:
    """Make this process as nice as that, 0 to 19, and its session, which must have nothing but jobs in it."""
    os.nice(niceness)
    with contextlib.suppress(OSError):  # another process has done it this moment, or there is no such thing
        _AUTOGROUP.write_text(str(niceness))


def stand_back_further() -> None:
    """Make this process, which is nice already, nicer, in a session of its own."""
    os.nice(max(_LEISURELY - os.nice(0), 0))
    if not _AUTOGROUP.exists():
        return
    os.setsid()
    for _ in range(_ATTEMPTS):
        try:
            _AUTOGROUP.write_text(str(os.nice(0)))
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:
            return
        else:
            return
