"""The directories that guests are given: from messages to file systems."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from farcall.engine import ExhaustionError
from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.interface import FileSystem
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.configuration import AllowedDirectory
from farcall.server.errors import bad_request, failed_precondition, not_found
from farcall.server.wasi.archives import ArchiveCollector, open_archive
from farcall.server.wasi.configuration import check_mounts


@dataclass(frozen=True, slots=True)
class GuestDirectory:
    """A directory that a guest finds open.

    Attributes:
        path: where the guest finds it.
        file_system: what is there.
        read_only: whether the guest can change nothing in it.
    """

    path: bytes
    file_system: FileSystem
    read_only: bool


class GuestBudget:
    """What all files in memory of one guest may take, from its store's budget."""

    def __init__(self, limit: int, store: MemoryBudget) -> None:
        self._limit = limit
        self._store = store
        self._used = 0

    def take(self, size: int) -> None:
        """Take bytes. Raises ExhaustionError."""
        if self._used + size > self._limit:
            raise ExhaustionError(f"the guest's files in memory may take {self._limit} bytes")
        self._store.take(size)
        self._used += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._store.give(size)
        self._used -= size


class Mounter:
    """Makes file systems of what requests ask for."""

    def __init__(self, allowed: Sequence[AllowedDirectory], max_bytes: int) -> None:
        """Make one.

        Parameters:
            allowed: the directories of this machine that guests may be given.
            max_bytes: what the archives of one guest, and its files in memory, may take.
        """
        self._allowed = {directory.name: directory for directory in allowed}
        self._max_bytes = max_bytes

    def check(self, message: messages.WasiConfiguration, field: str) -> ArchiveCollector:
        """Find out, without any access to files, whether the mounts can be had; where their archives are collected.

        Raises:
            RequestError: they cannot.
        """
        check_mounts(message, field)
        for index, mount in enumerate(message.mounts):
            match mount.WhichOneof("source"):
                case "host_directory":
                    self._directory(mount.host_directory.name)
                case "temporary_directory" if mount.temporary_directory.max_bytes < 0:
                    size = mount.temporary_directory.max_bytes
                    where = f"{field}.mounts[{index}].temporary_directory.max_bytes"
                    raise bad_request(where, f"must not be negative, but is {size}")
        return ArchiveCollector(message, field, self._max_bytes)

    def _directory(self, name: str) -> AllowedDirectory:
        directory = self._allowed.get(name)
        if directory is None:
            raise not_found("host directory", name)
        return directory

    @contextmanager
    def mounted(
        self, message: messages.WasiConfiguration, archives: ArchiveCollector, budget: MemoryBudget
    ) -> Iterator[list[GuestDirectory]]:
        """The directories, until the guest has ended. In a worker, since archives and disks take their time.

        Parameters:
            budget: of the guest's store, which files in memory count against.

        Raises:
            RequestError: an archive is none, or a directory is not there.
        """
        own_budget = GuestBudget(self._max_bytes, budget)
        with ExitStack() as stack:
            directories = []
            for index, mount in enumerate(message.mounts):
                file_system, read_only = self._file_system(mount, archives.content(index), index, own_budget)
                stack.callback(file_system.close)
                directories.append(
                    GuestDirectory(mount.guest_path.encode(), file_system, mount.read_only or read_only)
                )
            yield directories

    def _file_system(
        self, mount: messages.Mount, archive: bytes, index: int, budget: GuestBudget
    ) -> tuple[FileSystem, bool]:
        """What is mounted, and whether it is read-only by itself."""
        match mount.WhichOneof("source"):
            case "temporary_directory":
                wanted = mount.temporary_directory
                size = (
                    min(wanted.max_bytes, self._max_bytes)
                    if wanted.HasField("max_bytes")
                    else self._max_bytes
                )
                return MemoryFileSystem(size_limit=size, budget=budget), False
            case "host_directory":
                directory = self._directory(mount.host_directory.name)
                try:
                    return HostDirectory(directory.path), directory.read_only
                except OSError as error:
                    message = f"the server's directory {directory.name!r} cannot be opened: {error.strerror}"
                    raise failed_precondition(message) from error
            case _:
                return open_archive(archive, index), True
