"""How guests are left other than by returning: exit codes to exceptions."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any, NoReturn

from farcall.engine.abi import layout
from farcall.engine.abi.traps import EXIT_GUEST_EXCEPTION, EXIT_HOST_EXCEPTION, EXIT_TERMINATED, TrapKind
from farcall.engine.errors import Frame, TerminatedError, Trap, WasmException
from farcall.engine.runtime import listening
from farcall.engine.runtime.exception_arena import take_thrown
from farcall.engine.runtime.native.machine import native_runtime

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import LinkedGroup


_HEADER = struct.Struct("<5Q")
_THROWN = layout.EXIT_THROWN // 8
_FRAME_COUNT = layout.EXIT_FRAME_COUNT // 8
_LEFT_FRAME = layout.EXIT_LEFT_FRAME // 8

ExitRecord = ctypes.Array[ctypes.c_char]
"""What an entry left behind, with `layout.EXIT_RECORD_SIZE` bytes or more."""


def exit_code(record: ExitRecord) -> int:
    """Why the guest was left."""
    code: int = _HEADER.unpack_from(record)[0]
    return code


def _frames(record: ExitRecord, count: int) -> tuple[Frame, ...]:
    """The Wasm frames of the guest, innermost first."""
    addresses = struct.unpack_from(f"<{count}Q", record, layout.EXIT_FRAMES)
    return native_runtime().registry.frames(list(addresses))


def _take_exception(record: ExitRecord) -> BaseException:
    """The exception by which a call of a host function or listener ended; it is forgotten."""
    holder: Any = ctypes.py_object.from_buffer(record, layout.EXIT_EXCEPTION)
    error: BaseException = holder.value
    ctypes.pythonapi.Py_DecRef(holder)
    return error


_MOST_NOTES = 64


def _note_frames(error: BaseException, frames: tuple[Frame, ...]) -> None:
    """Say in a host exception's notes which guests it came through.

    Of many, and of an exception that is raised again and again, only the first are noted.
    """
    if len(getattr(error, "__notes__", ())) < _MOST_NOTES:
        error.add_note("called by the guest at:\n" + "\n".join(f"  {frame}" for frame in frames))


def raise_exit(record: ExitRecord, group: LinkedGroup) -> NoReturn:
    """Raise what an entry's exit record stands for; it can be asked once.

    Raises:
        Trap: the guest trapped.
        WasmException: it threw an exception that nothing in it caught.
        TerminatedError: it was stopped.
        BaseException: what a host function or a listener raised.
    """
    header = _HEADER.unpack_from(record)
    error = _error(record, header, group)
    listening.abort(error, header[_LEFT_FRAME])
    raise error


def exit_error(record: ExitRecord, group: LinkedGroup) -> Exception:
    """The exception that an entry's exit record stands for. Raises those that are none of `Exception`."""
    try:
        raise_exit(record, group)
    except Exception as error:
        return error


def _error(record: ExitRecord, header: tuple[int, ...], group: LinkedGroup) -> BaseException:
    code = header[0]
    frames = _frames(record, header[_FRAME_COUNT])
    if code == EXIT_TERMINATED:
        return TerminatedError(group.stop_reason or "stopped", frames)
    if code == EXIT_GUEST_EXCEPTION:
        thrown = take_thrown(header[_THROWN])
        thrown.add_frames(frames)
        return thrown
    if code == EXIT_HOST_EXCEPTION:
        error = _take_exception(record)
        if isinstance(error, Trap | TerminatedError | WasmException):
            error.add_frames(frames)
        elif frames:
            _note_frames(error, frames)
        return error
    return Trap(TrapKind(code), frames)
