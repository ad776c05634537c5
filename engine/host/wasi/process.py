"""What a program does with itself: `proc_*`, `sched_yield`."""

from __future__ import annotations

from os import sched_yield as yield_processor
from typing import NoReturn

from farcall.engine.errors import ProgramExit
from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.guest import Guest

_SIGNAL_EXIT = 128
"""A program that a signal ended has this and the signal's number for an exit code, as shells have it."""

# `$signal`, and the numbers that the signals have on Linux.
_ENDING = {
    1: 1,  # HUP
    2: 2,  # INT
    3: 3,  # QUIT
    4: 4,  # ILL
    5: 5,  # TRAP
    6: 6,  # ABRT
    7: 7,  # BUS
    8: 8,  # FPE
    9: 9,  # KILL
    10: 10,  # USR1
    11: 11,  # SEGV
    12: 12,  # USR2
    13: 13,  # PIPE
    14: 14,  # ALRM
    15: 15,  # TERM
    23: 24,  # XCPU
    24: 25,  # XFSZ
    25: 26,  # VTALRM
    26: 27,  # PROF
    28: 29,  # POLL
    29: 30,  # PWR
    30: 31,  # SYS
}
_IGNORED = {0, 16, 17, 22, 27}
"""NONE, CHLD, CONT of what runs, URG, WINCH."""
_STOPPING = {18, 19, 20, 21}
"""STOP, TSTP, TTIN, TTOU: there is nobody who could let it go on."""


@wasi_call("i32", returns=False)
def proc_exit(guest: Guest, code: int) -> NoReturn:
    """End the program."""
    raise ProgramExit(code)


@wasi_call("i32")
def proc_raise(guest: Guest, signal: int) -> int | None:
    """Send the program a signal, which does what it does where nobody handles it."""
    if signal in _ENDING:
        raise ProgramExit(_SIGNAL_EXIT + _ENDING[signal])
    if signal in _IGNORED:
        return None
    return Errno.NOTSUP if signal in _STOPPING else Errno.INVAL


@wasi_call("")
def sched_yield(guest: Guest) -> None:
    """Let others run."""
    yield_processor()
