"""Modules on disk: a directory of files that are called after their content.

::

    DIRECTORY/lock                  held by the server that uses the directory
    DIRECTORY/incoming/             files that are being written
    DIRECTORY/modules/SHA256.wasm   complete modules
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

_SUFFIX = ".wasm"
_FILE_NAME = re.compile(rf"([0-9a-f]{{64}})\{_SUFFIX}")

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredModule:
    """A module on disk: its digest, its size in bytes, and when it was written (Unix time)."""

    sha256: str
    size: int
    create_time: float


class DirectoryInUseError(OSError):
    """Another server uses the data directory."""


class DamagedModuleError(Exception):
    """A file has another content than its name says."""


class ModuleFiles:
    """A data directory. Methods block; those that write may run for different modules at the same time."""

    def __init__(self, directory: Path) -> None:
        """Open, or make, a data directory.

        Raises:
            DirectoryInUseError: another server has it open.
            OSError: it cannot be made or read.
        """
        self._modules = directory / "modules"
        self._incoming = directory / "incoming"
        for path in (self._modules, self._incoming):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(directory / "lock")
        for path in self._incoming.iterdir():
            path.unlink()

    def close(self) -> None:
        """Let another server have the directory."""
        self._lock.close()

    def stored(self) -> list[StoredModule]:
        """What is there, by the files' names; contents are checked when they are read."""
        modules = []
        for path in sorted(self._modules.iterdir()):
            match = _FILE_NAME.fullmatch(path.name)
            if match is None:
                _logger.warning("not a module's file", path=str(path))
                continue
            status = path.stat()
            modules.append(StoredModule(match[1], status.st_size, status.st_mtime))
        return modules

    def write(self, sha256: str, source: bytes) -> StoredModule:
        """Keep a module; when this returns, it survives a crash of the machine."""
        incoming = self._incoming / f"{sha256}-{secrets.token_hex(4)}"
        path = self._path(sha256)
        try:
            with incoming.open("xb") as file:
                file.write(source)
                file.flush()
                os.fsync(file.fileno())
            incoming.rename(path)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise
        self._sync_directory()
        return StoredModule(sha256, len(source), path.stat().st_mtime)

    def read(self, sha256: str) -> bytes:
        """A module's bytes.

        Raises:
            DamagedModuleError: they are not what was written.
        """
        source = self._path(sha256).read_bytes()
        found = hashlib.sha256(source).hexdigest()
        if found != sha256:
            raise DamagedModuleError(f"{self._path(sha256)} has the SHA-256 {found}")
        return source

    def delete(self, sha256: str) -> None:
        """Remove a module's file."""
        self._path(sha256).unlink(missing_ok=True)
        self._sync_directory()

    def _path(self, sha256: str) -> Path:
        return self._modules / f"{sha256}{_SUFFIX}"

    def _sync_directory(self) -> None:
        descriptor = os.open(self._modules, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(path: Path) -> IO[bytes]:
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DirectoryInUseError(f"another server uses the data directory {path.parent}") from None
    return file
