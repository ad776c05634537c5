"""What a program has written and its client has not been sent."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from enum import Enum

from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.streams import OutputStream, Waker

CAPACITY = 1 << 20
"""Bytes that wait to be sent before the guest has to wait, too."""

MESSAGE_BYTES = 1 << 18
"""Bytes of output that one message carries at most: larger messages are no faster (see the benchmark)."""


class Channel(Enum):
    """Which of a program's two outputs; the values are the fields of messages that carry them."""

    OUTPUT = "standard_output"
    ERROR = "standard_error"


class ProgramOutput:
    """A bounded queue from the guest's thread to the event loop; both outputs share it, and so keep their order.

    Attributes:
        total: bytes that the guest has written so far.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._chunks: deque[tuple[Channel, bytes]] = deque()  # guarded by _lock, as is what follows
        self._size = 0  # bytes in _chunks
        self.total = 0
        self._closed = False
        self._reader_waits = False
        self._wakers: tuple[Waker, ...] = ()
        self._there = asyncio.Event()

    # -- In the guest's thread -------------------------------------------------------------------------------------

    def write(self, channel: Channel, buffers: Sequence[memoryview]) -> int | None:
        """Queue copies of as much as there is room for; how many bytes, None where there is no room.

        Raises:
            WasiError: `PIPE`, the client is gone.
        """
        with self._lock:
            if self._closed:
                raise WasiError(Errno.PIPE, "nobody reads any more")
            room = CAPACITY - self._size
            if room <= 0:
                return None
            size = 0
            for buffer in buffers:
                content = bytes(buffer if len(buffer) <= room - size else buffer[: room - size])
                if content:
                    self._chunks.append((channel, content))
                    size += len(content)
            self._size += size
            self.total += size
            wake = self._reader_waits and size > 0
            if wake:
                self._reader_waits = False
        if wake:
            self._loop.call_soon_threadsafe(self._there.set)
        return size

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return self._size

    def writable(self) -> bool:
        """Whether there is room, or nobody reads."""
        with self._lock:
            return self._size < CAPACITY or self._closed

    def add_waker(self, waker: Waker) -> None:
        """Call it whenever there is room again, or nobody reads any more."""
        with self._lock:
            self._wakers = (*self._wakers, waker)

    def remove_waker(self, waker: Waker) -> None:
        """Do not call it any more."""
        with self._lock:
            self._wakers = tuple(other for other in self._wakers if other != waker)

    # -- On the event loop's thread --------------------------------------------------------------------------------

    def close(self) -> None:
        """The guest has ended: what it has written is still to be sent, but nothing more comes."""
        with self._lock:
            self._closed = True
        self._there.set()
        self._wake_guest()

    def discard(self) -> None:
        """Forget what has not been sent; the guest has ended."""
        with self._lock:
            self._chunks.clear()
            self._size = 0

    async def take(self) -> tuple[Channel, bytes] | None:
        """Wait for output: what belongs to one channel, at most a message's; None at the end."""
        while True:
            with self._lock:
                was_full = self._size >= CAPACITY
                taken = self._taken() if self._chunks else None
                if taken is None:
                    if self._closed:
                        return None
                    self._reader_waits = True
                    self._there.clear()
            if taken is not None:
                if was_full:
                    self._wake_guest()
                return taken
            await self._there.wait()

    def _taken(self) -> tuple[Channel, bytes]:
        """The next chunks of one channel, together. The lock is held."""
        channel, data = self._chunks.popleft()
        size = len(data)
        if size > MESSAGE_BYTES:
            self._chunks.appendleft((channel, data[MESSAGE_BYTES:]))
            data, size = data[:MESSAGE_BYTES], MESSAGE_BYTES
        elif self._chunks and self._chunks[0][0] is channel:
            parts = [data]
            while self._chunks and self._chunks[0][0] is channel:
                length = len(self._chunks[0][1])
                if size + length > MESSAGE_BYTES:
                    break
                parts.append(self._chunks.popleft()[1])
                size += length
            data = b"".join(parts)
        self._size -= size
        return channel, data

    def _wake_guest(self) -> None:
        for waker in self._wakers:
            waker()


class ChannelOutput(OutputStream):
    """One of a program's outputs, as its guest has it."""

    def __init__(self, output: ProgramOutput, channel: Channel) -> None:
        self._output = output
        self._channel = channel

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Queue as much as there is room for."""
        return self._output.write(self._channel, buffers)

    def writable(self) -> bool:
        """Whether there is room."""
        return self._output.writable()

    def add_waker(self, waker: Waker) -> None:
        """Call it whenever there is room again."""
        self._output.add_waker(waker)

    def remove_waker(self, waker: Waker) -> None:
        """Do not call it any more."""
        self._output.remove_waker(waker)
