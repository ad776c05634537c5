"""What modules of AssemblyScript's compiler import from "env": `abort`, `trace`, `seed`, and its console.

Its strings are UTF-16; the bytes that one takes stand before it, in the header that every object of its runtime has.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NoReturn

from farcall.engine.errors import AbortTrap
from farcall.engine.host.host_module import HostModule
from farcall.engine.runtime.caller import Caller
from farcall.engine.structure.types import F64, I32, FunctionType

_LENGTH_OFFSET = -4
"""Where a string's length in bytes is, seen from the string (`rtSize` in its header)."""
_LONGEST_TEXT = 1 << 16
"""Bytes of a string that are looked at: it is for people."""

Write = Callable[[str], None]
"""Gets a line of text, without its end."""


def assembly_script_module(write: Write | None = None) -> HostModule:
    """The module "env", as programs in AssemblyScript import it.

    Parameters:
        write: gets what `trace` and the console print, line by line; nobody does where none is given.
    """
    print_line = write or _discard
    module = HostModule("env")

    @module.function(FunctionType((I32,) * 4, ()), pass_caller=True)
    def abort(caller: Caller, message: int, file: int, line: int, column: int) -> NoReturn:
        text = read_string(caller, message) or "(no message)"
        place = read_string(caller, file) or "(unknown file)"
        raise AbortTrap(f"abort: {text} in {place}:{line & 0xFFFFFFFF}:{column & 0xFFFFFFFF}")

    @module.function(FunctionType((I32, I32, F64, F64, F64, F64, F64), ()), pass_caller=True)
    def trace(caller: Caller, message: int, count: int, *numbers: float) -> None:
        shown = ", ".join(map(_number, numbers[: max(count, 0)]))
        text = read_string(caller, message) or ""
        print_line(f"trace: {text} {shown}" if shown else f"trace: {text}")

    @module.function(FunctionType((), (F64,)))
    def seed() -> float:
        # As much as there are integers in a float.
        return float(random.SystemRandom().getrandbits(53))

    def print_text(caller: Caller, message: int) -> None:
        print_line(read_string(caller, message) or "")

    for level in ("log", "debug", "info", "warn", "error"):
        module.define(f"console.{level}", FunctionType((I32,), ()), print_text, pass_caller=True)
    return module


def read_string(caller: Caller, pointer: int) -> str | None:
    """A string of AssemblyScript's; None for null, and for what is no string.

    Never fails: a program that gives up may be at odds with its memory, and its last words are wanted all the same.
    """
    address = pointer & 0xFFFFFFFF
    memory = caller.whole_memory()
    if address < -_LENGTH_OFFSET or address > len(memory):
        return None
    length = int.from_bytes(memory[address + _LENGTH_OFFSET : address], "little")
    if address + length > len(memory):
        return None
    return bytes(memory[address : address + min(length, _LONGEST_TEXT)]).decode("utf-16-le", "replace")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)


def _discard(_line: str) -> None:
    pass
