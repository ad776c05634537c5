"""Standard streams on descriptors of the operating system.

They must not block, or a request to stop would wait for them, and they must not make the descriptor non-blocking
either: terminals and pipes are shared with other processes, which would be surprised. So a pipe or terminal is opened
once more, by its name in `/proc`, and that is non-blocking. Where this is not allowed, each access asks the system
before whether it would block, and writes no more than what a pipe then has room for.
"""

from __future__ import annotations

import os
import socket
import stat
import weakref
from collections.abc import Callable, Sequence
from select import POLLIN, POLLOUT, poll

from farcall.engine.host.filesystem.interface import FileType
from farcall.engine.host.wasi.errno import WasiError, errno_of_host
from farcall.engine.host.wasi.streams import InputStream, OutputStream

_SURE_ROOM = 4096
"""Bytes that a pipe takes at least when the system says that it can be written to (PIPE_BUF)."""


class _Access:
    """How a descriptor is used without blocking.

    Attributes:
        descriptor: to be used.
        asks: whether the system must be asked first.
        socket: the socket that it is, or None.
        file_type: what a guest is told.
    """

    def __init__(self, descriptor: int, flags: int) -> None:
        mode = os.fstat(descriptor).st_mode
        self.descriptor = descriptor
        self.asks = False
        self._close: Callable[[], object] = _nothing
        self.socket: socket.socket | None = None
        self.file_type = FileType.CHARACTER_DEVICE if os.isatty(descriptor) else FileType.UNKNOWN
        if stat.S_ISSOCK(mode):
            self.socket = socket.socket(fileno=os.dup(descriptor))
            self.file_type = FileType.SOCKET_STREAM
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            try:
                flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self.descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
            except OSError:
                self.asks = True
            else:
                self._close = weakref.finalize(self, os.close, self.descriptor)

    def may_block(self, events: int) -> bool:
        """Whether an access would block now, as far as the system must be asked."""
        if not self.asks:
            return False
        return not self.is_ready(events)

    def is_ready(self, events: int) -> bool:
        """Whether the system says that an access would not block."""
        look = poll()
        look.register(self.descriptor, events)
        return bool(look.poll(0))

    def close(self) -> None:
        """Give back what was opened; the descriptor itself stays open."""
        self._close()
        self.descriptor = -1  # its number may be another's from now on
        if self.socket is not None:
            self.socket.close()


def _nothing() -> None:
    pass


class DescriptorInput(InputStream):
    """An input from a descriptor of the operating system, which stays open."""

    def __init__(self, descriptor: int) -> None:
        """Make one. Raises OSError where the descriptor is not open."""
        self._access = _Access(descriptor, os.O_RDONLY)
        self.file_type = self._access.file_type

    @property
    def descriptor(self) -> int | None:
        """What is read."""
        return self._access.descriptor

    def read(self, buffers: Sequence[memoryview]) -> int | None:
        """Read what is there."""
        access = self._access
        try:
            if access.socket is not None:
                return access.socket.recvmsg_into(list(buffers), 0, socket.MSG_DONTWAIT)[0]
            if access.asks and access.may_block(POLLIN):
                return None
            return os.readv(access.descriptor, buffers)
        except BlockingIOError:
            return None
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None

    def available(self) -> int | None:
        """Whether there is something, or the end; the system does not say how much."""
        return 1 if self._access.is_ready(POLLIN) else None

    def close(self) -> None:
        """The descriptor stays open."""
        self._access.close()


class DescriptorOutput(OutputStream):
    """An output to a descriptor of the operating system, which stays open."""

    def __init__(self, descriptor: int) -> None:
        """Make one. Raises OSError where the descriptor is not open."""
        self._access = access = _Access(descriptor, os.O_WRONLY)
        self.file_type = access.file_type
        self._descriptor = access.descriptor
        self._plain = access.socket is None and not access.asks

    @property
    def descriptor(self) -> int | None:
        """What is written."""
        return self._descriptor

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Write as much as there is room for."""
        try:
            if self._plain:
                if len(buffers) == 1:
                    return os.write(self._descriptor, buffers[0])
                return os.writev(self._descriptor, buffers)
            return self._write_with_care(buffers)
        except BlockingIOError:
            return None
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None

    def _write_with_care(self, buffers: Sequence[memoryview]) -> int | None:
        access = self._access
        if access.socket is not None:
            return access.socket.sendmsg(buffers, [], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        if access.may_block(POLLOUT):
            return None
        for buffer in buffers:
            if buffer:
                return os.write(access.descriptor, buffer[:_SURE_ROOM])
        return 0

    def writable(self) -> bool:
        """Whether there is room."""
        return self._access.is_ready(POLLOUT)

    def close(self) -> None:
        """The descriptor stays open."""
        self._access.close()
        self._descriptor = -1
