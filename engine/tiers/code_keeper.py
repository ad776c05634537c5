"""Code that comes by and by, kept for later: loaded when it is made, written from time to time and in the end."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass

from farcall.engine.cache.container import ModuleEntry
from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.jobs.limits import CompileLimits
from farcall.engine.lowering import LoweringOptions
from farcall.engine.runtime.tiered_code import FAST, OPTIMIZED, TieredCode

_logger = logging.getLogger(__name__)

_SHORTEST_PAUSE = 2.0
"""Seconds between two writings of the same code: what comes in one burst is written once."""
_BYTES_A_SECOND = 256 << 10
"""Of code that grows little by little, so much is written on an average, since all of it is written each time: 1 MB
every four seconds, 60 MB every four minutes. Code that has doubled does not wait for that."""


@dataclass(slots=True)
class _Kept:
    """Code as the cache has it.

    Attributes:
        options: that it was compiled with.
        revision: what was its revision.
        size: bytes of its images then.
        at: when that was (`time.monotonic`).
    """

    options: LoweringOptions
    revision: int
    size: int
    at: float

    def due(self, size: int) -> float:
        """When it is to be written again, having grown to so many bytes."""
        pause = 0.0 if size >= 2 * self.size else self.size / _BYTES_A_SECOND
        return self.at + max(pause, _SHORTEST_PAUSE)


class CodeKeeper:
    """Brings the code of modules from the cache's places, and back to them. Thread-safe."""

    def __init__(self, store: ModuleStore, limits: CompileLimits) -> None:
        """Keep code in a store.

        Parameters:
            limits: of the jobs that compile. With others, what could not be optimised is tried again.
        """
        self._store = store
        self._limits = [limits.seconds, limits.memory_bytes]
        self._closed = False
        self._kept: weakref.WeakKeyDictionary[TieredCode, _Kept] = weakref.WeakKeyDictionary()
        self._changed: weakref.WeakSet[TieredCode] = weakref.WeakSet()
        self._reset()
        _keepers.add(self)

    def _reset(self) -> None:
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._closing = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None  # guarded by _lock, like _closed, _kept and _changed

    def forget(self) -> None:
        """In a forked process: the thread is the parent's."""
        self._reset()

    def load(self, code: TieredCode, options: LoweringOptions) -> bool:
        """Give new code what the cache has for it. Whether that was anything."""
        found = self._take(code, options, again=False)
        with self._lock:
            self._kept[code] = _Kept(options, code.revision, code.image_bytes, time.monotonic())
        return found > 0

    def changed(self, code: TieredCode) -> None:
        """Code has got something new, which is written before long, in the background."""
        if not self._store.exists:
            return
        with self._lock:
            if self._closed or code not in self._kept:
                return
            self._changed.add(code)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="farcall-code-keeper", daemon=True)
                try:
                    thread.start()  # it waits for the lock first
                except RuntimeError:
                    return  # as many threads as there may be; it is written with what is new next, or in the end
                self._thread = thread

    def keep(self, code: TieredCode) -> None:
        """Write code, if it has got anything since it was loaded or written. No lock of a guest's is held."""
        if not self._store.exists:
            return
        with self._writing:  # so that nothing is overwritten by what is older
            with self._lock:
                self._changed.discard(code)
                kept = self._kept.get(code)
            if kept is None or code.revision == kept.revision:
                return
            with self._store.alone():
                self._take(code, kept.options, again=True)
                revision, size = code.revision, code.image_bytes
                try:
                    self._store.store_code(code.module.digest, kept.options, self._entry(code))
                except MemoryError:
                    self._store.count_failure()
            with self._lock:
                self._kept[code] = _Kept(kept.options, revision, size, time.monotonic())

    def close(self) -> None:
        """Write what is not written yet, and nothing any more from now on. Closing twice is nothing."""
        with self._lock:
            self._closed = True
            self._closing.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        for code in list(self._changed):
            self.keep(code)

    # -- The thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Write what is due, until nothing is new or this is closed."""
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """Write the code that is due first, or wait for it a while. Whether there is any, or was a moment ago."""
        with self._lock:
            changed = list(self._changed)
            if self._closed or not changed:
                self._thread = None
                return False
            due = {code: self._kept[code].due(code.image_bytes) for code in changed}
            first = min(changed, key=due.__getitem__)
            pause = due[first] - time.monotonic()
            if pause > 0:
                del changed, due, first  # nobody keeps code but its users
                self._closing.wait(min(pause, _SHORTEST_PAUSE))  # it may double meanwhile
                return True
        self.keep(first)
        return True

    # -- From and to entries ---------------------------------------------------------------------------------------

    def _take(self, code: TieredCode, options: LoweringOptions, *, again: bool) -> int:
        """Give code what the cache has for it: how many functions. Later on, that is what other processes wrote."""
        found = 0
        try:
            entry = self._store.load_code(code.module.digest, options, again=again)
            if entry is not None:
                for level, image in zip(entry.levels, entry.images, strict=True):
                    if level not in (FAST, OPTIMIZED):
                        raise ValueError(f"no level: {level}")
                    found += code.install(image, level)
                code.give_up(self._given_up(entry, code))
        except ValueError:  # authentic, but not what is written here
            self._store.reject_code(code.module.digest, options, again=again)
        except OSError as error:  # the system refuses memory: what is not there is compiled when it is called
            _logger.warning("code from the cache cannot be mapped: %s", error)
        return found

    def _entry(self, code: TieredCode) -> ModuleEntry:
        images = code.snapshot()
        notes = {"limits": self._limits, "given_up": sorted(code.given_up)}
        return ModuleEntry(
            images=tuple([image for _level, image in images]),
            levels=tuple([level for level, _image in images]),
            notes=json.dumps(notes).encode() if code.given_up else b"",
        )

    def _given_up(self, entry: ModuleEntry, code: TieredCode) -> list[int]:
        """The functions that were given up with the same limits. ValueError: they make no sense."""
        notes = json.loads(bytes(entry.notes)) if entry.notes else {}
        if notes.get("limits") != self._limits:
            return []
        positions: list[int] = notes["given_up"]
        if not all(0 <= position < len(code.levels) for position in positions):
            raise ValueError("functions that are none of the module's")
        return positions


_keepers: weakref.WeakSet[CodeKeeper] = weakref.WeakSet()


def _forget_all() -> None:
    for keeper in list(_keepers):
        keeper.forget()


os.register_at_fork(after_in_child=_forget_all)
