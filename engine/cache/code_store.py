"""The cache below the one in memory: places in layers, the fastest first, and nothing from them is used unchecked."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from farcall.engine.cache.authentication import Authenticator
from farcall.engine.cache.container import ContainerError, ModuleEntry, read_module, write_module
from farcall.engine.cache.place import CachePlace, Content, PlaceStatistics


@dataclass(frozen=True, slots=True)
class CodeStoreStatistics:
    """Counters of a `CodeStore`.

    Attributes:
        hits: entries that were found and right.
        misses: entries asked for that no place had.
        rejected: entries that were damaged, of another key, or not authentic. They were deleted.
        failures: entries that could not be made; what places failed to keep, they count themselves.
        places: counters of the places, in order.
    """

    hits: int = 0
    misses: int = 0
    rejected: int = 0
    failures: int = 0
    places: tuple[PlaceStatistics, ...] = ()


class CodeStore:
    """Entries in several places. A hit in a later one is copied to those before it. Thread-safe."""

    def __init__(self, places: Sequence[CachePlace], authenticator: Authenticator) -> None:
        self._places = tuple(places)
        self._authenticator = authenticator
        self._lock = threading.Lock()
        self._hits = self._misses = self._rejected = self._failures = 0  # guarded by _lock

    def load(self, key: str, *, again: bool = False) -> ModuleEntry | None:
        """The entry of a key, authenticated; None if no place has a right one.

        Parameters:
            again: whether it was asked for already, and others may have changed it since; this is not counted.
        """
        for position, place in enumerate(self._places):
            content = place.get(key, counted=not again)
            if content is None:
                continue
            entry = self._checked(key, content, place)
            if entry is None:
                continue
            for above in self._places[:position]:
                above.put(key, content.data)
            with self._lock:
                self._hits += not again
            return entry
        with self._lock:
            self._misses += not again
        return None

    def _checked(self, key: str, content: Content, place: CachePlace) -> ModuleEntry | None:
        try:
            return read_module(content, key, self._authenticator)
        except ContainerError:
            with self._lock:
                self._rejected += 1
            place.delete(key)
            return None

    def store(self, key: str, entry: ModuleEntry) -> None:
        """Keep an entry in all places, as far as that is possible."""
        try:
            content = write_module(entry, key, self._authenticator)
        except MemoryError:
            self.count_failure()
            return
        for place in self._places:
            place.put(key, content)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """As long as this is entered, others who enter it wait, as far as places allow that: for changing an entry."""
        with contextlib.ExitStack() as stack:
            for place in self._places:
                stack.enter_context(place.alone())
            yield

    def count_failure(self) -> None:
        """An entry could not be made."""
        with self._lock:
            self._failures += 1

    def reject(self, key: str, *, again: bool = False) -> None:
        """An entry that `load` returned makes no sense, though it is authentic: forget it, and count it as a miss."""
        with self._lock:
            self._rejected += 1
            self._hits -= not again
            self._misses += not again
        for place in self._places:
            place.delete(key)

    def flush(self, timeout: float) -> None:
        """Wait until all is written, at most so many seconds for each place."""
        for place in self._places:
            place.flush(timeout)

    def statistics(self) -> CodeStoreStatistics:
        """Counters, as of now."""
        places = tuple([place.statistics() for place in self._places])
        with self._lock:
            return CodeStoreStatistics(self._hits, self._misses, self._rejected, self._failures, places)
