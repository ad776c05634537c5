"""Handles on which something may not be there yet: streams and sockets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from farcall.engine.host.filesystem.interface import FileFlags, FileStatus, FileType, Handle, Whence
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.streams import InputStream, OutputStream, Stream, Waker


class Readiness(NamedTuple):
    """That reading or writing would not have to wait.

    Attributes:
        bytes: how many are there at least, or 0 where nobody knows.
        hangup: whether the other side has closed.
    """

    bytes: int = 0
    hangup: bool = False


class Waitable(Handle):
    """A handle that may have to be waited for: `read` and `write` raise `AGAIN` then, and never block."""

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """The operating system's descriptor to wait for; None where the handle calls the wakers."""

    def add_waker(self, waker: Waker) -> None:
        """From now on, call `waker` whenever more can be read or written."""

    def remove_waker(self, waker: Waker) -> None:
        """Do not call it any more."""

    @abstractmethod
    def readable(self) -> Readiness | None:
        """Whether reading would not wait; None where it would."""

    @abstractmethod
    def writable(self) -> Readiness | None:
        """Whether writing would not wait; None where it would."""

    def set_flags(self, flags: FileFlags) -> None:
        """Change `NONBLOCK`; `APPEND` means nothing here."""
        if flags & ~(FileFlags.NONBLOCK | FileFlags.APPEND):
            raise WasiError(Errno.INVAL)
        self.flags = flags

    def status(self) -> FileStatus:
        """Only what it is."""
        return FileStatus(0, 0, self.type, 1, 0, 0, 0, 0)

    def seek(self, offset: int, whence: Whence) -> int:
        """A stream has no position."""
        raise WasiError(Errno.SPIPE)

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """A stream has no position."""
        raise WasiError(Errno.SPIPE)

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """A stream has no position."""
        raise WasiError(Errno.SPIPE)


class _StreamHandle(Waitable):
    """A standard stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.type: FileType = stream.file_type
        self.add_waker = stream.add_waker  # type: ignore[method-assign]
        self.remove_waker = stream.remove_waker  # type: ignore[method-assign]

    @property
    def descriptor(self) -> int | None:
        """The stream's."""
        return self._stream.descriptor

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class InputHandle(_StreamHandle):
    """An input stream, as a handle."""

    def __init__(self, stream: InputStream) -> None:
        super().__init__(stream)
        self._input = stream
        self._read = stream.read

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what is there."""
        count = self._read(buffers)
        if count is None:
            raise WasiError(Errno.AGAIN)
        return count

    def readable(self) -> Readiness | None:
        """Whether there is something, or the end."""
        available = self._input.available()
        return None if available is None else Readiness(available, available == 0)

    def writable(self) -> Readiness | None:
        """Writing fails at once."""
        return Readiness()


class OutputHandle(_StreamHandle):
    """An output stream, as a handle."""

    def __init__(self, stream: OutputStream) -> None:
        super().__init__(stream)
        self._output = stream
        self._write = stream.write

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write as much as there is room for."""
        count = self._write(buffers)
        if count is None:
            raise WasiError(Errno.AGAIN)
        return count

    def readable(self) -> Readiness | None:
        """Reading fails at once."""
        return Readiness()

    def writable(self) -> Readiness | None:
        """Whether there is room."""
        return Readiness() if self._output.writable() else None
