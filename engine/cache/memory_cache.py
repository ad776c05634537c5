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


def _is_there(entry: Future[Value]) -> bool:
    return entry.done() and not entry.cancelled()


class MemoryCache(Generic[Key, Value]):
    """Values by key, each made by whoever asks first; the others wait for it.

    A failed making is not kept, and nobody else's: whoever waited for it tries in turn. When the values take too much,
    those are forgotten that were asked for least recently, but never the last: who has one keeps it.
    """

    def __init__(
        self,
        *,
        max_bytes: int | None = None,
        size: Callable[[Value], int] = lambda _value: 0,
        on_eviction: Callable[[Value], None] = lambda _value: None,
    ) -> None:
        """Make an empty cache.

        Parameters:
            max_bytes: what the values may take together; None is no limit. It is looked at when one is added.
            size: the bytes that a value takes, now: values may grow.
            on_eviction: told of a value that was forgotten to make room, by who made another.
        """
        self._max_bytes = max_bytes
        self._size = size
        self._on_eviction = on_eviction
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
            mine.set_result(value)
            self._misses += 1
            if self._entries.get(key) is mine:
                self._entries[key] = self._entries.pop(key)
            forgotten = self._make_room(key)
        for each in forgotten:  # not under the lock: what ends with a value may do what it likes
            self._on_eviction(each)
        return value

    def _make_room(self, newest: Key) -> list[Value]:
        """Take away what was asked for least recently. The lock is held."""
        forgotten: list[Value] = []
        if self._max_bytes is None:
            return forgotten
        sizes = {key: self._size(entry.result()) for key, entry in self._entries.items() if _is_there(entry)}
        total = sum(sizes.values())
        for key, size in sizes.items():
            if total <= self._max_bytes:
                break
            if key != newest:
                forgotten.append(self._entries.pop(key).result())
                total -= size
                self._evictions += 1
        return forgotten

    def remove(self, wanted: Callable[[Key], bool]) -> int:
        """Forget the entries whose key is wanted; how many. Who has a value, or waits for one, keeps it."""
        with self._lock:
            removed = [self._entries.pop(key) for key in list(self._entries) if wanted(key)]
        return len(removed)

    def known(self) -> list[Key]:
        """The keys of what is there or being made."""
        with self._lock:
            return list(self._entries)

    def values(self) -> list[Value]:
        """The values that are there."""
        with self._lock:
            entries = list(self._entries.values())
        return [entry.result() for entry in entries if _is_there(entry)]

    @property
    def counters(self) -> CacheCounters:
        """How often it was asked."""
        with self._lock:
            size = sum(self._size(entry.result()) for entry in self._entries.values() if _is_there(entry))
            return CacheCounters(self._hits, self._misses, self._evictions, size)
