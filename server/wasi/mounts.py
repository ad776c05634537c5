"""The directories that a guest is given: messages to file systems."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.interface import FileSystem
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.configuration import AllowedDirectory
from farcall.server.errors import RequestError, bad_request, not_found
from farcall.server.wasi.configuration import ArchiveCollector


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
