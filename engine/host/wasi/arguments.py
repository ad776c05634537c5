"""Arguments and environment: `args_*`, `environ_*`."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import SIZE


def _store_sizes(guest: Guest, texts: Sequence[bytes], count: int, size: int) -> None:
    memory = guest.memory()
    SIZE.pack_into(memory, count, len(texts))
    SIZE.pack_into(memory, size, sum(len(text) + 1 for text in texts))


def _store(guest: Guest, texts: Sequence[bytes], pointers: int, buffer: int) -> None:
    content = b"".join(text + b"\0" for text in texts)
    starts = []
    for text in texts:
        starts.append(buffer)
        buffer += len(text) + 1
    places = guest.bytes_at(pointers, SIZE.size * len(texts))
    guest.bytes_at(buffer - len(content), len(content))[:] = content
    for position, start in enumerate(starts):
        SIZE.pack_into(places, position * SIZE.size, start)


@wasi_call("i32 i32")
def args_sizes_get(guest: Guest, count: int, size: int) -> None:
    """How many arguments there are, and how many bytes they take."""
    _store_sizes(guest, guest.program.arguments, count, size)


@wasi_call("i32 i32")
def args_get(guest: Guest, pointers: int, buffer: int) -> None:
    """The arguments, each with a NUL at its end, and pointers to them."""
    _store(guest, guest.program.arguments, pointers, buffer)


@wasi_call("i32 i32")
def environ_sizes_get(guest: Guest, count: int, size: int) -> None:
    """How many variables there are, and how many bytes they take."""
    _store_sizes(guest, guest.program.environment, count, size)


@wasi_call("i32 i32")
def environ_get(guest: Guest, pointers: int, buffer: int) -> None:
    """The variables, each with a NUL at its end, and pointers to them."""
    _store(guest, guest.program.environment, pointers, buffer)
