"""The table of WASI's functions, which the files of their families fill, and how each is bound to a guest."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farcall.engine.host.wasi.errno import Errno, WasiError, errno_of_host
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.structure.types import I32, I64, FunctionType

_TYPES = {"i32": I32, "i64": I64}

Implementation = Callable[..., int | None]
"""Gets the `Guest` and the arguments, unsigned; an error number, or None for success."""


@dataclass(frozen=True, slots=True)
class WasiCall:
    """A function of WASI.

    Attributes:
        name: what it is imported as.
        type: its parameters; the result is an error number, where it has one.
        implementation: what does it.
    """

    name: str
    type: FunctionType
    implementation: Implementation

    def bind(self, guest: Guest) -> Callable[..., int | None]:
        """The function as a host function of the guest's: what goes wrong is an error number."""
        bind = _BINDERS.get(len(self.type.parameters), _bind_any)
        return bind(self.implementation, guest)


_FAILURES = (WasiError, struct.error, OSError)


def _errno(error: Exception) -> int:
    """The error number for what an implementation raised."""
    if isinstance(error, WasiError):
        return error.errno
    if isinstance(error, OSError):
        return errno_of_host(error)
    # Of a pointer that leads out of the memory; everything else that is packed has been looked at.
    return Errno.FAULT


# Calling with a fixed number of arguments takes a third of the time that it takes with any number; those that guests
# call in loops have two to four.


def _bind_2(implementation: Implementation, guest: Guest) -> Callable[..., int | None]:
    def call(first: int, second: int) -> int | None:
        try:
            return implementation(guest, first, second)
        except _FAILURES as error:
            return _errno(error)

    return call


def _bind_3(implementation: Implementation, guest: Guest) -> Callable[..., int | None]:
    def call(first: int, second: int, third: int) -> int | None:
        try:
            return implementation(guest, first, second, third)
        except _FAILURES as error:
            return _errno(error)

    return call


def _bind_4(implementation: Implementation, guest: Guest) -> Callable[..., int | None]:
    def call(first: int, second: int, third: int, fourth: int) -> int | None:
        try:
            return implementation(guest, first, second, third, fourth)
        except _FAILURES as error:
            return _errno(error)

    return call


def _bind_any(implementation: Implementation, guest: Guest) -> Callable[..., int | None]:
    def call(*arguments: int) -> int | None:
        try:
            return implementation(guest, *arguments)
        except _FAILURES as error:
            return _errno(error)

    return call


_BINDERS = {2: _bind_2, 3: _bind_3, 4: _bind_4}


CALLS: dict[str, WasiCall] = {}
"""All functions of preview 1, by name."""


def wasi_call(parameters: str, *, returns: bool = True) -> Callable[[Implementation], Implementation]:
    """Decorate the implementation of the function of the same name.

    Parameters:
        parameters: the types of its parameters, in the order of the specification, strings being pointer and length.
        returns: whether it has an error number for a result.
    """
    types = tuple(_TYPES[name] for name in parameters.split())

    def register(implementation: Any) -> Any:
        name = implementation.__name__
        if name in CALLS:
            raise ValueError(f"WASI has one function {name}")
        CALLS[name] = WasiCall(name, FunctionType(types, (I32,) if returns else ()), implementation)
        return implementation

    return register
