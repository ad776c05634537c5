"""The system calls that host directories need and Python's `os` does not have."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from farcall.engine.host.filesystem.interface import FileType, TimeChange

_library = ctypes.CDLL(None, use_errno=True)
_openat2 = _library["syscall"]  # which makes a function of its own, with types of its own, each time
_openat2.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
_getdents64 = _library["syscall"]
_getdents64.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]
for _function in (_openat2, _getdents64):
    _function.restype = ctypes.c_long
_utimensat = _library.utimensat
_utimensat.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
_futimens = _library.futimens
_futimens.argtypes = [ctypes.c_int, ctypes.c_char_p]
_fallocate = _library.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

_OPENAT2 = 437
_GETDENTS64 = {"x86_64": 217, "aarch64": 61}
"""The system call's number."""

_OPEN_HOW = struct.Struct("=QQQ")
_RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x02, 0x08

_TIMES = struct.Struct("=qqqq")
_SECOND = 1_000_000_000
_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_AT_SYMLINK_NOFOLLOW = 0x100

_ENTRY_HEADER = struct.Struct("=QqHB")  # d_ino, d_off, d_reclen, d_type; then the name, up to a NUL
_ENTRIES_SIZE = 32768

# d_type is the type's bits of st_mode, shifted.
_TYPES = {
    0o02: FileType.CHARACTER_DEVICE,
    0o04: FileType.DIRECTORY,
    0o06: FileType.BLOCK_DEVICE,
    0o10: FileType.REGULAR_FILE,
    0o12: FileType.SYMBOLIC_LINK,
    0o14: FileType.SOCKET_STREAM,
}


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def type_of_mode(mode: int) -> FileType:
    """The type of a file with this `st_mode`; a FIFO is of none that WASI knows."""
    return _TYPES.get(mode >> 12, FileType.UNKNOWN)


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """Open what lies below a directory, with `openat2`: the kernel refuses to leave the directory on the way.

    Parameters:
        flags: as for `os.open`.

    Returns:
        A descriptor, which child processes do not inherit.

    Raises:
        OSError: `EXDEV`, the path leads out; `EAGAIN`, something was renamed meanwhile; or as `os.open`.
    """
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    descriptor = _openat2(_OPENAT2, directory, path, how, _OPEN_HOW.size)
    if descriptor < 0:
        raise _failure()
    return int(descriptor)


@cache
def kernel_has_openat2() -> bool:
    """Whether `open_beneath` works here: Linux 5.6, and nothing that filters it."""
    root = os.open(b"/", os.O_PATH | os.O_DIRECTORY)
    try:
        os.close(open_beneath(root, b".", os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def set_times_at(
    directory: int, name: bytes, access: int | TimeChange, modification: int | TimeChange
) -> None:
    """Set a file's times, in nanoseconds since 1970; of a symbolic link, its own. Raises OSError."""
    times = _TIMES.pack(*_time(access), *_time(modification))
    if _utimensat(directory, name, times, _AT_SYMLINK_NOFOLLOW) != 0:
        raise _failure()


def set_times_of(descriptor: int, access: int | TimeChange, modification: int | TimeChange) -> None:
    """Set an open file's times, in nanoseconds since 1970. Raises OSError."""
    times = _TIMES.pack(*_time(access), *_time(modification))
    if _futimens(descriptor, times) != 0:
        raise _failure()


def _time(time: int | TimeChange) -> tuple[int, int]:
    if isinstance(time, TimeChange):
        return 0, _UTIME_NOW if time is TimeChange.NOW else _UTIME_OMIT
    return divmod(time, _SECOND)


def allocate(descriptor: int, offset: int, length: int) -> None:
    """Have the file system reserve a part of a file, which grows if need be. Raises OSError, if it cannot do that, too.

    (`os.posix_fallocate` would write the bytes one block at a time then, for hours if the guest likes.)
    """
    if _fallocate(descriptor, 0, offset, length) != 0:
        raise _failure()


class HostEntry(NamedTuple):
    """An entry of a directory."""

    position: int
    """Behind the entry."""
    inode: int
    type: FileType
    """`UNKNOWN` for a FIFO, and where the file system does not say it here."""
    name: bytes


def directory_entries(descriptor: int) -> list[HostEntry]:
    """The next entries of an open directory; none, where there are no more.

    Raises:
        OSError: as `getdents64`.
    """
    buffer = ctypes.create_string_buffer(_ENTRIES_SIZE)
    count = _getdents64(_GETDENTS64[platform.machine()], descriptor, buffer, _ENTRIES_SIZE)
    if count < 0:
        if ctypes.get_errno() == errno.ENOENT:  # the directory has been removed
            return []
        raise _failure()
    return list(_parse_entries(buffer.raw[:count]))


def _parse_entries(data: bytes) -> Iterator[HostEntry]:
    start = 0
    while start < len(data):
        inode, position, length, kind = _ENTRY_HEADER.unpack_from(data, start)
        name_start = start + _ENTRY_HEADER.size
        name = data[name_start : data.index(0, name_start)]
        yield HostEntry(position, inode, _TYPES.get(kind, FileType.UNKNOWN), name)
        start += length
