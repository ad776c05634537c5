"""Clocks: `clock_*`."""

from __future__ import annotations

import time
from collections.abc import Callable

from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import SIZE_64, Clock

# A guest runs on one thread at a time, which does nothing else meanwhile: the time of the process is that of all guests
# of a server.
READ_CLOCK: tuple[Callable[[], int], ...] = (
    time.time_ns,
    time.monotonic_ns,
    time.thread_time_ns,
    time.thread_time_ns,
)
"""By `Clock`: reads nanoseconds."""

_RESOLUTION = {
    clock: max(1, round(time.clock_getres(number) * 1_000_000_000))
    for clock, number in (
        (Clock.REALTIME, time.CLOCK_REALTIME),
        (Clock.MONOTONIC, time.CLOCK_MONOTONIC),
        (Clock.PROCESS_CPUTIME, time.CLOCK_THREAD_CPUTIME_ID),
        (Clock.THREAD_CPUTIME, time.CLOCK_THREAD_CPUTIME_ID),
    )
}


@wasi_call("i32 i32")
def clock_res_get(guest: Guest, clock: int, resolution: int) -> int | None:
    """How exact a clock is, in nanoseconds."""
    found = _RESOLUTION.get(clock)  # type: ignore[call-overload] # an enumeration of ints
    if found is None:
        return Errno.INVAL
    SIZE_64.pack_into(guest.memory(), resolution, found)
    return None


@wasi_call("i32 i64 i32")
def clock_time_get(guest: Guest, clock: int, precision: int, timestamp: int) -> int | None:
    """What a clock says, in nanoseconds; however exact that is wanted, it is as exact as it can be."""
    if clock >= len(READ_CLOCK):
        return Errno.INVAL
    SIZE_64.pack_into(guest.memory(), timestamp, READ_CLOCK[clock]())
    return None
