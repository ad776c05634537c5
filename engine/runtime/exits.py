"""How guests are left other than by returning: exit codes to exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from farcall.engine.abi.traps import EXIT_GUEST_EXCEPTION, EXIT_HOST_EXCEPTION, EXIT_TERMINATED, TrapKind
from farcall.engine.errors import Frame, HostFailure, ProgramExit, TerminatedError, Trap, WasmException
from farcall.engine.runtime import listening
from farcall.engine.runtime.exception_arena import take_thrown
from farcall.engine.runtime.native.machine import native_runtime

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import LinkedGroup


def backtrace() -> tuple[Frame, ...]:
    """The Wasm frames of the guest that this thread left last, innermost first."""
    runtime = native_runtime()
    return runtime.registry.frames(runtime.exit_frames())


_MOST_NOTES = 64


def _note_frames(error: BaseException, frames: tuple[Frame, ...]) -> None:
    """Say in a host exception's notes which guests it came through.

    Of many, and of an exception that is raised again and again, only the first are noted.
    """
    if len(getattr(error, "__notes__", ())) < _MOST_NOTES:
        error.add_note("called by the guest at:\n" + "\n".join(f"  {frame}" for frame in frames))


def raise_exit(code: int, group: LinkedGroup) -> NoReturn:
    """Raise what an entry's exit code stands for.

    Raises:
        Trap: the guest trapped.
        WasmException: it threw an exception that nothing in it caught.
        TerminatedError: it was stopped.
        BaseException: what a host function or a listener raised.
    """
    error = _error(code, group)
    listening.abort(error)
    raise error


def exit_error(code: int, group: LinkedGroup) -> Exception:
    """The exception that an entry's exit code stands for. Raises those that are none of `Exception`."""
    try:
        raise_exit(code, group)
    except Exception as error:
        return error


def _error(code: int, group: LinkedGroup) -> BaseException:
    frames = backtrace()
    if code == EXIT_TERMINATED:
        return TerminatedError(group.stop_reason or "stopped", frames)
    if code == EXIT_GUEST_EXCEPTION:
        thrown = take_thrown()
        thrown.add_frames(frames)
        return thrown
    if code == EXIT_HOST_EXCEPTION:
        error = native_runtime().take_exception()
        if isinstance(error, Trap | TerminatedError | WasmException | HostFailure):
            error.add_frames(frames)
        elif frames and not isinstance(error, ProgramExit):
            _note_frames(error, frames)
        return error
    return Trap(TrapKind(code), frames)
