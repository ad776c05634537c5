"""A module that nobody made for a test: all its exports are called, and everything that can be seen is compared.

Whatever it imports is made up: functions note their calls and return zeros and nulls, globals hold zeros and nulls.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from farcall.engine.binary import decode_module
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import ExternKind

from .module_encoder import KINDS, name, section, unsigned
from .program_generator import NUMBERS, interesting_bits

Value = tuple[str, int]
"""A value's type and bit pattern; of a reference, whether it is not null."""

CALLS_EACH = 2
"""Calls of every exported function."""

EXHAUSTED = "call stack exhausted"

_EXPORT_SECTION = 7
_EXPORTS_AND_LATER = (7, 8, 9, 10, 11, 12)


@dataclass(frozen=True, slots=True)
class Exploration:
    """What is done with a module.

    Attributes:
        module: its bytes, in which all memories and globals of number types are exported.
        calls: names of exported functions, and arguments.
        memories: names of the exported memories; likewise `globals`.
    """

    module: bytes
    calls: tuple[tuple[str, tuple[Value, ...]], ...]
    memories: tuple[str, ...]
    globals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of it.

    Attributes:
        outcomes: of instantiation (no values, or a trap's name) and of each call, in order.
        imported: the calls of imported functions: name and arguments.
        memories: contents; `globals`, bit patterns.
    """

    outcomes: tuple[tuple[Value, ...] | str, ...]
    imported: tuple[tuple[str, tuple[Value, ...]], ...]
    memories: tuple[bytes, ...]
    globals: tuple[int, ...]


def explore(source: random.Random, binary: bytes) -> Exploration:
    """What to do with a valid module."""
    module = decode_module(binary)
    calls = []
    for export in module.exports:
        if export.kind is ExternKind.FUNCTION:
            types = module.function_type(export.index)
            if any(value.name == "v128" for value in (*types.parameters, *types.results)):
                continue  # wasmtime's Python package has no vectors
            for _ in range(CALLS_EACH):
                arguments = tuple(_argument(source, value.name) for value in types.parameters)
                calls.append((export.name, arguments))
    memories = tuple(range(len(module.memories)))
    numbers = tuple(index for index, type in enumerate(module.global_types) if type.value.name in NUMBERS)
    more = [(f"observed memory {index}", "memory", index) for index in memories]
    more += [(f"observed global {index}", "global", index) for index in numbers]
    return Exploration(
        _with_exports(module, more),
        tuple(calls),
        tuple(f"observed memory {index}" for index in memories),
        tuple(f"observed global {index}" for index in numbers),
    )


def _argument(source: random.Random, type_name: str) -> Value:
    return type_name, interesting_bits(source, type_name) if type_name in NUMBERS else 0


def _with_exports(module: Module, more: list[tuple[str, str, int]]) -> bytes:
    """The module with these exports besides its own."""
    added = b"".join(name(title) + bytes((KINDS[kind],)) + unsigned(index) for title, kind, index in more)
    own = [
        name(export.name) + bytes((export.kind.value,)) + unsigned(export.index) for export in module.exports
    ]
    exports = section(_EXPORT_SECTION, unsigned(len(own) + len(more)) + b"".join(own) + added)
    parts, written = [module.source[:8]], False
    for number, start, end in _sections(module.source):
        if number in _EXPORTS_AND_LATER and not written:
            parts.append(exports)
            written = True
        if number != _EXPORT_SECTION:
            parts.append(module.source[start:end])
    return b"".join(parts if written else [*parts, exports])


def _sections(source: bytes) -> list[tuple[int, int, int]]:
    """Number, start and end of each section, header included."""
    found, position = [], 8
    while position < len(source):
        start, number = position, source[position]
        size, shift, position = 0, 0, position + 1
        while True:
            byte = source[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        position += size
        found.append((number, start, position))
    return found


def difference(ours: Observation, theirs: Observation, exploration: Exploration) -> str:
    """How two observations differ; empty where they do not.

    After a guest of one of the two has run out of stack, nothing is compared: how much of it there is, is theirs.
    """
    titles = ["instantiation", *(f"{title} {arguments}" for title, arguments in exploration.calls)]
    for title, our, their in zip(titles, ours.outcomes, theirs.outcomes, strict=False):
        if EXHAUSTED in (our, their):
            return ""
        if our != their:
            return f"{title}: farcall {our}, wasmtime {their}"
    if len(ours.outcomes) != len(theirs.outcomes):
        return f"farcall made {len(ours.outcomes)} calls, wasmtime {len(theirs.outcomes)}"
    if ours.imported != theirs.imported:
        return f"imported functions: farcall {ours.imported[-3:]}, wasmtime {theirs.imported[-3:]}"
    # After an instantiation that trapped there is no instance to look at.
    return _difference_left(ours, theirs, exploration) if ours.outcomes[0] == () else ""


def _difference_left(ours: Observation, theirs: Observation, exploration: Exploration) -> str:
    """How globals and memories differ in the end."""
    for title, our_bits, their_bits in zip(exploration.globals, ours.globals, theirs.globals, strict=True):
        if our_bits != their_bits:
            return f"{title}: farcall {our_bits:#x}, wasmtime {their_bits:#x}"
    return "" if ours.memories == theirs.memories else "the memories differ"
