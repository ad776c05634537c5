"""Mounts: which file systems a guest sees, and under which paths; and how they are written on a command line.

A guest finds the file systems by their paths, which are names to farcall and nothing more: each is a directory handle
of its own, and no path leads from one to another.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.interface import FileSystem
from farcall.engine.host.filesystem.paths import PATH_LIMIT

MOUNT_LIMIT = 64
"""Mounts that an instance may have."""

_READ_ONLY, _WRITABLE = ":ro", ":rw"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system that a guest sees.

    Attributes:
        guest_path: what the guest knows it by.
        file_system: the file system, which belongs to who made the mount.
        read_only: whether the guest can change nothing in it.
    """

    guest_path: str
    file_system: FileSystem
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class MountRequest:
    """A mount as somebody asks for it, before there is a file system.

    Attributes:
        source: what is to be mounted: a path, or the name of a directory that the server's operator has listed.
        guest_path: what the guest is to know it by.
        read_only: whether the guest is to be able to change nothing in it.
    """

    source: str
    guest_path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class AllowedDirectory:
    """A directory of the server's that its operator has listed, so that clients can mount it.

    Attributes:
        name: what clients know it by.
        path: where it is.
        read_only: whether no guest can change anything in it.
    """

    name: str
    path: str
    read_only: bool = False


def parse_mount(text: str) -> MountRequest:
    """Read `SOURCE[::GUEST][:ro]`; without GUEST the guest knows it by the name SOURCE.

    Names that end in `:ro` have to be followed by `:rw` or `:ro`.

    Raises:
        MountError: it is something else.
    """
    rest, read_only = _split_mode(text)
    source, separator, guest_path = rest.rpartition("::")
    if not separator:
        source = guest_path = rest
    if not source:
        raise MountError(f"{text!r} does not say what is to be mounted; it should be SOURCE::GUEST[:ro]")
    if "\0" in source:
        raise MountError(f"{text!r} has a NUL character")
    check_guest_path(guest_path)
    return MountRequest(source, guest_path, read_only)


def parse_allowed_directory(text: str) -> AllowedDirectory:
    """Read `NAME=PATH[:ro]`.

    Raises:
        MountError: it is something else. Whether there is such a directory is not looked at.
    """
    name, separator, rest = text.partition("=")
    if not separator:
        raise MountError(f"{text!r} names no directory; it should be NAME=PATH[:ro]")
    if not _NAME.fullmatch(name):
        raise MountError(
            f"{name!r} is no name for a directory; it should be 1 to 63 letters, digits, dots, hyphens and"
            " underscores, of which the first is a letter or digit"
        )
    path, read_only = _split_mode(rest)
    if not path or "\0" in path:
        raise MountError(f"{text!r} has no path; it should be NAME=PATH[:ro]")
    return AllowedDirectory(name, path, read_only)


def _split_mode(text: str) -> tuple[str, bool]:
    """The text without `:ro` or `:rw` at its end, and whether it was the former."""
    if text.endswith((_READ_ONLY, _WRITABLE)):
        return text[: -len(_READ_ONLY)], text.endswith(_READ_ONLY)
    return text, False


def check_guest_path(path: str) -> None:
    """See whether a guest can know a mount by this.

    Raises:
        MountError: it is empty, too long, no text, or has `..` in it.
    """
    if not path:
        raise MountError("the path under which the guest is to see a mount is empty; `/` is the topmost one")
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise MountError(f"the guest path {path!r} is not UTF-8") from error
    if len(encoded) > PATH_LIMIT:
        raise MountError(f"a guest path has {len(encoded)} bytes; the limit is {PATH_LIMIT}")
    if "\0" in path:
        raise MountError(f"the guest path {path!r} has a NUL character")
    if ".." in path.split("/"):
        raise MountError(
            f"the guest path {path!r} has `..` in it; it should say where the mount is by itself"
        )


def check_guest_paths(paths: Iterable[str]) -> None:
    """See whether a guest can have mounts with these paths at the same time.

    Raises:
        MountError: there are too many, one cannot be (`check_guest_path`), or two are the same.
    """
    seen: dict[str, str] = {}
    for path in paths:
        check_guest_path(path)
        normal = posixpath.normpath(path)
        if normal.startswith("//"):
            normal = normal[1:]
        if normal in seen:
            raise MountError(
                f"two mounts are to be at {path!r}"
                if seen[normal] == path
                else f"two mounts are to be at the same path, {seen[normal]!r} and {path!r}"
            )
        seen[normal] = path
        if len(seen) > MOUNT_LIMIT:
            raise MountError(f"there are more than {MOUNT_LIMIT} mounts")


class AllowedDirectories:
    """The directories that a server's operator has listed, open; what is not listed cannot be mounted."""

    def __init__(self, listed: Iterable[AllowedDirectory] = ()) -> None:
        """Open the directories, which stay the same ones from here on, whatever becomes of their paths.

        Raises:
            MountError: there is no such directory, or no access to it, or a name comes twice.
        """
        self._listed: dict[str, AllowedDirectory] = {}
        self._open: dict[str, HostDirectory] = {}
        try:
            for directory in listed:
                if directory.name in self._listed:
                    raise MountError(f"two directories have the name {directory.name!r}")
                self._listed[directory.name] = directory
                self._open[directory.name] = open_host_directory(directory.path)
        except MountError:
            self.close()
            raise

    @property
    def listed(self) -> Mapping[str, AllowedDirectory]:
        """The directories, by name."""
        return self._listed

    def mount(self, request: MountRequest) -> Mount:
        """Mount a directory by its name; it is read-only if either the request or the operator says so.

        Raises:
            MountError: no directory of that name is listed.
        """
        listed = self._listed.get(request.source)
        if listed is None:
            names = ", ".join(sorted(self._listed)) or "none"
            raise MountError(f"there is no directory {request.source!r} to mount; what there is: {names}")
        check_guest_path(request.guest_path)
        return Mount(
            request.guest_path, self._open[listed.name], read_only=request.read_only or listed.read_only
        )

    def close(self) -> None:
        """Close the directories; handles that are open on them stay as they are."""
        for directory in self._open.values():
            directory.close()


def open_host_directory(path: str) -> HostDirectory:
    """A directory of the host's as a file system.

    Raises:
        MountError: there is none, or no access to it.
    """
    try:
        return HostDirectory(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MountError(f"the directory {path!r} cannot be mounted: {reason}") from error
