"""What an engine asks the cache for: decoded modules, and their code."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from farcall.engine.cache.code_store import CodeStore, CodeStoreStatistics
from farcall.engine.cache.container import ModuleEntry
from farcall.engine.cache.key import code_key, metadata_key
from farcall.engine.cache.module_codec import decode_metadata, encode_module
from farcall.engine.codegen.target import Target

if TYPE_CHECKING:
    from farcall.engine.lowering import LoweringOptions
    from farcall.engine.structure.module import Module

_FLUSH_SECONDS = 10.0
"""What a place that hangs may keep an engine from its end."""


class ModuleStore:
    """Modules and code in a `CodeStore`; without one, nothing is there and nothing is kept."""

    def __init__(self, store: CodeStore | None, disabled_features: Iterable[str], target: Target) -> None:
        self._store = store
        self._disabled = tuple(disabled_features)
        self._target = target

    @property
    def exists(self) -> bool:
        """Whether anything is kept."""
        return self._store is not None

    def load_module(self, source: bytes, digest: str) -> Module | None:
        """The module of some bytes, if it was valid before."""
        if self._store is None:
            return None
        key = metadata_key(digest, self._disabled)
        entry = self._store.load(key)
        if entry is None:
            return None
        try:
            if entry.metadata is None:
                raise ValueError("an entry without metadata")
            return decode_metadata(entry.metadata, source, digest)
        except ValueError:
            self._store.reject(key)
            return None

    def store_module(self, module: Module) -> None:
        """Keep a module that is valid."""
        if self._store is not None:
            self._store.store(metadata_key(module.digest, self._disabled), ModuleEntry(encode_module(module)))

    def load_code(self, digest: str, options: LoweringOptions, *, again: bool = False) -> ModuleEntry | None:
        """The code of a module, if it is there.

        Parameters:
            again: whether it is only to be seen what others have written since; this is not counted.
        """
        return None if self._store is None else self._store.load(self._code_key(digest, options), again=again)

    def store_code(self, digest: str, options: LoweringOptions, code: ModuleEntry) -> None:
        """Keep the code of a module."""
        if self._store is not None:
            self._store.store(self._code_key(digest, options), code)

    def alone(self) -> AbstractContextManager[None]:
        """As long as this is entered, others who enter it wait, in other processes too: for changing an entry."""
        return contextlib.nullcontext() if self._store is None else self._store.alone()

    def reject_code(self, digest: str, options: LoweringOptions, *, again: bool = False) -> None:
        """Code that `load_code` returned makes no sense: forget it."""
        if self._store is not None:
            self._store.reject(self._code_key(digest, options), again=again)

    def count_failure(self) -> None:
        """Code could not be kept."""
        if self._store is not None:
            self._store.count_failure()

    def flush(self) -> None:
        """Wait for what is being written: before the process ends, which takes it along. Not for ever."""
        if self._store is not None:
            self._store.flush(_FLUSH_SECONDS)

    def _code_key(self, digest: str, options: LoweringOptions) -> str:
        return code_key(digest, _words(options), self._target)

    def statistics(self) -> CodeStoreStatistics:
        """Counters, as of now."""
        return CodeStoreStatistics() if self._store is None else self._store.statistics()


def _words(options: LoweringOptions) -> list[str]:
    """All fields of the options, with their names, whatever their order in memory."""
    words = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        words.append(f"{field.name}={sorted(value) if isinstance(value, frozenset) else value!r}")
    return words
