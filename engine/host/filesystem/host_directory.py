"""Directories of the host, given to guests. Nothing that lies outside of them can be reached.

WARNING: every system call here that takes a name gets a directory's descriptor and a *single component* from a `Place`,
and never follows a symbolic link; paths are resolved by the walk (`resolution.py`), or by the kernel with
`RESOLVE_BENEATH`, and by nothing else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import TracebackType

from farcall.engine.host.filesystem.directory import Directory
from farcall.engine.host.filesystem.host_file import HostFile, host_errors, status_of
from farcall.engine.host.filesystem.host_resolution import HostTree, locate
from farcall.engine.host.filesystem.interface import (
    DirectoryEntry,
    FileFlags,
    FileStatus,
    FileSystem,
    FileType,
    Handle,
    OpenFlags,
    TimeChange,
)
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.filesystem.paths import PARENT, THIS
from farcall.engine.host.filesystem.resolution import Place
from farcall.engine.host.filesystem.system_calls import (
    HostEntry,
    directory_entries,
    kernel_has_openat2,
    set_times_at,
    set_times_of,
    type_of_mode,
)
from farcall.engine.host.wasi.errno import Errno, WasiError

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK

_OPEN_FLAGS: tuple[tuple[int, int], ...] = (
    (OpenFlags.CREATE.value, os.O_CREAT),
    (OpenFlags.EXCLUSIVE.value, os.O_EXCL),
    (OpenFlags.TRUNCATE.value, os.O_TRUNC),
)
_FILE_FLAGS: tuple[tuple[int, int], ...] = (
    (FileFlags.APPEND.value, os.O_APPEND),
    (FileFlags.DSYNC.value, os.O_DSYNC),
    (FileFlags.RSYNC.value, os.O_RSYNC),
    (FileFlags.SYNC.value, os.O_SYNC),
)

_DIRECTORY_MODE, _FILE_MODE = 0o777, 0o666
"""Permissions of what guests make, less the process's umask."""

_OWN_COOKIES = 2
"""The cookies of `.` and `..` are 1 and 2; those of other entries are the host's positions and this."""


def _host_flags(table: tuple[tuple[int, int], ...], flags: int) -> int:
    """The host's flags for those of WASI's that are set."""
    result = 0
    if flags:
        for flag, host_flag in table:
            if flags & flag:
                result |= host_flag
    return result


class HostDirectory(FileSystem):
    """A directory of the host's, as a file system: what is below it, and nothing else."""

    def __init__(self, path: str | bytes | os.PathLike[str], *, openat2: bool | None = None) -> None:
        """Open a directory, which is held until `close`, whatever becomes of its name.

        Parameters:
            openat2: whether the kernel is to resolve paths; None is where it can.

        Raises:
            OSError: there is no directory of that name, or no access to it.
        """
        self._asks_kernel = kernel_has_openat2() if openat2 is None else openat2
        self._root = os.open(path, os.O_PATH | os.O_DIRECTORY)

    @host_errors
    def open_root(self, handles: OpenHandles, *, read_only: bool = False) -> Handle:
        """A handle on it, as the interface has it."""
        handles.check()
        descriptor = os.open(THIS, _OPEN_DIRECTORY, dir_fd=self._root)
        return OpenDirectory(descriptor, handles, read_only=read_only, asks_kernel=self._asks_kernel)

    def close(self) -> None:
        """Release it; handles that are open stay as they are."""
        descriptor, self._root = self._root, -1
        if descriptor >= 0:
            os.close(descriptor)


class _Uses:
    """A descriptor, and who is using it: closed, it stays open until the last one is done."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = threading.Lock()
        self._users = 1  # guarded by _lock, as what follows; the first one is who has not closed it yet
        self._closed = False

    def __enter__(self) -> int:
        with self._lock:
            if self._closed:
                raise WasiError(Errno.BADF)
            self._users += 1
        return self.descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            os.close(self.descriptor)

    def close(self) -> bool:
        """No more uses; whether this is the first time."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
        self.__exit__(None, None, None)
        return True


