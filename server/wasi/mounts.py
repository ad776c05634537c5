"""The directories that guests are given: from messages to file systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from farcall.engine import ExhaustionError
from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.archive import ArchiveLimits
from farcall.engine.host.filesystem.archives import open_archive
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.mounts import AllowedDirectories, Mount, MountRequest, check_guest_paths
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.errors import bad_request, not_found
from farcall.server.wasi.archives import ArchiveCollector


class GuestBudget:
    """What all files in memory of one guest may take, from its store's budget."""

    def __init__(self, limit: int, store: MemoryBudget) -> None:
        self._limit = limit
        self._store = store
        self._used = 0

    def take(self, size: int) -> None:
        """Take bytes. Raises ExhaustionError."""
        if self._used + size > self._limit:
            raise ExhaustionError(f"the guest's files in memory may take {self._limit} bytes together")
        self._store.take(size)
        self._used += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._store.give(size)
        self._used -= size


class Mounter:
    """Makes file systems of what requests ask for."""

    def __init__(self, allowed: AllowedDirectories, max_bytes: int) -> None:
        """Make one.

        Parameters:
            allowed: the directories of this machine that guests may be given.
            max_bytes: what the archives of one guest may have, and its files in memory take.
        """
        self._allowed = allowed
        self._max_bytes = max_bytes

    def check(self, message: messages.WasiConfiguration, field: str) -> ArchiveCollector:
        """Find out, without any access to files, whether the mounts can be had; where their archives are collected.

        Parameters:
            field: where the message stands in the request.

        Raises:
            RequestError: they cannot.
        """
        try:
            check_guest_paths(mount.guest_path for mount in message.mounts)
        except MountError as error:
            raise bad_request(f"{field}.mounts", str(error)) from None
        for index, mount in enumerate(message.mounts):
            match mount.WhichOneof("source"):
                case "host_directory":
                    if mount.host_directory.name not in self._allowed.listed:
                        raise not_found("host directory", mount.host_directory.name)
                case "temporary_directory":
                    size = mount.temporary_directory.max_bytes
                    if size < 0:
                        where = f"{field}.mounts[{index}].temporary_directory.max_bytes"
                        raise bad_request(where, f"must not be negative, but is {size}")
                case None:
                    choices = "`temporary_directory`, `archive` or `host_directory`"
                    raise bad_request(f"{field}.mounts[{index}].source", f"must be set: {choices}")
        return ArchiveCollector(message, field, self._max_bytes)

    @contextmanager
    def mounted(
        self,
        message: messages.WasiConfiguration,
        archives: ArchiveCollector,
        budget: MemoryBudget,
        field: str,
    ) -> Iterator[list[Mount]]:
        """The directories, until the guest has ended. In a worker, since archives take their time.

        Parameters:
            budget: of the guest's store, which files in memory count against.
            field: where the message stands in the request.

        Raises:
            RequestError: an archive is none.
            ExhaustionError: the budget is used up.
        """
        own_budget = GuestBudget(self._max_bytes, budget)
        with ExitStack() as stack:
            mounts = []
            for index, mount in enumerate(message.mounts):
                where = f"{field}.mounts[{index}]"
                mounts.append(self._mount(mount, archives.content(index), where, own_budget, stack))
            yield mounts

    def _mount(
        self, mount: messages.Mount, archive: bytes, where: str, budget: GuestBudget, stack: ExitStack
    ) -> Mount:
        """One directory; what closes its file system goes on the stack."""
        path = mount.guest_path
        match mount.WhichOneof("source"):
            case "host_directory":
                request = MountRequest(mount.host_directory.name, path, mount.read_only)
                return self._allowed.mount(request)
            case "temporary_directory":
                wanted = mount.temporary_directory
                limit = (
                    min(wanted.max_bytes, self._max_bytes)
                    if wanted.HasField("max_bytes")
                    else self._max_bytes
                )
                files = MemoryFileSystem(size_limit=limit, budget=budget)
                stack.callback(files.close)
                return Mount(path, files, mount.read_only)
            case _:
                try:
                    tree = open_archive(archive, limits=ArchiveLimits(), budget=budget)
                except MountError as error:
                    raise bad_request(f"{where}.archive", str(error)) from None
                stack.callback(tree.close)
                return Mount(path, tree, read_only=True)
