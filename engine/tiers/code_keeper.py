"""Code that comes by and by, kept for later: loaded when it is made, written when there is something new."""

from __future__ import annotations

import logging
import threading
import weakref

from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.lowering import LoweringOptions
from farcall.engine.runtime.tiered_code import FAST, OPTIMIZED, TieredCode

_logger = logging.getLogger(__name__)


class CodeKeeper:
    """Brings the code of modules from the cache's places, and back to them. Thread-safe."""

    def __init__(self, store: ModuleStore) -> None:
        self._store = store
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._kept: weakref.WeakKeyDictionary[TieredCode, tuple[LoweringOptions, int]] = (
            weakref.WeakKeyDictionary()
        )  # with what options, and how many images it had when it was written; guarded by _lock

    def load(self, code: TieredCode, options: LoweringOptions) -> bool:
        """Give new code what the cache has for it. Whether that was anything."""
        found = 0
        if self._store.exists:
            try:
                for level, image in self._store.load_images(code.module.digest, options):
                    if level not in (FAST, OPTIMIZED):
                        raise ValueError(f"no level: {level}")
                    found += code.install(image, level)
            except ValueError:  # authentic, but not what is written here
                self._store.reject_images(code.module.digest, options)
            except (
                OSError
            ) as error:  # the system refuses memory: what is not there is compiled when it is called
                _logger.warning("code from the cache cannot be mapped: %s", error)
        with self._lock:
            self._kept[code] = options, code.image_count
        return found > 0

    def keep(self, code: TieredCode) -> None:
        """Write code, if it has got anything since it was loaded or written. No lock of a guest's is held."""
        if not self._store.exists:
            return
        with self._writing:  # so that nothing is overwritten by what is older
            with self._lock:
                options, written = self._kept.get(code, (None, 0))
            count = code.image_count
            if options is None or count == written:
                return
            try:
                self._store.store_images(code.module.digest, options, code.snapshot())
            except MemoryError:
                self._store.count_failure()
                return
            with self._lock:
                self._kept[code] = options, count