class OpenDirectory(Directory[int]):
    """An open directory of the host's."""

    def __init__(self, descriptor: int, handles: OpenHandles, *, read_only: bool, asks_kernel: bool) -> None:
        """Take over a descriptor."""
        self._uses = self.in_use = _Uses(descriptor)
        self._descriptor = descriptor
        self._tree = HostTree(descriptor)
        self._asks_kernel = asks_kernel
        self._listing = _Listing(descriptor)
        self.handles = handles
        self.read_only = read_only
        handles.add(self)

    def close(self) -> None:
        """Release it."""
        if self._uses.close():
            self.handles.discard(self)

    @host_errors
    def status(self) -> FileStatus:
        """What is known of it."""
        with self._uses as descriptor:
            return status_of(os.fstat(descriptor))

    @host_errors
    def set_times(self, access: int | TimeChange, modification: int | TimeChange) -> None:
        """Set its times, in nanoseconds since 1970."""
        self._check_writable()
        with self._uses as descriptor:
            set_times_of(descriptor, access, modification)

    @host_errors
    def sync(self) -> None:
        """Have names written to the disk."""
        with self._uses as descriptor:
            os.fsync(descriptor)

    @host_errors
    def sync_data(self) -> None:
        """Have names written to the disk."""
        with self._uses as descriptor:
            os.fdatasync(descriptor)

    def read_directory(self, cookie: int) -> Iterator[DirectoryEntry]:
        """The entries behind a cookie."""
        inode = self.status().inode
        for own_cookie, name in ((1, THIS), (2, PARENT)):
            if cookie < own_cookie:
                yield DirectoryEntry(own_cookie, inode, FileType.DIRECTORY, name)
        position = max(cookie - _OWN_COOKIES, 0)
        while entries := self._entries_behind(position):
            for entry in entries:
                position = entry.position
                if entry.name not in (THIS, PARENT):
                    yield DirectoryEntry(
                        position + _OWN_COOKIES, entry.inode, self._type_of(entry), entry.name
                    )

    @host_errors
    def _entries_behind(self, position: int) -> list[HostEntry]:
        with self._uses:
            return self._listing.behind(position)

    @host_errors
    def _type_of(self, entry: HostEntry) -> FileType:
        """An entry's type; some file systems do not say it with the name."""
        if entry.type is not FileType.UNKNOWN:
            return entry.type
        with self._uses as descriptor:
            status = self._status_at(descriptor, entry.name)
        return FileType.UNKNOWN if status is None else status.type

    def _locate(self, path: bytes, *, follow: bool) -> Place[int]:
        return locate(self._tree, path, follow=follow, ask_kernel=self._asks_kernel)

    def _shares_file_system(self, other: Handle) -> bool:
        return isinstance(other, OpenDirectory)  # the host knows

    @host_errors
    def _status_at(self, directory: int, name: bytes) -> FileStatus | None:
        try:
            return status_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
        except FileNotFoundError:
            return None

    @host_errors
    def _set_times_at(
        self, directory: int, name: bytes, access: int | TimeChange, modification: int | TimeChange
    ) -> None:
        set_times_at(directory, name, access, modification)

    @host_errors
    def _open_file(
        self,
        directory: int,
        name: bytes,
        open_flags: OpenFlags,
        file_flags: FileFlags,
        *,
        read: bool,
        write: bool,
    ) -> Handle:
        # Without blocking, in case that a FIFO has taken the file's place.
        host_flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        host_flags |= (os.O_RDWR if read else os.O_WRONLY) if write else os.O_RDONLY
        host_flags |= _host_flags(_OPEN_FLAGS, open_flags.value) | _host_flags(_FILE_FLAGS, file_flags.value)
        descriptor = os.open(name, host_flags, _FILE_MODE, dir_fd=directory)
        try:
            kind = type_of_mode(os.fstat(descriptor).st_mode)
            if kind not in (FileType.REGULAR_FILE, FileType.DIRECTORY):
                raise WasiError(Errno.NXIO, f"{kind.name} cannot be opened")
        except BaseException:
            os.close(descriptor)
            raise
        if kind is FileType.DIRECTORY:
            return self._child(descriptor)
        return HostFile(descriptor, self.handles, file_flags, read_only=self.read_only)

    @host_errors
    def _open_directory(self, directory: int, name: bytes) -> Handle:
        return self._child(os.open(name, _OPEN_DIRECTORY, dir_fd=directory))

    def _child(self, descriptor: int) -> Handle:
        return OpenDirectory(
            descriptor, self.handles, read_only=self.read_only, asks_kernel=self._asks_kernel
        )

    @host_errors
    def _create_directory(self, directory: int, name: bytes) -> None:
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=directory)

    @host_errors
    def _remove_directory(self, directory: int, name: bytes) -> None:
        os.rmdir(name, dir_fd=directory)

    @host_errors
    def _unlink(self, directory: int, name: bytes) -> None:
        os.unlink(name, dir_fd=directory)

    @host_errors
    def _rename(self, directory: int, name: bytes, new_directory: int, new_name: bytes) -> None:
        os.rename(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory)

    @host_errors
    def _link(self, directory: int, name: bytes, new_directory: int, new_name: bytes) -> None:
        os.link(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory, follow_symlinks=False)

    @host_errors
    def _symlink(self, target: bytes, directory: int, name: bytes) -> None:
        os.symlink(target, name, dir_fd=directory)

    @host_errors
    def _readlink(self, directory: int, name: bytes) -> bytes:
        target = os.readlink(name, dir_fd=directory)
        if target.startswith(b"/"):  # it tells of what is outside
            raise WasiError(Errno.PERM, "a symbolic link to an absolute path")
        return target


class _Listing:
    """The entries of an open directory, which the kernel gives many at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._entries: list[HostEntry] = []  # guarded by _lock, as what follows
        self._kernel_position = 0

    def behind(self, position: int) -> list[HostEntry]:
        """Some entries behind a position, 0 being the start; none at the end. Raises OSError, WasiError."""
        if position >= 1 << 63:
            raise WasiError(Errno.INVAL, "a cookie that no entry has")
        with self._lock:
            if position:
                for index, entry in enumerate(self._entries):
                    if entry.position == position and index + 1 < len(self._entries):
                        return self._entries[index + 1 :]
            if not position or position != self._kernel_position:
                os.lseek(self._descriptor, position, os.SEEK_SET)
            self._entries = directory_entries(self._descriptor)
            self._kernel_position = self._entries[-1].position if self._entries else position
            return self._entries
