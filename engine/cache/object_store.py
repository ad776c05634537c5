"""An object store that servers on many machines share, reached through fsspec: `s3://bucket/prefix`, `file://...`, `memory://...`.

A call never waits longer for it than a stated time, and after it failed, it is left alone for a while.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from farcall.engine.cache.place import Content, Counters, PlaceStatistics

_logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_TIMEOUT = 2.0
"""Seconds that a call may wait for the store."""
_PAUSE = 30.0
"""Seconds that a store is left alone after it failed."""
_LOCAL = ("file://", "local://")
_AT_ONCE = 8
"""Operations in progress at most; more are not begun, so that a store that hangs takes few threads."""


class _BusyError(Exception):
    """As many operations as there may be are in progress."""


def open_url(url: str, **options: Any) -> tuple[Any, str]:
    """The file system of fsspec's for a URL, and the path in it. Nothing is asked of it yet.

    Raises:
        ValueError: there is none for the URL, or the package for it is not installed.
    """
    if "://" not in url:
        raise ValueError(
            f"the cache URL {url!r} cannot be used: it has no scheme; it is to be like s3://bucket/prefix"
        )
    if url.startswith(_LOCAL):
        options["auto_mkdir"] = True
    try:
        fsspec = importlib.import_module("fsspec")
        files, root = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        raise ValueError(
            f"the cache URL {url!r} needs: pip install 'farcall[object-store]' ({error})"
        ) from error
    except Exception as error:  # each file system has errors of its own for what is wrong with a URL
        raise ValueError(f"the cache URL {url!r} cannot be used: {error}") from error
    return files, root


class ObjectStorePlace:
    """Entries as objects below a URL. Writing and deleting happen in the background.

    It is not bounded: object stores have rules of their own for what goes when.
    """

    def __init__(
        self, url: str, *, timeout: float = DEFAULT_TIMEOUT, pause: float = _PAUSE, **options: Any
    ) -> None:
        """Use what is below a URL.

        Parameters:
            url: with a scheme that fsspec has a file system for.
            timeout: seconds that `get` may take.
            pause: seconds without any access after a failure.
            options: for the file system (fsspec's `storage_options`).

        Raises:
            ValueError: there is no file system for the URL, or the package for it is not installed.
        """
        self._files, self._root = open_url(url, **options)
        self._url = url
        self._timeout = timeout
        self._pause = pause
        self._counters = Counters("object store")
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._closed_until = 0.0
        self._pending: set[Future[Any]] = set()

    def get(self, key: str, *, counted: bool = True) -> Content | None:
        """The entry, if the store gives it in time."""
        data = self._attempt(lambda: self._read(key))
        self._counters.count("misses" if data is None else "hits", counted)
        return None if data is None else Content(data)

    def _read(self, key: str) -> bytes | None:
        try:
            data: bytes = self._files.cat_file(self._path(key))
        except FileNotFoundError:
            return None
        return data

    def put(self, key: str, content: bytes | memoryview) -> None:
        """Write an entry in the background."""
        self._in_background(lambda: self._write(key, bytes(content)))

    def _write(self, key: str, content: bytes) -> None:
        path = self._path(key)
        try:
            self._files.pipe_file(path, content)
        except FileNotFoundError:
            # A file system with directories. What stands above the URL is not made: a bucket that is not there may be
            # a slip of the pen.
            self._files.mkdir(path.rsplit("/", 1)[0], create_parents=False)
            self._files.pipe_file(path, content)
        self._counters.count("stored")

    def delete(self, key: str) -> None:
        """Remove an entry in the background."""
        self._in_background(lambda: self._remove(key))

    def _remove(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(key))

    def alone(self) -> AbstractContextManager[None]:
        """Object stores have no locks: of two who write an entry at the same moment, the later one's stays."""
        return contextlib.nullcontext()

    def statistics(self) -> PlaceStatistics:
        """Counters; what the entries take is not known."""
        return self._counters.statistics(None, None)

    def flush(self, timeout: float) -> None:
        """Wait for what is written in the background, at most so many seconds."""
        deadline = time.monotonic() + timeout
        for future in list(self._pending):
            try:
                future.result(max(deadline - time.monotonic(), 0))
            except Exception:
                continue

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key[:2]}/{key}"

    def _begin(self, operation: Callable[[], T]) -> Future[T]:
        """Do something in a thread of its own, which does not keep the process alive: stores hang at times."""
        if not self._slots.acquire(blocking=False):
            raise _BusyError
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = operation()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                self._slots.release()

        threading.Thread(target=work, daemon=True, name="farcall-object-store").start()
        return future

    def _attempt(self, operation: Callable[[], T]) -> T | None:
        if time.monotonic() < self._closed_until:
            return None
        try:
            return self._begin(operation).result(self._timeout)
        except Exception as error:
            self._failed(error)
            return None

    def _in_background(self, operation: Callable[[], None]) -> None:
        if time.monotonic() < self._closed_until:
            return
        try:
            future = self._begin(operation)
        except _BusyError as error:
            self._failed(error)
            return
        self._pending.add(future)
        future.add_done_callback(self._background_done)

    def _background_done(self, future: Future[None]) -> None:
        self._pending.discard(future)
        error = future.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, _BusyError):
            self._closed_until = time.monotonic() + self._pause
        if self._counters.count("errors") == 1:
            reason = str(error) or type(error).__name__
            _logger.warning("the object store %s of the cache fails: %s", self._url, reason)
