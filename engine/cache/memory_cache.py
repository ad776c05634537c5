"""The cache in memory: made once for all who ask, also when they ask at the same time; bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """How often the cache was asked.

    Attributes:
        hits: answers that cost nothing, those that waited for another's making included.
        misses: makings that succeeded.
        evictions: values that were forgotten to make room.
        bytes: what the values take that are there.
    """

    hits: int
    misses: int
    evictions: int = 0
    bytes: int = 0


def _outcome(entry: Future[Value]) -> Value | None:
    """What another thread makes, once it is made; None if that failed."""
    try:
        return entry.result()
    except CancelledError:
        return None


class MemoryCache(Generic[Key, Value]):
    """Values by key, each made by whoever asks first; the others wait for it.

    A failed making is not kept, and nobody else's: whoever waited for it tries in turn. When the values take too much,
    those are forgotten that were asked for least recently, but never the last: who has one keeps it.
    """

    def __init__(
        self, *, max_bytes: int | None = None, size: Callable[[Value], int] = lambda _value: 0
    ) -> None:
        """Make an empty cache.

        Parameters:
            max_bytes: what the values may take together; None is no limit.
            size: the bytes that a value takes; always the same.
        """
        self._max_bytes = max_bytes
        self._size = size
        self._bytes = 0  # guarded by _lock
        self._evictions = 0  # guarded by _lock
        self._lock = threading.Lock()

        self._entries: dict[Key, Future[Value]] = {}  # guarded by _lock
        self._hits = 0  # guarded by _lock
        self._misses = 0  # guarded by _lock

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value for `key`, made by `make` if it is not there. Raises what `make` raises."""
        while True:
            with self._lock:
                entry = self._entries.get(key)
                if entry is None:
                    mine = self._entries[key] = Future()
                    break
            found = _outcome(entry)
            if found is not None:
                with self._lock:
                    self._hits += 1
                    if self._entries.get(key) is entry:
                        self._entries[key] = self._entries.pop(key)
                return found
        try:
            value = make()
        except BaseException:
            with self._lock:
                if self._entries.get(key) is mine:
                    del self._entries[key]
            mine.cancel()
            raise
        with self._lock:
            mine.set_result(
                value
            )  # under the lock: whoever removes a value that is there takes its bytes off
            self._misses += 1
            if self._entries.get(key) is mine:
                self._entries[key] = self._entries.pop(key)
                self._bytes += self._size(value)
            forgotten = self._make_room(key)
        del forgotten  # not under the lock: what ends with a value may do what it likes
        return value

    def _make_room(self, newest: Key) -> list[Future[Value]]:
        forgotten: list[Future[Value]] = []
        if self._max_bytes is None or self._bytes <= self._max_bytes:
            return forgotten
        for key in list(self._entries):
            if self._bytes <= self._max_bytes:
                break
            if key != newest and self._entries[key].done():
                forgotten.append(self._take(key))
                self._evictions += 1
        return forgotten

    def _take(self, key: Key) -> Future[Value]:
        """Remove an entry. The lock is held."""
        entry = self._entries.pop(key)
        if entry.done() and not entry.cancelled():
            self._bytes -= self._size(entry.result())
        return entry

    def remove(self, wanted: Callable[[Key], bool]) -> int:
        """Forget the entries whose key is wanted; how many. Who has a value, or waits for one, keeps it."""
        with self._lock:
            removed = [self._take(key) for key in list(self._entries) if wanted(key)]
        return len(removed)

    def known(self) -> list[Key]:
        """The keys of what is there or being made."""
        with self._lock:
            return list(self._entries)

    def values(self) -> list[Value]:
        """The values that are there."""
        with self._lock:
            entries = list(self._entries.values())
        return [entry.result() for entry in entries if entry.done() and not entry.cancelled()]

    @property
    def counters(self) -> CacheCounters:
        """How often it was asked."""
        with self._lock:
            return CacheCounters(self._hits, self._misses, self._evictions, self._bytes)
