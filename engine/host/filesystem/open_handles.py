"""The handles that an instance has open: how many there may be, and that all are closed with it."""

from __future__ import annotations

import threading
from typing import Protocol

from farcall.engine.host.wasi.errno import Errno, WasiError

DEFAULT_LIMIT = 256
"""Handles that an instance may have open at a time, unless told otherwise."""


class Closable(Protocol):
    """What can be closed, as often as one likes."""

    def close(self) -> None:
        """Release what it holds."""


class OpenHandles:
    """The open handles of one instance.

    Attributes:
        limit: how many there may be at a time.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: set[Closable] = set()  # guarded by _lock
        self._closed = False  # guarded by _lock

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def check(self) -> None:
        """See before opening whether one more may be open. Raises WasiError(MFILE)."""
        if self._closed or len(self._open) >= self.limit:
            raise WasiError(Errno.MFILE, f"{len(self._open)} of {self.limit} handles are open")

    def add(self, handle: Closable) -> None:
        """Count a handle that has just been opened.

        Raises:
            WasiError: `MFILE`, there are too many; the handle has been closed.
        """
        with self._lock:
            if not self._closed and len(self._open) < self.limit:
                self._open.add(handle)
                return
        handle.close()
        raise WasiError(Errno.MFILE, f"{len(self._open)} of {self.limit} handles are open")

    def discard(self, handle: Closable) -> None:
        """Count one less: it has been closed."""
        with self._lock:
            self._open.discard(handle)

    def close(self) -> None:
        """Close all; none can be added any more."""
        with self._lock:
            self._closed = True
            handles = list(self._open)
        for handle in handles:
            handle.close()
