"""Several providers under the name of one import module."""

from __future__ import annotations

from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.linking import Extern
from farcall.engine.structure.module import Import


class CombinedModule(ImportProvider):
    """Import modules that share a name, as "env" is what everybody uses: the first that has an import provides it."""

    def __init__(self, *providers: ImportProvider) -> None:
        self._providers = providers

    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """What the first provider has that has anything."""
        found = (provider.provide(entry, caller) for provider in self._providers)
        return next((extern for extern in found if extern is not None), None)
