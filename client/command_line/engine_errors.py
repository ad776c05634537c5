"""The engine's errors as the client's, so that a command prints the same whether it asked a server or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from farcall import engine
from farcall.client import errors

_CLIENT_ERRORS: tuple[tuple[type[engine.FarcallError], Callable[[Any], errors.FarcallError]], ...] = (
    (
        engine.ModuleError,
        lambda error: errors.InvalidModuleError(
            str(error), reason=error.reason, offset=error.offset, function_index=error.function_index
        ),
    ),
    (
        engine.LinkError,
        lambda error: errors.LinkError(
            str(error), module=error.module, name=error.name, wanted=error.wanted, found=error.found
        ),
    ),
    (
        engine.Trap,
        lambda error: errors.Trap(error.message, kind=error.kind.name.lower(), backtrace=frames_of(error)),
    ),
    (
        engine.ImportFailedError,
        lambda error: errors.ImportFailedError(
            error.message, module=error.module, name=error.name, backtrace=frames_of(error)
        ),
    ),
    (
        engine.HostFailure,
        lambda error: errors.ImportFailedError(error.message, backtrace=frames_of(error)),
    ),
    (
        engine.WasmException,
        lambda error: errors.WasmException(
            error.message,
            tag=error.tag.name,
            values=tuple(value if isinstance(value, int | float | bytes) else None for value in error.values),
            backtrace=frames_of(error),
        ),
    ),
    (
        engine.TerminatedError,
        lambda error: errors.CancelledError(error.message, backtrace=frames_of(error)),
    ),
    (
        engine.ArgumentError,
        lambda error: errors.ArgumentError(
            str(error), index=error.index, wanted=error.wanted, given=error.given
        ),
    ),
    (engine.ExhaustionError, lambda error: errors.ResourceExhaustedError(str(error))),
    (engine.ExportNotFoundError, lambda error: errors.ExportNotFoundError(str(error))),
    (engine.ClosedError, lambda error: errors.ClosedError(str(error))),
)


def client_error(error: engine.FarcallError) -> errors.FarcallError:
    """The client's error for the engine's, so that both are printed alike."""
    for kind, convert in _CLIENT_ERRORS:
        if isinstance(error, kind):
            return convert(error)
    return errors.ServerError(str(error), code="INTERNAL")


def frames_of(error: BaseException) -> tuple[errors.Frame, ...]:
    """The backtrace of what the engine raised; empty where it has none."""
    if not isinstance(
        error, engine.Trap | engine.WasmException | engine.TerminatedError | engine.HostFailure
    ):
        return ()
    return tuple(
        errors.Frame(frame.function_index, frame.function_name, frame.module_name)
        for frame in error.backtrace
    )
