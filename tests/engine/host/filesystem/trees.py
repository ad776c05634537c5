"""Short ways to use file systems in tests, and the kinds of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from farcall.engine.host.filesystem.interface import FileFlags, FileSystem, Handle, OpenFlags
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.wasi.errno import Errno, WasiError

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = (
    OpenFlags.CREATE,
    OpenFlags.DIRECTORY,
    OpenFlags.EXCLUSIVE,
    OpenFlags.TRUNCATE,
)
NOTHING, NO_FLAGS = OpenFlags(0), FileFlags(0)

_Result = TypeVar("_Result")


def root_of(system: FileSystem, *, read_only: bool = False, limit: int = 256) -> Handle:
    """A handle on its topmost directory, counted by a new `OpenHandles`."""
    return system.open_root(OpenHandles(limit), read_only=read_only)


def open_file(
    directory: Handle,
    path: bytes,
    flags: OpenFlags = NOTHING,
    *,
    file_flags: FileFlags = NO_FLAGS,
    read: bool = True,
    write: bool = False,
    follow: bool = True,
) -> Handle:
    """Open a file or directory, for reading unless told otherwise."""
    return directory.open(path, flags, file_flags, read=read, write=write, follow=follow)


def put(directory: Handle, path: bytes, content: bytes) -> None:
    """Make a file."""
    handle = open_file(directory, path, CREATE | TRUNCATE, read=False, write=True)
    left = memoryview(content)
    while left:
        left = left[handle.write([left]) :]
    handle.close()


def content_of(handle: Handle) -> bytes:
    """Everything behind the position."""
    result = bytearray()
    buffer = bytearray(8192)
    while count := handle.read([memoryview(buffer)]):
        result += buffer[:count]
    return bytes(result)


def get(directory: Handle, path: bytes, *, follow: bool = True) -> bytes:
    """What is in a file."""
    handle = open_file(directory, path, follow=follow)
    try:
        return content_of(handle)
    finally:
        handle.close()


def names(directory: Handle, cookie: int = 0) -> list[bytes]:
    """The names in a directory, sorted, without `.` and `..`."""
    return sorted(entry.name for entry in directory.read_directory(cookie) if entry.name not in (b".", b".."))


def errno_of(action: Callable[..., _Result], *arguments: object, **keywords: object) -> Errno:
    """The error number that a call fails with."""
    with pytest.raises(WasiError) as failure:
        action(*arguments, **keywords)
    return failure.value.errno


def outcome(action: Callable[[], _Result]) -> _Result | Errno:
    """A call's result, or the error number that it fails with."""
    try:
        return action()
    except WasiError as error:
        return error.errno
