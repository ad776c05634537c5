"""What every place of the cache is: where entries are kept, by key, as bytes that nobody trusts yet."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from farcall.engine.codegen.linker import FileView


@dataclass(frozen=True, slots=True)
class Content:
    """An entry as a place keeps it.

    Attributes:
        data: its bytes; where they are a view of a mapped file, they are read as they are used.
        file: that file, from which code can be mapped.
    """

    data: bytes | memoryview
    file: FileView | None = None


@dataclass(frozen=True, slots=True)
class PlaceStatistics:
    """Counters of a place, of this process.

    Attributes:
        name: of the place: `disk`, `object store`.
        hits: entries found; those that were rejected afterwards included.
        misses: entries asked for that were not there.
        entries: how many there are, as far as it is known; None if it is not. Likewise `bytes`, which they take.
        stored: entries written.
        evictions: entries removed to make room.
        errors: operations that failed or took too long.
    """

    name: str
    hits: int = 0
    misses: int = 0
    entries: int | None = None
    bytes: int | None = None
    stored: int = 0
    evictions: int = 0
    errors: int = 0


class CachePlace(Protocol):
    """Keeps entries by key. No method raises on account of the place's condition: what fails is counted."""

    def get(self, key: str, *, counted: bool = True) -> Content | None:
        """The entry, or None if it is not there or cannot be read; counted as a hit or a miss."""

    def put(self, key: str, content: bytes | memoryview) -> None:
        """Keep an entry, in place of one with the same key."""

    def delete(self, key: str) -> None:
        """Forget an entry, if it is there."""

    def alone(self) -> AbstractContextManager[None]:
        """As long as this is entered, others who enter it wait, as far as the place allows that, and not for ever."""

    def flush(self, timeout: float) -> None:
        """Wait for what is written in the background, at most so many seconds."""

    def statistics(self) -> PlaceStatistics:
        """Counters, as of now."""


class Counters:
    """A place's counters, of the fields of `PlaceStatistics`. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(
            ("hits", "misses", "stored", "evictions", "errors"), 0
        )  # guarded by _lock

    def count(self, what: str, number: int = 1) -> int:
        """Add to a counter; what it has then."""
        with self._lock:
            self._counts[what] += number
            return self._counts[what]

    def statistics(self, entries: int | None, size: int | None) -> PlaceStatistics:
        """The counters, with the number of the entries and the bytes that they take."""
        with self._lock:
            return PlaceStatistics(self._name, entries=entries, bytes=size, **self._counts)
