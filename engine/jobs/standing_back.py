"""How jobs that nobody waits for stand back, so that callers of the process that they are for are served first.

Where Linux shares processor time out among sessions first (autogroups, sched(7)), niceness compares processes of one
session only, and a session of jobs gets as much as the server's. So such a job has a session of its own,
as nice as itself.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
_NICENESS = 15
"""With 10, one call in a hundred of a busy server's took some milliseconds more."""
_ATTEMPTS, _PAUSE = 20, 0.05
"""Unprivileged processes may change a session's niceness ten times a second, all together."""


def stand_back() -> None:
    """Make this process, which is nice already, nicer, in a session of its own."""
    os.nice(max(_NICENESS - os.nice(0), 0))
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
