"""What a program has written and its client has not been sent."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from enum import Enum

from farcall.engine import Stoppable, TerminatedError

CAPACITY = 1 << 20
"""Bytes that wait to be sent before the guest has to wait, too."""

MESSAGE_BYTES = 1 << 18
"""Bytes of output that one message carries at most: larger messages are no faster (see the benchmark)."""


class OutputStream(Enum):
    """Which of a program's two outputs; the values are the fields that carry them."""

    OUTPUT = "standard_output"
    ERROR = "standard_error"


class ProgramOutput:
    """A bounded queue from the guest's thread to the event loop; both outputs share it, and so keep their order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stoppable: Stoppable) -> None:
        """Make an empty queue.

        Parameters:
            stoppable: what stops the guest.
        """
        self._loop = loop
        self._stoppable = stoppable
        self._lock = threading.Lock()
        self._chunks: deque[tuple[OutputStream, bytes]] = deque()  # guarded by _lock
        self._size = 0  # bytes in _chunks; guarded by _lock
        self._closed = False  # guarded by _lock
        self._reader_waits = False  # guarded by _lock
        self._writer_waits = False  # guarded by _lock
        self._there = asyncio.Event()
        self._room = threading.Semaphore(0)

    # -- In the guest's thread -------------------------------------------------------------------------------------

    def write(self, stream: OutputStream, data: bytes) -> None:
        """Queue what the guest writes, as soon as there is room.

        Raises:
            TerminatedError: the guest was stopped while it waited.
        """
        if not data:
            return
        while not self._try_write(stream, data):
            with self._stoppable.waking(self._room.release):
                if self._stoppable.reason is not None:
                    raise TerminatedError(self._stoppable.reason)
                self._room.acquire()

    def _try_write(self, stream: OutputStream, data: bytes) -> bool:
        with self._lock:
            # What is written at once is taken whole: the capacity bounds what comes before it.
            if self._size >= CAPACITY:
                self._writer_waits = True
                return False
            self._chunks.append((stream, data))
            self._size += len(data)
            wake, self._reader_waits = self._reader_waits, False
        if wake:
            self._loop.call_soon_threadsafe(self._there.set)
        return True

    def close(self) -> None:
        """The guest has ended: nothing more comes. Also called by the event loop's thread."""
        with self._lock:
            self._closed = True
        self._loop.call_soon_threadsafe(self._there.set)

    # -- On the event loop's thread --------------------------------------------------------------------------------

    async def take(self) -> tuple[OutputStream, bytes] | None:
        """Wait for output: what belongs to one stream, at most a message's; None at the end."""
        while True:
            with self._lock:
                if self._chunks:
                    return self._taken()
                if self._closed:
                    return None
                self._reader_waits = True
                self._there.clear()
            await self._there.wait()

    def _taken(self) -> tuple[OutputStream, bytes]:
        """The next chunks of one stream, together. The lock is held."""
        stream, data = self._chunks.popleft()
        size = len(data)
        if size > MESSAGE_BYTES:
            self._chunks.appendleft((stream, data[MESSAGE_BYTES:]))
            data, size = data[:MESSAGE_BYTES], MESSAGE_BYTES
        elif self._chunks and self._chunks[0][0] is stream:
            parts = [data]
            while self._chunks and self._chunks[0][0] is stream:
                length = len(self._chunks[0][1])
                if size + length > MESSAGE_BYTES:
                    break
                parts.append(self._chunks.popleft()[1])
                size += length
            data = b"".join(parts)
        self._size -= size
        if self._writer_waits and self._size < CAPACITY:
            self._writer_waits = False
            self._room.release()
        return stream, data
