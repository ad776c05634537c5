"""What all directories have in common: what the system calls on paths mean, whatever the directory is made of.

A path is resolved to a place, a directory and a single name in it (`resolution.py`). What is then done there is up to
the file system, which never follows a symbolic link as it does so. Where POSIX leaves something open (what `.`, `..`
and slashes at the end of a path mean for each call, which error comes first) it is as on Linux.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from farcall.engine.host.filesystem.interface import (
    DirectoryEntry,
    FileFlags,
    FileStatus,
    FileType,
    Handle,
    OpenFlags,
    TimeChange,
)
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.filesystem.paths import PARENT, THIS, check_path, check_target
from farcall.engine.host.filesystem.resolution import Place
from farcall.engine.host.wasi.errno import Errno, WasiError

Location = TypeVar("Location")
"""What stands for a directory in the file system at hand."""

_ATTEMPTS = 16
"""How often a path is resolved anew, when a symbolic link has come where none was a moment before."""

_CHANGEABLE = FileFlags.APPEND | FileFlags.NONBLOCK


def check_flags(old: FileFlags, new: FileFlags) -> None:
    """See whether an open file's flags can become others. Raises WasiError(INVAL)."""
    if (old ^ new) & ~_CHANGEABLE:
        raise WasiError(Errno.INVAL, f"flags {old!r} cannot become {new!r}")


