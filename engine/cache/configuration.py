"""Where an engine keeps code, beside its memory."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from farcall.engine.cache.authentication import Authenticator, read_key, read_or_make_key
from farcall.engine.cache.code_store import CodeStore
from farcall.engine.cache.disk import DiskPlace
from farcall.engine.cache.fingerprint import compiler_fingerprint
from farcall.engine.cache.object_store import DEFAULT_TIMEOUT, ObjectStorePlace, open_url
from farcall.engine.cache.place import CachePlace

DEFAULT_DISK_BYTES = 2 << 30
DEFAULT_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class CacheConfiguration:
    """Where compiled code and decoded modules are kept.

    Attributes:
        directory: of entries on disk, which several processes may share; None is none.
        disk_bytes: what the entries there may take.
        url: of an object store that servers on several machines share; None is none. It needs `key_file`.
        url_timeout: seconds that a compilation may wait for it.
        key_file: what entries are authenticated with, by all who share them. By default, `key` in the directory,
            which is made if it is not there.
        memory_bytes: of code that is kept without being in use.
    """

    directory: str | PathLike[str] | None = None
    disk_bytes: int = DEFAULT_DISK_BYTES
    url: str | None = None
    url_timeout: float = DEFAULT_TIMEOUT
    key_file: str | PathLike[str] | None = None
    memory_bytes: int = DEFAULT_MEMORY_BYTES

    def __post_init__(self) -> None:
        for name in ("disk_bytes", "url_timeout", "memory_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)}")
        if self.url is not None and self.key_file is None:
            raise ValueError(
                "an object store for the cache needs key_file, the same key for all servers that share it"
            )
        if self.url is not None:
            open_url(self.url)


def open_store(configuration: CacheConfiguration) -> CodeStore | None:
    """The store that is configured; None where there is only memory.

    Raises:
        UnsafeCacheKeyError: the key's file is not for this user alone.
        OSError: the key can neither be read nor made.
        ValueError: there is no file system for the URL.
    """
    places: list[CachePlace] = []
    if configuration.directory is not None:
        places.append(DiskPlace(Path(configuration.directory), configuration.disk_bytes))
    if configuration.url is not None:
        places.append(ObjectStorePlace(configuration.url, timeout=configuration.url_timeout))
    if not places:
        return None
    if configuration.key_file is not None:
        key = read_key(Path(configuration.key_file))
    else:
        assert configuration.directory is not None
        key = read_or_make_key(Path(configuration.directory) / "key")
    compiler_fingerprint()  # it takes some milliseconds, which are not to be those of the first module
    return CodeStore(places, Authenticator(key))
