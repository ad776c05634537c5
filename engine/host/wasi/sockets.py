"""Sockets: `sock_*`, on listeners that the program was given, and on what they accept."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Sequence
from select import POLLHUP, POLLIN, POLLOUT, poll

from farcall.engine.host.filesystem.interface import FileFlags, FileType
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.blocking import rest_of, wait_until_done, write_or_wait
from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.descriptors import Descriptor
from farcall.engine.host.wasi.errno import Errno, WasiError, errno_of_host
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import (
    HALF,
    RECEIVED_TRUNCATED,
    SIZE,
    ReceiveFlags,
    ShutdownFlags,
)
from farcall.engine.host.wasi.waitable import Readiness, Waitable

_ACCEPT_FLAGS = int(FileFlags.NONBLOCK)
_RECEIVE_FLAGS = int(~ReceiveFlags(0))
_HOW: dict[int, int] = {
    ShutdownFlags.RECEIVE: socket.SHUT_RD,
    ShutdownFlags.SEND: socket.SHUT_WR,
    ShutdownFlags.RECEIVE | ShutdownFlags.SEND: socket.SHUT_RDWR,
}


class SocketHandle(Waitable):
    """A socket: one that listens, or a connection.

    Attributes:
        listening: whether connections can be accepted from it, and nothing else.
    """

    def __init__(self, socket_: socket.socket, handles: OpenHandles, *, listening: bool) -> None:
        """Take over a socket.

        Raises:
            WasiError: `MFILE`, too many handles are open; the socket has been closed.
        """
        socket_.setblocking(False)
        self._socket = socket_
        self._handles = handles
        self.listening = listening
        datagrams = socket_.type == socket.SOCK_DGRAM
        self.type = FileType.SOCKET_DGRAM if datagrams else FileType.SOCKET_STREAM
        self._datagrams = datagrams
        handles.add(self)

    @property
    def descriptor(self) -> int | None:
        """The socket's."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._handles.discard(self)

    def accept(self) -> SocketHandle:
        """A connection that somebody has made. Raises WasiError: `AGAIN`, there is none; and others."""
        self._handles.check()
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None
        return SocketHandle(connection, self._handles, listening=False)

    def receive(self, buffers: Sequence[memoryview], flags: int) -> tuple[int, bool]:
        """How many bytes came, and whether more had come than there was room for. Raises WasiError."""
        try:
            count, _, received_flags, _ = self._socket.recvmsg_into(list(buffers), 0, flags)
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None
        return count, bool(received_flags & socket.MSG_TRUNC)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Receive what is there."""
        return self.receive(buffers, 0)[0]

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Send as much as there is room for."""
        try:
            return self._socket.sendmsg(buffers, [], socket.MSG_NOSIGNAL)
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None

    def shut_down(self, how: int) -> None:
        """End one or both directions. Raises WasiError."""
        try:
            self._socket.shutdown(how)
        except OSError as error:
            raise WasiError(errno_of_host(error)) from None

    def readable(self) -> Readiness | None:
        """Whether something has come, or a connection, or the end."""
        events = self._look(POLLIN)
        if not events:
            return None
        if self.listening:
            return Readiness()
        try:
            waiting = bytearray(4)
            fcntl.ioctl(self._socket, termios.FIONREAD, waiting)
        except OSError:
            return Readiness()
        count = struct.unpack("=i", waiting)[0]
        return Readiness(count, bool(events & POLLHUP) or count == 0)

    def writable(self) -> Readiness | None:
        """Whether there is room."""
        events = self._look(POLLOUT)
        return Readiness(0, bool(events & POLLHUP)) if events else None

    def _look(self, events: int) -> int:
        look = poll()
        look.register(self._socket, events)
        found = look.poll(0)
        return found[0][1] if found else 0


def _socket(guest: Guest, number: int, right: int) -> SocketHandle:
    """The socket that a descriptor is open on. Raises WasiError: `BADF`, `NOTSOCK`, `NOTCAPABLE`."""
    descriptor = guest.open_descriptor(number, 0)
    if not isinstance(descriptor.handle, SocketHandle):
        raise WasiError(Errno.NOTSOCK)
    if not descriptor.rights & right:
        raise WasiError(Errno.NOTCONN if descriptor.handle.listening else Errno.NOTCAPABLE)
    return descriptor.handle


@wasi_call("i32 i32 i32")
def sock_accept(guest: Guest, number: int, flags: int, accepted: int) -> int | None:
    """Accept a connection."""
    descriptor = guest.open_descriptor(number, 0)
    handle = descriptor.handle
    if not isinstance(handle, SocketHandle):
        return Errno.NOTSOCK
    if not handle.listening:
        return Errno.INVAL
    if not descriptor.rights & rights.SOCK_ACCEPT:
        return Errno.NOTCAPABLE
    if flags & ~_ACCEPT_FLAGS:
        return Errno.INVAL
    place = guest.bytes_at(accepted, SIZE.size)
    connection = wait_until_done(guest, handle, POLLIN, handle.accept)
    connection.flags = FileFlags(flags)
    try:
        SIZE.pack_into(place, 0, guest.program.descriptors.add(Descriptor(connection, rights.SOCKET, 0)))
    except BaseException:
        connection.close()
        raise
    return None


@wasi_call("i32 i32 i32 i32 i32 i32")
def sock_recv(
    guest: Guest, number: int, vectors: int, count: int, flags: int, received: int, received_flags: int
) -> int | None:
    """Receive."""
    handle = _socket(guest, number, rights.FD_READ)
    if flags & ~_RECEIVE_FLAGS:
        return Errno.INVAL
    buffers = guest.buffers(guest.memory(), vectors, count)
    wanted = sum(map(len, buffers))
    peek = socket.MSG_PEEK if flags & ReceiveFlags.PEEK else 0
    total, truncated = wait_until_done(guest, handle, POLLIN, lambda: handle.receive(buffers, peek))
    while flags & ReceiveFlags.WAITALL and not peek and 0 < total < wanted:
        rest = rest_of(buffers, total)
        more = wait_until_done(guest, handle, POLLIN, lambda rest=rest: handle.read(rest))  # type: ignore[misc]
        if more == 0:
            break
        total += more
    memory = guest.memory()
    SIZE.pack_into(memory, received, total)
    HALF.pack_into(memory, received_flags, RECEIVED_TRUNCATED if truncated else 0)
    return None


@wasi_call("i32 i32 i32 i32 i32")
def sock_send(guest: Guest, number: int, vectors: int, count: int, flags: int, sent: int) -> int | None:
    """Send."""
    handle = _socket(guest, number, rights.FD_WRITE)
    if flags:
        return Errno.INVAL
    SIZE.pack_into(
        guest.memory(), sent, write_or_wait(guest, handle, guest.buffers(guest.memory(), vectors, count))
    )
    return None


@wasi_call("i32 i32")
def sock_shutdown(guest: Guest, number: int, how: int) -> int | None:
    """End one or both directions of a connection."""
    handle = _socket(guest, number, rights.SOCK_SHUTDOWN)
    directions = _HOW.get(how)
    if directions is None:
        return Errno.INVAL
    handle.shut_down(directions)
    return None
