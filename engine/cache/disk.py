"""A directory of entries, shared by several processes, that a kill at any moment leaves in order.

An entry is written under another name and renamed: readers see all of it or nothing. Nothing is flushed to the disk
(`fsync`), on purpose: after a loss of power an entry may be empty or torn, which its authentication finds, and it is
made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from farcall.engine.cache.place import Content, Counters, PlaceStatistics
from farcall.engine.codegen.linker import FileView

_logger = logging.getLogger(__name__)

_TEMPORARY = "writing-"
_STALE_SECONDS = 3600.0
"""Age of a file in the making after which its writer is taken for dead."""
_LOCK_SECONDS, _LOCK_PAUSE = 5.0, 0.01
"""How long one waits for others to have written an entry, which takes a second at most, and looks how often."""
_KEPT_PART = 0.9
"""After entries were removed to make room, so much of the bound is in use: not every writing has to look for room."""


class DiskPlace:
    """Entries as files of a directory. When they take too many bytes, those go that were used least recently.

    When an entry was used is its modification time, which is set at each hit: access times are often not kept.
    """

    def __init__(self, directory: Path, max_bytes: int, *, stale_seconds: float = _STALE_SECONDS) -> None:
        """Use a directory, which is made at the first writing.

        Parameters:
            directory: where the entries are.
            max_bytes: what they may take.
            stale_seconds: age of a file in the making after which it is removed.
        """
        self._directory = directory
        self._max_bytes = max_bytes
        self._stale_seconds = stale_seconds
        self._counters = Counters("disk")
        self._lock = threading.Lock()
        # How many entries there are, and bytes: as was found last, and what this process has written since.
        self._found: tuple[int, int] | None = None  # guarded by _lock

    def get(self, key: str, *, counted: bool = True) -> Content | None:
        """The entry, mapped."""
        path = self._path(key)
        try:
            file = _open_mapped(path)
        except FileNotFoundError:
            self._counters.count("misses", counted)
            return None
        except OSError as error:
            self._failed("read", error)
            self._counters.count("misses", counted)
            return None
        with contextlib.suppress(OSError):  # of a directory that cannot be written to
            os.utime(path)
        self._counters.count("hits", counted)
        return Content(b"") if file is None else Content(file.view, file)

    def put(self, key: str, content: bytes | memoryview) -> None:
        """Write an entry. One that is larger than all may be together is not kept."""
        if len(content) > self._max_bytes:
            return
        try:
            before = self._write(key, content)
        except OSError as error:
            self._failed("written", error)
            return
        self._counters.count("stored")
        self._add(int(before is None), len(content) - (before or 0))
        with self._lock:
            crowded = self._found is None or self._found[1] > self._max_bytes
        if crowded:
            self._make_room()

    def _write(self, key: str, content: bytes | memoryview) -> int | None:
        """Write an entry; the size of the one that was in its place."""
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
            before = None
            with contextlib.suppress(FileNotFoundError):
                before = os.stat(path).st_size
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return before

    def delete(self, key: str) -> None:
        """Remove an entry's file."""
        path = self._path(key)
        try:
            size = os.stat(path, follow_symlinks=False).st_size
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._failed("removed", error)
        else:
            self._add(-1, -size)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Others wait, in other processes too; but not long for one that was stopped meanwhile."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # of a directory that cannot be written to
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = os.open(self._directory / "writers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, lock)  # which ends the lock
                end = time.monotonic() + _LOCK_SECONDS
                while not _is_locked(lock) and time.monotonic() < end:
                    time.sleep(_LOCK_PAUSE)
            yield

    def flush(self, timeout: float) -> None:
        """Nothing is written in the background."""

    def _add(self, entries: int, size: int) -> None:
        """There are so many entries and bytes more, if it is known how many there were."""
        with self._lock:
            if self._found is not None:
                self._found = self._found[0] + entries, self._found[1] + size

    def statistics(self) -> PlaceStatistics:
        """Counters; entries and bytes are looked up once, and then counted."""
        with self._lock:
            found = self._found
        if found is None:
            sizes = [status.st_size for _path, status in self._files()]
            found = len(sizes), sum(sizes)
            with self._lock:
                self._found = found
        return self._counters.statistics(*found)

    def _path(self, key: str) -> Path:
        return self._directory / key[:2] / key

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """The files below the directory's subdirectories."""
        with contextlib.suppress(OSError):
            for folder in os.scandir(self._directory):
                if len(folder.name) == 2 and folder.is_dir(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        for entry in os.scandir(folder.path):
                            with contextlib.suppress(OSError):  # another process was faster
                                yield entry.path, entry.stat(follow_symlinks=False)

    def _make_room(self) -> None:
        """Remove what dead writers left, and if the entries take too much, those used least recently."""
        try:
            lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._failed("tidied", error)
            return
        try:
            # Only one process at a time: two would remove twice as much. Closing the file ends the lock.
            fcntl.flock(lock, fcntl.LOCK_EX)
            left = self._remove_oldest()
        except OSError as error:
            self._failed("tidied", error)
            return
        finally:
            os.close(lock)
        with self._lock:
            self._found = left

    def _remove_oldest(self) -> tuple[int, int]:
        stale = time.time() - self._stale_seconds
        entries = []
        for path, status in self._files():
            if not os.path.basename(path).startswith(_TEMPORARY):
                entries.append((status.st_mtime_ns, path, status.st_size))
            elif status.st_mtime < stale:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        total = sum(size for _time, _path, size in entries)
        left = len(entries)
        if total <= self._max_bytes:
            return left, total
        for _time, path, size in sorted(entries):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                self._counters.count("evictions")
            total -= size
            left -= 1
            if total <= self._max_bytes * _KEPT_PART:
                break
        return left, total

    def _failed(self, what: str, error: Exception) -> None:
        if self._counters.count("errors") == 1:
            _logger.warning("the cache in %s cannot be %s: %s", self._directory, what, error)


def _is_locked(file: int) -> bool:
    """Whether the lock of a file is this process's now. OSError: the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_mapped(path: Path) -> FileView | None:
    """The file; None if it is empty: then there is nothing to be mapped."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no file")
        if status.st_size == 0:
            os.close(descriptor)
            return None
        view = memoryview(mmap.mmap(descriptor, status.st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
    except BaseException:
        os.close(descriptor)
        raise
    return FileView(descriptor, view)
