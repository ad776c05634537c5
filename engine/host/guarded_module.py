"""Import modules whose mistakes are not the embedder's: what goes wrong in them ends the guest that came upon it."""

from __future__ import annotations

from collections.abc import Callable

from farcall.engine.errors import (
    EngineBug,
    ExhaustionError,
    HostFailure,
    ImportFailedError,
    ProgramExit,
    TerminatedError,
    Trap,
    WasmException,
)
from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.host_function import DirectHostFunction, HostFunction
from farcall.engine.runtime.linking import Extern
from farcall.engine.structure.module import Import

_GUESTS_OWN = (EngineBug, ExhaustionError, HostFailure, ProgramExit, TerminatedError, Trap, WasmException)
"""What tells by itself how a guest's call ended."""

Report = Callable[[ImportFailedError, BaseException], object]
"""Is told what the guest's caller gets, and what was raised."""


class GuardedModule(ImportProvider):
    """An import module, any exception of whose functions is an `ImportFailedError` to the guest's caller.

    So it is with a result that does not fit the function's type. What says by itself how the guest ended, as a
    `HostFailure` or a `Trap` does, is passed on.
    """

    def __init__(self, provider: ImportProvider, report: Report | None = None) -> None:
        """Make one.

        Parameters:
            provider: of the imports.
            report: is told of every exception, in the thread that the guest runs in.
        """
        self._provider = provider
        self._report = report

    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """What the provider has for an import. Raises ImportFailedError where that fails."""
        tell = self._teller(entry.module, entry.name)
        try:
            extern = self._provider.provide(entry, caller)
        except BaseException as error:
            told = tell(error)
            if told is error:
                raise
            raise told from error
        if isinstance(extern, DirectHostFunction):
            # Machine code calls its implementation, with nobody in between who could tell of a failure.
            extern = caller.store.host_function(extern.type, extern, extern.name)
        if isinstance(extern, HostFunction):
            extern.on_failure = tell
        return extern

    def _teller(self, module: str, name: str) -> Callable[[BaseException], BaseException]:
        def tell(error: BaseException) -> BaseException:
            if isinstance(error, _GUESTS_OWN):
                return error
            text = str(error)
            failure = ImportFailedError(
                module, name, f"{type(error).__name__}: {text}" if text else type(error).__name__
            )
            if self._report is not None:
                self._report(failure, error)
            return failure

        return tell
