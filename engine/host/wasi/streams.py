"""Standard input and output as guests have them: streams that never block, and say when they are worth another try.

A guest that reads where nothing is there yet sleeps (`Waiter`), and so does one that writes where there is no room.
What wakes it is a descriptor of the operating system that becomes ready (`descriptor`), or else the stream, which calls
the wakers that were given to it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from farcall.engine.host.filesystem.interface import FileType
from farcall.engine.host.wasi.errno import Errno, WasiError

Waker = Callable[[], None]
"""Called from any thread, as often as one likes, and never blocks."""


class Stream:
    """What input and output streams have in common.

    Attributes:
        file_type: what a guest is told that it is; a `CHARACTER_DEVICE` is taken for a terminal.
    """

    file_type: FileType = FileType.UNKNOWN

    @property
    def descriptor(self) -> int | None:
        """The operating system's descriptor to wait for; None where the stream calls the wakers."""
        return None

    def add_waker(self, waker: Waker) -> None:
        """From now on, call `waker` whenever more can be read or written. Nothing where there is a descriptor."""

    def remove_waker(self, waker: Waker) -> None:
        """Do not call it any more."""

    def close(self) -> None:
        """The guest has closed it, or has ended; a second time does nothing."""


class InputStream(Stream, ABC):
    """What a guest reads."""

    @abstractmethod
    def read(self, buffers: Sequence[memoryview]) -> int | None:
        """Read what is there, into writable views of bytes, one after the other.

        Returns:
            How many bytes came; 0 at the end; None where nothing is there yet.

        Raises:
            WasiError: the stream has failed.
        """

    @abstractmethod
    def available(self) -> int | None:
        """How many bytes can be read at least, 0 at the end, None where nothing is there yet."""


class OutputStream(Stream, ABC):
    """What a guest writes; everything is passed on at once."""

    @abstractmethod
    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Write as much as there is room for, of views of bytes that are not looked at later.

        Returns:
            How many bytes went; None where there is no room for any yet.

        Raises:
            WasiError: nobody reads it any more (`PIPE`), or it has failed otherwise.
        """

    @abstractmethod
    def writable(self) -> bool:
        """Whether `write` would not return None."""


class EmptyInput(InputStream):
    """An input that is at its end."""

    def read(self, buffers: Sequence[memoryview]) -> int | None:
        """Nothing."""
        return 0

    def available(self) -> int | None:
        """Nothing."""
        return 0


class BytesInput(InputStream):
    """An input of bytes that are all there."""

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._rest = memoryview(bytes(content))

    def read(self, buffers: Sequence[memoryview]) -> int | None:
        """Read what is left."""
        total = 0
        for buffer in buffers:
            count = min(len(buffer), len(self._rest))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            total += count
        return total

    def available(self) -> int | None:
        """What is left."""
        return len(self._rest)


class BytesOutput(OutputStream):
    """An output that is kept in memory.

    Attributes:
        limit: bytes that are kept at most; a write beyond is `NOSPC`.
    """

    def __init__(self, limit: int = 64 << 20) -> None:
        self.limit = limit
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        """What was written so far."""
        return bytes(self._content)

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Write what fits."""
        total = 0
        for buffer in buffers:
            part = buffer[: self.limit - len(self._content)]
            self._content += part
            total += len(part)
        if total == 0 and any(len(buffer) for buffer in buffers):
            raise WasiError(Errno.NOSPC, f"{self.limit} bytes of output are kept at most")
        return total

    def writable(self) -> bool:
        """It is."""
        return True


class DiscardedOutput(OutputStream):
    """An output that nobody wants."""

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Forget it."""
        return sum(map(len, buffers))

    def writable(self) -> bool:
        """It is."""
        return True


class ByteQueue(InputStream, OutputStream):
    """Bytes on their way from one thread to another, of which a limited number waits.

    One side is a guest's, as an input or output stream; the other side is the embedder's, which uses the same methods,
    or `put` and `take`, which move whole `bytes` objects without copying them. Both sides may add wakers, which are
    called outside of the queue's lock whenever bytes or room have come.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        """Make one.

        Parameters:
            limit: bytes beyond which nothing more is taken in.
        """
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: deque[memoryview] = deque()  # guarded by _lock, as is what follows
        self._size = 0
        self._ended = False
        self._abandoned = False
        self._wakers: tuple[Waker, ...] = ()

    # -- For either side ---------------------------------------------------------------------------------------------

    def add_waker(self, waker: Waker) -> None:
        """Call it whenever bytes or room have come, or one side is closed."""
        with self._lock:
            self._wakers = (*self._wakers, waker)

    def remove_waker(self, waker: Waker) -> None:
        """Do not call it any more."""
        with self._lock:
            self._wakers = tuple(other for other in self._wakers if other != waker)

    def _wake(self) -> None:
        for waker in self._wakers:
            waker()

    def end(self) -> None:
        """Nothing more will be written: who reads comes to the end once all is read."""
        with self._lock:
            self._ended = True
        self._wake()

    def abandon(self) -> None:
        """Nobody will read any more: what is there is dropped, and writing is `PIPE`."""
        with self._lock:
            self._abandoned = True
            self._chunks.clear()
            self._size = 0
        self._wake()

    # -- Writing -----------------------------------------------------------------------------------------------------

    def put(self, content: bytes) -> bool:
        """Append bytes, as a whole; whether there was room. However many they are, they fit into an empty queue.

        Raises:
            WasiError: `PIPE`, nobody reads any more.
        """
        with self._lock:
            self._check_reader()
            if self._size and self._size + len(content) > self._limit:
                return False
            if content:
                self._chunks.append(memoryview(content))
                self._size += len(content)
        self._wake()
        return True

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Append copies of as much as there is room for."""
        with self._lock:
            self._check_reader()
            room = self._limit - self._size
            if room <= 0:
                return None
            total = 0
            for buffer in buffers:
                content = bytes(buffer[: room - total])
                if content:
                    self._chunks.append(memoryview(content))
                    total += len(content)
            self._size += total
        self._wake()
        return total

    def writable(self) -> bool:
        """Whether there is room, or nobody reads."""
        with self._lock:
            return self._size < self._limit or self._abandoned

    def _check_reader(self) -> None:
        if self._abandoned:
            raise WasiError(Errno.PIPE, "nobody reads any more")

    # -- Reading -----------------------------------------------------------------------------------------------------

    def take(self) -> memoryview | None:
        """The next bytes, as they were written; empty at the end, None where nothing is there yet."""
        with self._lock:
            if not self._chunks:
                return memoryview(b"") if self._ended or self._abandoned else None
            chunk = self._chunks.popleft()
            self._size -= len(chunk)
        self._wake()
        return chunk

    def read(self, buffers: Sequence[memoryview]) -> int | None:
        """Read what is there."""
        total = 0
        with self._lock:
            if not self._chunks:
                return 0 if self._ended or self._abandoned else None
            for buffer in buffers:
                filled = 0
                while filled < len(buffer) and self._chunks:
                    chunk = self._chunks.popleft()
                    count = min(len(chunk), len(buffer) - filled)
                    buffer[filled : filled + count] = chunk[:count]
                    filled += count
                    if count < len(chunk):
                        self._chunks.appendleft(chunk[count:])
                total += filled
            self._size -= total
        self._wake()
        return total

    def available(self) -> int | None:
        """How many bytes wait."""
        with self._lock:
            if self._chunks:
                return self._size
            return 0 if self._ended or self._abandoned else None
