"""What an instance writes, kept until somebody takes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from farcall.engine.host.wasi.streams import OutputStream


class CapturedOutput(OutputStream):
    """An output of which a limited number of bytes is kept; what does not fit is discarded, and counted."""

    def __init__(self, limit: int) -> None:
        """Make an empty one.

        Parameters:
            limit: bytes that are kept.
        """
        self._limit = limit
        self._lock = threading.Lock()
        self._content = bytearray()  # guarded by _lock
        self._discarded = 0  # guarded by _lock

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Keep what fits, if nothing before it was discarded; all is told to be written."""
        total = 0
        with self._lock:
            for buffer in buffers:
                kept = 0 if self._discarded else min(len(buffer), self._limit - len(self._content))
                self._content += buffer[:kept]
                self._discarded += len(buffer) - kept
                total += len(buffer)
        return total

    def writable(self) -> bool:
        """It is."""
        return True

    def take(self) -> tuple[bytes, int]:
        """What was kept since the last time, and how many bytes were discarded after that."""
        with self._lock:
            content, discarded = bytes(self._content), self._discarded
            self._content.clear()
            self._discarded = 0
        return content, discarded
