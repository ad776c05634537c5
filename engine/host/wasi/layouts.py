"""The types of WASI preview 1 as they lie in a guest's memory, and where `wasi_unstable` has them otherwise.

Each is a row of this file: a `struct.Struct` with the specification's offsets, padding written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from farcall.engine.host.filesystem.interface import FileStatus, Whence

SIZE = Struct("<I")
"""`$size`, also a pointer or a descriptor."""
SIZE_64 = Struct("<Q")
"""`$filesize`, `$timestamp`."""
HALF = Struct("<H")
"""`$roflags`."""
IOVEC = Struct("<II")
"""`$iovec`, `$ciovec`: pointer, length."""
PRESTAT = Struct("<B3xI")
"""`$prestat`: what is open (0, a directory), length of its name."""
FDSTAT = Struct("<BxH4xQQ")
"""`$fdstat`: type, flags, rights, inheriting rights."""
DIRENT = Struct("<QQIB3x")
"""`$dirent`: cookie of the next, inode, length of the name that follows, type."""
EVENT = Struct("<QHB5xQH6x")
"""`$event`: user data, error, type, bytes that are ready, flags."""


class EventType(IntEnum):
    """What a subscription waits for (`$eventtype`)."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


class Clock(IntEnum):
    """Which clock (`$clockid`)."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME = 2
    THREAD_CPUTIME = 3


class LookupFlags(IntFlag):
    """How a path is resolved (`$lookupflags`)."""

    SYMLINK_FOLLOW = 1


class TimeFlags(IntFlag):
    """Which times of a file are set, and to what (`$fstflags`)."""

    ACCESS = 1
    ACCESS_NOW = 2
    MODIFICATION = 4
    MODIFICATION_NOW = 8


class ReceiveFlags(IntFlag):
    """How a socket is read (`$riflags`)."""

    PEEK = 1
    WAITALL = 2


class ShutdownFlags(IntFlag):
    """Which directions of a socket are shut down (`$sdflags`)."""

    RECEIVE = 1
    SEND = 2


RECEIVED_TRUNCATED = 1
"""`$roflags`: more had come than there was room for."""
SUBSCRIPTION_ABSOLUTE = 1
"""`$subclockflags`: the timeout is a time of the clock's."""
EVENT_HANGUP = 1
"""`$eventrwflags`: the other side has closed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What differs between the snapshots of WASI.

    Attributes:
        module: the name of the import module.
        filestat: device, inode, type, links, size, times of access, modification and change.
        most_links: what the number of links is cut to.
        whences: what an offset counts from, by number.
        subscription: user data, type; then, of a clock, number, timeout, precision, flags. The number's place is also
            that of a descriptor.
    """

    module: str
    filestat: Struct
    most_links: int
    whences: tuple[Whence, ...]
    subscription: Struct

    def pack_filestat(self, memory: memoryview, pointer: int, status: FileStatus) -> None:
        """Store what is known of a file. Raises struct.error where the pointer leads out of the memory."""
        device, inode, file_type, links, size, *times = status
        self.filestat.pack_into(
            memory, pointer, device, inode, file_type, min(links, self.most_links), size, *times
        )


PREVIEW_1 = Snapshot(
    "wasi_snapshot_preview1",
    Struct("<QQB7xQQQQQ"),
    (1 << 64) - 1,
    (Whence.SET, Whence.CURRENT, Whence.END),
    Struct("<QB7xI4xQQH6x"),
)
UNSTABLE = Snapshot(
    "wasi_unstable",
    Struct("<QQB3xIQQQQ"),
    (1 << 32) - 1,
    (Whence.CURRENT, Whence.END, Whence.SET),
    # A clock has a number of the guest's choice before its own, which was never of use.
    Struct("<QB7x8xI4xQQH6x"),
)
