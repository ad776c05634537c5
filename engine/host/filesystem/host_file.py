"""Open files of the host."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

from farcall.engine.host.filesystem.directory import check_flags
from farcall.engine.host.filesystem.interface import (
    Advice,
    FileFlags,
    FileStatus,
    FileType,
    Handle,
    TimeChange,
    Whence,
)
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.filesystem.system_calls import allocate, set_times_of, type_of_mode
from farcall.engine.host.wasi.errno import Errno, WasiError, errno_of_host

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_MOST_BUFFERS = 1024
"""Views that one system call takes (`IOV_MAX`); the rest is for the guest's next call."""

_LARGEST_OFFSET = (1 << 63) - 1

_ADVICES = {
    Advice.NORMAL: os.POSIX_FADV_NORMAL,
    Advice.SEQUENTIAL: os.POSIX_FADV_SEQUENTIAL,
    Advice.RANDOM: os.POSIX_FADV_RANDOM,
    Advice.WILLNEED: os.POSIX_FADV_WILLNEED,
    Advice.DONTNEED: os.POSIX_FADV_DONTNEED,
    Advice.NOREUSE: os.POSIX_FADV_NOREUSE,
}


def host_errors(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Have a function raise WasiError for what the host refuses."""

    @wraps(function)
    def guarded(*arguments: _Parameters.args, **keywords: _Parameters.kwargs) -> _Result:
        try:
            return function(*arguments, **keywords)
        except OSError as error:
            raise WasiError(errno_of_host(error), str(error)) from error

    return guarded


def status_of(status: os.stat_result) -> FileStatus:
    """What the host knows of a file, as guests are told."""
    return FileStatus(
        status.st_dev,
        status.st_ino,
        type_of_mode(status.st_mode),
        status.st_nlink,
        status.st_size,
        status.st_atime_ns,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


class HostFile(Handle):
    """An open file of the host's; the position is the descriptor's.

    Reading and writing goes straight between the descriptor and the guest's memory.
    """

    type = FileType.REGULAR_FILE

    def __init__(self, descriptor: int, handles: OpenHandles, flags: FileFlags, *, read_only: bool) -> None:
        """Take over a descriptor."""
        self._descriptor = (
            descriptor  # guarded by _lock: -1 when closed, never a number that somebody else has by then
        )
        self._lock = threading.Lock()
        self._handles = handles
        self._read_only = read_only
        self.flags = flags
        handles.add(self)

    def close(self) -> None:
        """Close the descriptor, when no other thread is using it."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._handles.discard(self)
            os.close(descriptor)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position."""
        try:
            with self._lock:
                return os.readv(
                    self._descriptor, buffers if len(buffers) <= _MOST_BUFFERS else buffers[:_MOST_BUFFERS]
                )
        except OSError as error:
            raise WasiError(errno_of_host(error)) from error

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write at the position, or at the end."""
        try:
            with self._lock:
                return os.writev(
                    self._descriptor, buffers if len(buffers) <= _MOST_BUFFERS else buffers[:_MOST_BUFFERS]
                )
        except OSError as error:
            raise WasiError(errno_of_host(error)) from error

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Read at an offset."""
        if offset > _LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        try:
            with self._lock:
                return os.preadv(self._descriptor, buffers[:_MOST_BUFFERS], offset)
        except OSError as error:
            raise WasiError(errno_of_host(error)) from error

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Write at an offset, or, as Linux does, at the end with `APPEND`."""
        if offset > _LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        try:
            with self._lock:
                return os.pwritev(self._descriptor, buffers[:_MOST_BUFFERS], offset)
        except OSError as error:
            raise WasiError(errno_of_host(error)) from error

    def _number(self) -> int:
        """The descriptor, while the lock is held. Raises WasiError(BADF) when it is closed."""
        if self._descriptor < 0:
            raise WasiError(Errno.BADF)
        return self._descriptor

    @host_errors
    def seek(self, offset: int, whence: Whence) -> int:
        """Move the position."""
        with self._lock:
            return os.lseek(self._number(), offset, whence)

    @host_errors
    def status(self) -> FileStatus:
        """What is known of it."""
        with self._lock:
            return status_of(os.fstat(self._number()))

    @host_errors
    def set_flags(self, flags: FileFlags) -> None:
        """Change `APPEND` and `NONBLOCK`; the latter means nothing to a file."""
        check_flags(self.flags, flags)
        with self._lock:
            descriptor = self._number()
            host_flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_APPEND
            if FileFlags.APPEND in flags:
                host_flags |= os.O_APPEND
            fcntl.fcntl(descriptor, fcntl.F_SETFL, host_flags)
            self.flags = flags

    @host_errors
    def set_times(self, access: int | TimeChange, modification: int | TimeChange) -> None:
        """Set its times, in nanoseconds since 1970."""
        if self._read_only:
            raise WasiError(Errno.ROFS)
        with self._lock:
            set_times_of(self._number(), access, modification)

    @host_errors
    def set_size(self, size: int) -> None:
        """Cut the file, or let it grow with zeros."""
        if size > _LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        with self._lock:
            os.ftruncate(self._number(), size)

    @host_errors
    def allocate(self, offset: int, length: int) -> None:
        """Make sure that this part of the file exists and has room; `NOTSUP` where the host's file system cannot."""
        if not length or offset > _LARGEST_OFFSET or length > _LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        with self._lock:
            allocate(self._number(), offset, length)

    @host_errors
    def advise(self, offset: int, length: int, advice: Advice) -> None:
        """Pass on how this part of the file is going to be used."""
        if offset > _LARGEST_OFFSET or length > _LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        with self._lock:
            os.posix_fadvise(self._number(), offset, length, _ADVICES[advice])

    @host_errors
    def sync(self) -> None:
        """Have data and status written to the disk."""
        with self._lock:
            os.fsync(self._number())

    @host_errors
    def sync_data(self) -> None:
        """Have data written to the disk."""
        with self._lock:
            os.fdatasync(self._number())
