"""What a file system is, as WASI preview 1 needs it: handles of open files and directories, and what they can do.

Paths and names are bytes, as guests give them. They are relative to a directory handle and never lead out of that
directory: an absolute path, a `..` above it, and a symbolic link that leads out are `Errno.PERM`.

Every failure is a `WasiError` with the error number that the guest gets; what else is raised is a defect.

Methods that a kind of handle has no meaning for fail as the specification has it: those of directories with `NOTDIR`
on a file, those of files with `BADF` on a directory. Nobody has to ask what a handle is before using it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import Enum, IntEnum, IntFlag
from typing import NamedTuple

from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.wasi.errno import Errno, WasiError


class FileType(IntEnum):
    """What a file is (`$filetype`)."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class OpenFlags(IntFlag):
    """How `Handle.open` treats what is there, and what is not (`$oflags`)."""

    CREATE = 1
    DIRECTORY = 2
    EXCLUSIVE = 4
    TRUNCATE = 8


class FileFlags(IntFlag):
    """The state of an open file that is no position (`$fdflags`)."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class Advice(IntEnum):
    """How a guest is going to use a part of a file (`$advice`)."""

    NORMAL = 0
    SEQUENTIAL = 1
    RANDOM = 2
    WILLNEED = 3
    DONTNEED = 4
    NOREUSE = 5


class Whence(IntEnum):
    """What an offset counts from (`$whence`)."""

    SET = 0
    CURRENT = 1
    END = 2


class FileStatus(NamedTuple):
    """What is known of a file (`$filestat`)."""

    device: int
    """With `inode`, the file's identity."""
    inode: int
    type: FileType
    links: int
    """Hard links to it."""
    size: int
    """Bytes; of a symbolic link, those of its target."""
    access_time: int
    """Nanoseconds since 1970, as the two that follow."""
    modification_time: int
    change_time: int


class DirectoryEntry(NamedTuple):
    """A name in a directory (`$dirent`)."""

    next_cookie: int
    """Where reading goes on behind this entry."""
    inode: int
    type: FileType
    name: bytes


class TimeChange(Enum):
    """What becomes of a time, if not a number of nanoseconds since 1970 is given for it."""

    KEEP = "keep"
    NOW = "now"


class Handle(ABC):
    """An open file or directory, or a stream.

    A handle belongs to one instance and is closed with it (`OpenHandles`), or by `close`; then it is not used any more.

    Attributes:
        type: what it is open on.
        flags: as it was opened or `set_flags` left them.
    """

    type: FileType
    flags: FileFlags = FileFlags(0)

    @abstractmethod
    def close(self) -> None:
        """Release it; a second time does nothing."""

    @abstractmethod
    def status(self) -> FileStatus:
        """What is known of the open file."""

    def set_flags(self, flags: FileFlags) -> None:
        """Change `APPEND` and `NONBLOCK`; `INVAL` where the others would change."""
        raise WasiError(Errno.NOTSUP)

    def set_times(self, access: int | TimeChange, modification: int | TimeChange) -> None:
        """Set the file's times, in nanoseconds since 1970."""
        raise WasiError(Errno.NOTSUP)

    def sync(self) -> None:
        """Have data and status written where they last."""
        raise WasiError(Errno.INVAL)

    def sync_data(self) -> None:
        """Have data written where it lasts."""
        raise WasiError(Errno.INVAL)

    # What files can do.

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position into writable views of bytes, one after the other, and move it; how many bytes came.

        Fewer than there is room for may be read, but none only at the end of the file, or where there is no room.
        """
        raise WasiError(Errno.BADF)

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write views of bytes at the position, or at the end with `APPEND`, and move it; how many bytes went."""
        raise WasiError(Errno.BADF)

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """`read` at an offset, without the position."""
        raise WasiError(Errno.BADF)

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """`write` at an offset, without the position."""
        raise WasiError(Errno.BADF)

    def seek(self, offset: int, whence: Whence) -> int:
        """Move the position; the new one, from the start. `INVAL` where that would be negative."""
        raise WasiError(Errno.BADF)

    def tell(self) -> int:
        """The position, from the start."""
        return self.seek(0, Whence.CURRENT)

    def set_size(self, size: int) -> None:
        """Cut the file, or let it grow with zeros; the position stays."""
        raise WasiError(Errno.BADF)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that this part of the file exists and has room; `INVAL` where the length is 0."""
        raise WasiError(Errno.BADF)

    def advise(self, offset: int, length: int, advice: Advice) -> None:
        """Take note of how this part of the file is going to be used."""
        raise WasiError(Errno.BADF)

    # What directories can do. Where `follow` is a parameter, it is whether a symbolic link as the last component of the
    # path is followed; those before it always are.

    def read_directory(self, cookie: int) -> Iterator[DirectoryEntry]:
        """The entries behind `cookie`, which is 0 or an entry's `next_cookie`; `.` and `..` are the first two.

        A cookie stays valid while the directory changes: entries that are there all the time come exactly once.
        `..` has the inode of `.`: what is above the directory is none of the guest's business.
        """
        raise WasiError(Errno.NOTDIR)

    def open(
        self,
        path: bytes,
        open_flags: OpenFlags,
        file_flags: FileFlags,
        *,
        read: bool,
        write: bool,
        follow: bool,
    ) -> Handle:
        """Open a file or directory.

        Directories can be opened for reading only (`ISDIR`). A symbolic link that is not followed is `LOOP`. What is
        neither a file nor a directory is not opened (`NXIO`). Opening never blocks.
        """
        raise WasiError(Errno.NOTDIR)

    def path_status(self, path: bytes, *, follow: bool) -> FileStatus:
        """What is known of a file."""
        raise WasiError(Errno.NOTDIR)

    def path_set_times(
        self, path: bytes, access: int | TimeChange, modification: int | TimeChange, *, follow: bool
    ) -> None:
        """Set a file's times, in nanoseconds since 1970."""
        raise WasiError(Errno.NOTDIR)

    def create_directory(self, path: bytes) -> None:
        """Make a directory."""
        raise WasiError(Errno.NOTDIR)

    def remove_directory(self, path: bytes) -> None:
        """Remove an empty directory."""
        raise WasiError(Errno.NOTDIR)

    def unlink(self, path: bytes) -> None:
        """Remove a name that is no directory's; the file goes with its last name and its last handle."""
        raise WasiError(Errno.NOTDIR)

    def rename(self, path: bytes, new_directory: Handle, new_path: bytes) -> None:
        """Give a file or directory another name, in place of what had it; `XDEV` between file systems."""
        raise WasiError(Errno.NOTDIR)

    def link(self, path: bytes, new_directory: Handle, new_path: bytes, *, follow: bool) -> None:
        """Give a file another name beside the one that it has; `XDEV` between file systems."""
        raise WasiError(Errno.NOTDIR)

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link; `PERM` where the target is absolute."""
        raise WasiError(Errno.NOTDIR)

    def readlink(self, path: bytes) -> bytes:
        """The target of a symbolic link."""
        raise WasiError(Errno.NOTDIR)


class FileSystem(ABC):
    """A tree of files that instances can be given directories of."""

    @abstractmethod
    def open_root(self, handles: OpenHandles, *, read_only: bool = False) -> Handle:
        """A handle on its topmost directory.

        Parameters:
            handles: the instance's, which the handle and all that are opened below it count in.
            read_only: whether nothing can be changed through it (`ROFS`).
        """

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; handles that are open stay as they are."""
