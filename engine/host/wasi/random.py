"""Random numbers: `random_get`."""

from __future__ import annotations

from os import urandom

from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.guest import Guest

_AT_ONCE = 1 << 20
"""Bytes between two looks at whether the guest is to stop: some milliseconds."""


@wasi_call("i32 i32")
def random_get(guest: Guest, buffer: int, length: int) -> None:
    """Fill a buffer with bytes that nobody can foretell."""
    content = guest.bytes_at(buffer, length)
    if length <= _AT_ONCE:
        content[:] = urandom(length)
        return
    for start in range(0, length, _AT_ONCE):
        guest.waiter.check()
        part = content[start : start + _AT_ONCE]
        part[:] = urandom(len(part))
