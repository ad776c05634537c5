"""Reading, writing and whatever else waits until it can be done, or until the guest is to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from select import POLLIN, POLLOUT
from typing import TypeVar

from farcall.engine.host.filesystem.interface import FileFlags, Handle
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.waitable import Waitable

T = TypeVar("T")


def read_or_wait(guest: Guest, handle: Handle, buffers: Sequence[memoryview]) -> int:
    """Read, after waiting where nothing is there yet. Raises WasiError, TerminatedError."""
    try:
        return handle.read(buffers)
    except WasiError as error:
        if error.errno != Errno.AGAIN:
            raise
    return wait_until_done(guest, handle, POLLIN, lambda: handle.read(buffers))


def write_or_wait(guest: Guest, handle: Handle, buffers: Sequence[memoryview]) -> int:
    """Write all, after waiting as often as there is no room, or as much as there is without. As `read_or_wait`."""
    try:
        written = handle.write(buffers)
    except WasiError as error:
        if error.errno != Errno.AGAIN or handle.flags & FileFlags.NONBLOCK:
            raise
        written = 0
    total = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
    # Files write less than all only where there is no room for more.
    if written < total and isinstance(handle, Waitable):
        return _write_rest(guest, handle, buffers, written, total)
    return written


def _write_rest(
    guest: Guest, handle: Waitable, buffers: Sequence[memoryview], written: int, total: int
) -> int:
    if not handle.flags & FileFlags.NONBLOCK:
        try:
            while written < total:
                rest = rest_of(buffers, written)
                written += wait_until_done(guest, handle, POLLOUT, lambda rest=rest: handle.write(rest))  # type: ignore[misc]
        except WasiError:
            # What went is told first; the next call has the error.
            if not written:
                raise
    return written


def rest_of(buffers: Sequence[memoryview], done: int) -> list[memoryview]:
    """What is left of buffers whose first `done` bytes are done."""
    rest = []
    for buffer in buffers:
        if done < len(buffer):
            rest.append(buffer[done:])
        done = max(done - len(buffer), 0)
    return rest


def wait_until_done(guest: Guest, handle: Handle, events: int, attempt: Callable[[], T]) -> T:
    """Make attempts until one does not raise `AGAIN`, and sleep in between; only one, where the handle does not block.

    Parameters:
        events: of `select.poll`, which may end a sleep.

    Raises:
        WasiError: the attempt failed, otherwise or with `AGAIN` where the handle does not block.
        TerminatedError: the guest is to stop.
    """
    if handle.flags & FileFlags.NONBLOCK or not isinstance(handle, Waitable):
        return attempt()
    waiter = guest.waiter
    descriptor = handle.descriptor
    interests = [] if descriptor is None else [(descriptor, events)]
    waiter.prepare()
    handle.add_waker(waiter.wake)
    try:
        while True:
            try:
                return attempt()
            except WasiError as error:
                if error.errno != Errno.AGAIN:
                    raise
            waiter.wait(interests)
    finally:
        handle.remove_waker(waiter.wake)
