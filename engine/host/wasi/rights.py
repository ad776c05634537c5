"""Rights of descriptors (`$rights`), and which of them make sense for what a descriptor is open on."""

from __future__ import annotations

from farcall.engine.host.filesystem.interface import FileType

# Plain ints, not an enumeration: they are looked at in every call.
FD_DATASYNC = 1 << 0
FD_READ = 1 << 1
FD_SEEK = 1 << 2
FD_FDSTAT_SET_FLAGS = 1 << 3
FD_SYNC = 1 << 4
FD_TELL = 1 << 5
FD_WRITE = 1 << 6
FD_ADVISE = 1 << 7
FD_ALLOCATE = 1 << 8
PATH_CREATE_DIRECTORY = 1 << 9
PATH_CREATE_FILE = 1 << 10
PATH_LINK_SOURCE = 1 << 11
PATH_LINK_TARGET = 1 << 12
PATH_OPEN = 1 << 13
FD_READDIR = 1 << 14
PATH_READLINK = 1 << 15
PATH_RENAME_SOURCE = 1 << 16
PATH_RENAME_TARGET = 1 << 17
PATH_FILESTAT_GET = 1 << 18
PATH_FILESTAT_SET_SIZE = 1 << 19
PATH_FILESTAT_SET_TIMES = 1 << 20
FD_FILESTAT_GET = 1 << 21
FD_FILESTAT_SET_SIZE = 1 << 22
FD_FILESTAT_SET_TIMES = 1 << 23
PATH_SYMLINK = 1 << 24
PATH_REMOVE_DIRECTORY = 1 << 25
PATH_UNLINK_FILE = 1 << 26
POLL_FD_READWRITE = 1 << 27
SOCK_SHUTDOWN = 1 << 28
SOCK_ACCEPT = 1 << 29

ALL = (1 << 30) - 1

_STREAM = FD_READ | FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE
REGULAR_FILE = (
    _STREAM
    | FD_DATASYNC
    | FD_SEEK
    | FD_SYNC
    | FD_TELL
    | FD_ADVISE
    | FD_ALLOCATE
    | FD_FILESTAT_SET_SIZE
    | FD_FILESTAT_SET_TIMES
)
DIRECTORY = (
    FD_FDSTAT_SET_FLAGS
    | FD_DATASYNC
    | FD_SYNC
    | PATH_CREATE_DIRECTORY
    | PATH_CREATE_FILE
    | PATH_LINK_SOURCE
    | PATH_LINK_TARGET
    | PATH_OPEN
    | FD_READDIR
    | PATH_READLINK
    | PATH_RENAME_SOURCE
    | PATH_RENAME_TARGET
    | PATH_FILESTAT_GET
    | PATH_FILESTAT_SET_SIZE
    | PATH_FILESTAT_SET_TIMES
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_TIMES
    | PATH_SYMLINK
    | PATH_REMOVE_DIRECTORY
    | PATH_UNLINK_FILE
)
INHERITABLE = DIRECTORY | REGULAR_FILE
"""What a directory may hand on."""
INPUT = _STREAM & ~FD_WRITE
OUTPUT = _STREAM & ~FD_READ
SOCKET = _STREAM | SOCK_SHUTDOWN
LISTENER = SOCK_ACCEPT | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE

WRITING = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE
"""Each of them needs a file that is open for writing."""
READING = FD_READ | FD_READDIR


def applicable(file_type: FileType) -> tuple[int, int]:
    """The rights that a descriptor of this type can have, and those that it can hand on."""
    if file_type is FileType.DIRECTORY:
        return DIRECTORY, INHERITABLE
    if file_type is FileType.REGULAR_FILE:
        return REGULAR_FILE, 0
    return _STREAM, 0
