"""The cache in memory: made once for all who ask, also when they ask at the same time."""

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
    """

    hits: int
    misses: int


def _outcome(entry: Future[Value]) -> Value | None:
    """What another thread makes, once it is made; None if that failed."""
    try:
        return entry.result()
    except CancelledError:
        return None


class MemoryCache(Generic[Key, Value]):
    """Values by key, each made by whoever asks first; the others wait for it.

    A failed making is not kept, and nobody else's: whoever waited for it tries in turn.
    """

    def __init__(self) -> None:
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
            self._misses += 1
        mine.set_result(value)
        return value

    def remove(self, wanted: Callable[[Key], bool]) -> int:
        """Forget the entries whose key is wanted; how many. Who has a value, or waits for one, keeps it."""
        with self._lock:
            keys = [key for key in self._entries if wanted(key)]
            for key in keys:
                del self._entries[key]
            return len(keys)

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
            return CacheCounters(self._hits, self._misses)
