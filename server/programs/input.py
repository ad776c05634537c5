"""What a client has sent as a program's standard input, and the program has not read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque

from farcall.engine import Stoppable, TerminatedError

CAPACITY = 1 << 18
"""Bytes that wait for the guest before the server reads no more from the client."""


class ProgramInput:
    """A bounded queue from the event loop to the guest's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stoppable: Stoppable) -> None:
        """Make an empty queue.

        Parameters:
            stoppable: what stops the guest.
        """
        self._loop = loop
        self._stoppable = stoppable
        self._lock = threading.Lock()
        self._chunks: deque[memoryview] = deque()  # guarded by _lock
        self._size = 0  # bytes in _chunks; guarded by _lock
        self._ended = False  # guarded by _lock
        self._writer_waits = False  # guarded by _lock
        self._room = asyncio.Event()
        self._there = threading.Event()

    # -- On the event loop's thread --------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Queue input; returns when there is room for more."""
        with self._lock:
            if data:
                self._chunks.append(memoryview(data))
                self._size += len(data)
        self._there.set()
        while True:
            with self._lock:
                if self._size < CAPACITY:
                    return
                self._writer_waits = True
                self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """No more comes."""
        with self._lock:
            self._ended = True
        self._there.set()

    # -- In the guest's thread -------------------------------------------------------------------------------------

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until there is something to read, or the end; whether it is so, after at most `seconds`.

        Raises:
            TerminatedError: the guest was stopped meanwhile.
        """
        end = None if seconds is None else time.monotonic() + seconds
        with self._stoppable.waking(self._there.set):
            while True:
                with self._lock:
                    if self._chunks or self._ended:
                        return True
                    self._there.clear()
                # After the line above: a stop that it hid is seen here.
                if self._stoppable.reason is not None:
                    raise TerminatedError(self._stoppable.reason)
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self._there.wait(left) and left == 0.0:
                    return False

    @property
    def available(self) -> int:
        """Bytes that can be read without waiting."""
        with self._lock:
            return self._size

    def read(self, size: int) -> bytes:
        """At least one byte and at most `size`, as soon as there is one; empty at the end, or where `size` is 0.

        Raises:
            TerminatedError: the guest was stopped meanwhile.
        """
        if size == 0:
            return b""
        self.wait()
        with self._lock:
            parts = []
            left = size
            while self._chunks and left:
                chunk = self._chunks[0]
                parts.append(chunk[:left])
                if len(chunk) > left:
                    self._chunks[0] = chunk[left:]
                else:
                    self._chunks.popleft()
                left -= len(parts[-1])
            self._size -= size - left
            wake = self._writer_waits and self._size < CAPACITY
            if wake:
                self._writer_waits = False
        if wake:
            self._loop.call_soon_threadsafe(self._room.set)
        return b"".join(parts)