class Directory(Handle, Generic[Location]):
    """An open directory.

    Attributes:
        handles: the instance's, which what is opened below counts in.
        read_only: whether nothing can be changed through it.
        in_use: entered for each system call: what the directory stands for stays as it is until it is left.
    """

    type = FileType.DIRECTORY
    handles: OpenHandles
    read_only: bool
    in_use: AbstractContextManager[object]

    # What the file system provides. A name is a single component, and neither `.` nor `..` unless it is said.

    @abstractmethod
    def _locate(self, path: bytes, *, follow: bool) -> Place[Location]:
        """Where a path leads; as `resolution.walk`."""

    @abstractmethod
    def _shares_file_system(self, other: Handle) -> bool:
        """Whether files can be moved between this directory and another."""

    @abstractmethod
    def _status_at(self, directory: Location, name: bytes) -> FileStatus | None:
        """What is known of the file of that name; None where there is none. The name may be `.`."""

    @abstractmethod
    def _set_times_at(
        self, directory: Location, name: bytes, access: int | TimeChange, modification: int | TimeChange
    ) -> None:
        """Set a file's times. The name may be `.`."""

    @abstractmethod
    def _open_file(
        self,
        directory: Location,
        name: bytes,
        open_flags: OpenFlags,
        file_flags: FileFlags,
        *,
        read: bool,
        write: bool,
    ) -> Handle:
        """Open a file, or make it. What has taken its place meanwhile may be opened, but no symbolic link (`LOOP`)."""

    @abstractmethod
    def _open_directory(self, directory: Location, name: bytes) -> Handle:
        """Open a directory. The name may be `.`."""

    @abstractmethod
    def _create_directory(self, directory: Location, name: bytes) -> None: ...

    @abstractmethod
    def _remove_directory(self, directory: Location, name: bytes) -> None: ...

    @abstractmethod
    def _unlink(self, directory: Location, name: bytes) -> None: ...

    @abstractmethod
    def _rename(self, directory: Location, name: bytes, new_directory: Location, new_name: bytes) -> None: ...

    @abstractmethod
    def _link(self, directory: Location, name: bytes, new_directory: Location, new_name: bytes) -> None:
        """Give a file that is no directory another name, which nothing has."""

    @abstractmethod
    def _symlink(self, target: bytes, directory: Location, name: bytes) -> None: ...

    @abstractmethod
    def _readlink(self, directory: Location, name: bytes) -> bytes: ...

    @abstractmethod
    def read_directory(self, cookie: int) -> Iterator[DirectoryEntry]:
        """The entries behind a cookie, as the interface has it."""

    # What paths lead to.

    def _lookup(self, path: bytes, *, follow: bool) -> Place[Location]:
        """Where a path leads that is to be something; a slash at its end has a symbolic link followed."""
        check_path(path)
        return self._locate(path, follow=follow)

    def _name(self, path: bytes) -> Place[Location]:
        """Where a name is that is to be made or taken away, whatever has it; a slash at the end follows nothing."""
        check_path(path)
        place = self._locate(path.rstrip(b"/"), follow=False)
        place.names_directory = path.endswith(b"/")
        return place

    def _status_of(self, place: Place[Location]) -> FileStatus:
        """What is known of what a path leads to. Raises WasiError: `NOENT`, `NOTDIR`."""
        status = self._status_at(place.directory, place.name if place.is_name else THIS)
        if status is None:
            raise WasiError(Errno.NOENT)
        if place.names_directory and status.type is not FileType.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        return status

    def _check_new(self, place: Place[Location], *, slash_is_allowed: bool = False) -> None:
        """See whether something can be made at a place.

        Raises:
            WasiError: `EXIST`; `NOENT` where a slash follows the name; `ROFS`.
        """
        if not place.is_name:
            raise WasiError(Errno.EXIST)
        slash = place.names_directory and not slash_is_allowed
        if slash or self.read_only:
            status = self._status_at(place.directory, place.name)
            if status is not None:
                raise WasiError(
                    Errno.NOTDIR if slash and status.type is not FileType.DIRECTORY else Errno.EXIST
                )
            raise WasiError(Errno.NOENT if slash else Errno.ROFS)

    def _check_writable(self) -> None:
        if self.read_only:
            raise WasiError(Errno.ROFS)

    # The system calls.

    def set_flags(self, flags: FileFlags) -> None:
        """Change flags, which mean nothing to a directory."""
        check_flags(self.flags, flags)
        self.flags = flags

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
        """Open a file or directory, as the interface has it."""
        creates = OpenFlags.CREATE in open_flags
        if creates and OpenFlags.DIRECTORY in open_flags:
            raise WasiError(Errno.INVAL, "a directory cannot be made by opening it")
        self.handles.check()
        exclusive = creates and OpenFlags.EXCLUSIVE in open_flags
        follow = follow and not exclusive
        for attempt in range(_ATTEMPTS):
            with self.in_use, self._to_open(path, creates=creates, follow=follow) as place:
                try:
                    return self._open_place(place, open_flags, file_flags, read, write)
                except WasiError as error:
                    if error.errno is not Errno.LOOP or not follow or attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _to_open(self, path: bytes, *, creates: bool, follow: bool) -> Place[Location]:
        """Where something is that is to be opened; a slash behind what may be made is an error, and follows nothing."""
        if creates and path.endswith(b"/"):
            return self._name(path)
        return self._lookup(path, follow=follow)

    def _open_place(
        self, place: Place[Location], open_flags: OpenFlags, file_flags: FileFlags, read: bool, write: bool
    ) -> Handle:
        """Open what a path leads to. Raises WasiError(LOOP) for a symbolic link."""
        creates = OpenFlags.CREATE in open_flags
        if creates and place.names_directory and place.is_name:
            raise WasiError(Errno.ISDIR)
        status = self._status_at(place.directory, place.name if place.is_name else THIS)
        if status is None:
            if not creates:
                raise WasiError(Errno.NOENT)
            self._check_writable()
            return self._open_file(
                place.directory, place.name, open_flags, file_flags, read=read, write=write
            )
        if creates and OpenFlags.EXCLUSIVE in open_flags:
            raise WasiError(Errno.EXIST)
        changes = write or OpenFlags.TRUNCATE in open_flags
        if status.type is FileType.DIRECTORY:
            if creates or changes:
                raise WasiError(Errno.ISDIR)
            return self._open_directory(place.directory, place.name if place.is_name else THIS)
        if OpenFlags.DIRECTORY in open_flags or place.names_directory:
            raise WasiError(Errno.NOTDIR)
        if status.type is FileType.SYMBOLIC_LINK:
            raise WasiError(Errno.LOOP, "a symbolic link that is not followed")
        if status.type is not FileType.REGULAR_FILE:
            raise WasiError(Errno.NXIO, f"{status.type.name} cannot be opened")
        if self.read_only:
            if changes:
                raise WasiError(Errno.ROFS)
            open_flags &= ~OpenFlags.CREATE
        return self._open_file(place.directory, place.name, open_flags, file_flags, read=read, write=write)

    def path_status(self, path: bytes, *, follow: bool) -> FileStatus:
        """What is known of a file."""
        with self.in_use, self._lookup(path, follow=follow) as place:
            return self._status_of(place)

    def path_set_times(
        self, path: bytes, access: int | TimeChange, modification: int | TimeChange, *, follow: bool
    ) -> None:
        """Set a file's times, in nanoseconds since 1970."""
        with self.in_use, self._lookup(path, follow=follow) as place:
            self._status_of(place)
            self._check_writable()
            self._set_times_at(place.directory, place.name if place.is_name else THIS, access, modification)

    def create_directory(self, path: bytes) -> None:
        """Make a directory."""
        with self.in_use, self._name(path) as place:
            self._check_new(place, slash_is_allowed=True)
            self._create_directory(place.directory, place.name)

    def remove_directory(self, path: bytes) -> None:
        """Remove an empty directory."""
        with self.in_use, self._name(path) as place:
            if not place.is_name:
                raise WasiError(Errno.NOTEMPTY if place.name == PARENT else Errno.INVAL)
            self._check_writable()
            self._remove_directory(place.directory, place.name)

    def unlink(self, path: bytes) -> None:
        """Remove a name that is no directory's."""
        with self.in_use, self._name(path) as place:
            if not place.is_name:
                raise WasiError(Errno.ISDIR)
            self._check_writable()
            if place.names_directory:
                self._status_of(place)
                raise WasiError(Errno.ISDIR)
            self._unlink(place.directory, place.name)

    def rename(self, path: bytes, new_directory: Handle, new_path: bytes) -> None:
        """Give a file or directory another name, as the interface has it."""
        other = self._other_directory(new_directory)
        with self.in_use, other.in_use, self._name(path) as old, other._name(new_path) as new:
            if not (old.is_name and new.is_name):
                raise WasiError(Errno.BUSY)
            self._check_writable()
            other._check_writable()
            if old.names_directory or new.names_directory:
                old.names_directory = True
                self._status_of(old)
            self._rename(old.directory, old.name, new.directory, new.name)

    def link(self, path: bytes, new_directory: Handle, new_path: bytes, *, follow: bool) -> None:
        """Give a file another name beside the one that it has, as the interface has it."""
        other = self._other_directory(new_directory)
        with self.in_use, other.in_use, self._lookup(path, follow=follow) as old:
            status = self._status_of(old)
            with other._name(new_path) as new:
                other._check_new(new)
                if self.read_only:  # or it could be written to by its other name
                    raise WasiError(Errno.XDEV)
                if other._status_at(new.directory, new.name) is not None:
                    raise WasiError(Errno.EXIST)
                if status.type is FileType.DIRECTORY:
                    raise WasiError(Errno.PERM, "a directory has one name")
                self._link(old.directory, old.name, new.directory, new.name)

    def _other_directory(self, other: Handle) -> Directory[Location]:
        """The directory that something gets a name in. Raises WasiError: `NOTDIR`, `XDEV`."""
        if not isinstance(other, Directory):
            raise WasiError(Errno.NOTDIR)
        if not self._shares_file_system(other):
            raise WasiError(Errno.XDEV)
        return other

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link."""
        check_target(target)
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM, "a symbolic link to an absolute path")
        with self.in_use, self._name(path) as place:
            self._check_new(place)
            self._symlink(target, place.directory, place.name)

    def readlink(self, path: bytes) -> bytes:
        """The target of a symbolic link."""
        with self.in_use, self._lookup(path, follow=False) as place:
            if self._status_of(place).type is not FileType.SYMBOLIC_LINK:
                raise WasiError(Errno.INVAL)
            return self._readlink(place.directory, place.name)
