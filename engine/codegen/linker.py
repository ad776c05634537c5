"""Links objects to an image: one position-independent block of code and constants.

All that an image refers to lies within it, at distances that are the same wherever it is mapped: so it is linked
once, can be stored, and mapping it is all that loading takes. Nothing but relative relocations can occur.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from farcall.engine.codegen.elf import MACHINE_AARCH64, MACHINE_X86_64, ElfObject, Relocation, Symbol
from farcall.engine.codegen.function_table import FunctionTable, join_tables
from farcall.engine.errors import EngineBug


class FileView:
    """A file that is open and mapped for reading, as long as this lives.

    Attributes:
        descriptor: of the file.
        view: its content.
    """

    def __init__(self, descriptor: int, view: memoryview) -> None:
        self.descriptor = descriptor
        self.view = view

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class FileRange:
    """Where in a file something lies."""

    file: FileView
    offset: int


@dataclass(frozen=True, slots=True)
class Image:
    """Linked code, ready to be mapped at any page boundary.

    Attributes:
        content: machine code and constants.
        functions: (offset, size, symbol name) of every function, sorted by offset.
        file: where the content can be mapped from, if it is in a file.
    """

    content: bytes | memoryview
    functions: Sequence[tuple[int, int, str]]
    file: FileRange | None = None


_ALIGNMENT = 16


def link(objects: Iterable[ElfObject]) -> Image:
    """Lay the objects' sections out one after the other and apply their relocations.

    Raises:
        EngineBug: a symbol is defined nowhere or twice, or a relocation is of an unknown kind or reaches too far.
    """
    content = bytearray()
    placed: list[tuple[ElfObject, dict[int, int]]] = []
    defined: dict[str, int] = {}
    functions: list[tuple[int, int, str]] = []
    for entry in objects:
        bases: dict[int, int] = {}
        for section in entry.sections:
            alignment = max(section.alignment, _ALIGNMENT)
            content.extend(bytes(-len(content) % alignment))
            bases[section.index] = len(content)
            content.extend(section.content)
        for symbol in entry.symbols:
            if symbol.section not in bases or not symbol.is_function:
                continue
            if symbol.name in defined:
                raise EngineBug(f"two objects define {symbol.name!r}")
            address = defined[symbol.name] = bases[symbol.section] + symbol.value
            functions.append((address, symbol.size, symbol.name))
        placed.append((entry, bases))
    for entry, bases in placed:
        apply = _RELOCATORS[entry.machine]
        for relocation in entry.relocations:
            target = _address(relocation.symbol, bases, defined) + relocation.addend
            apply(content, relocation, bases[relocation.section] + relocation.offset, target)
    functions.sort()
    return Image(bytes(content), tuple(functions))


_JOINT = 64
"""What an image's own sections are aligned to at most."""


def join(images: Sequence[Image]) -> Image:
    """One image of a module's code of several, each of which refers to nothing outside of it."""
    parts: list[bytes] = []
    bases: list[int] = []
    end = 0
    for image in images:
        padding = -end % _JOINT
        bases.append(end + padding)
        parts += (bytes(padding), bytes(image.content))
        end += padding + len(image.content)
    tables = [FunctionTable.of(image.functions) for image in images]
    return Image(b"".join(parts), join_tables(zip(bases, tables, strict=True)))


def _address(symbol: Symbol, bases: dict[int, int], defined: dict[str, int]) -> int:
    if symbol.section is not None:
        return bases[symbol.section] + symbol.value
    try:
        return defined[symbol.name]
    except KeyError:
        raise EngineBug(f"compiled code refers to {symbol.name!r}, which nothing defines") from None


_WORD = struct.Struct("<i")
_UNSIGNED_WORD = struct.Struct("<I")
_LONG = struct.Struct("<q")


def _relocate_x86_64(content: bytearray, relocation: Relocation, place: int, target: int) -> None:
    """After the System V ABI's AMD64 supplement, table 4.9."""
    match relocation.type:
        case 2 | 4:  # R_X86_64_PC32, R_X86_64_PLT32
            _WORD.pack_into(content, place, _within(target - place, 32, relocation))
        case 24:  # R_X86_64_PC64
            _LONG.pack_into(content, place, target - place)
        case _:
            raise EngineBug(f"unknown x86-64 relocation {relocation.type} against {relocation.symbol.name!r}")


def _relocate_aarch64(content: bytearray, relocation: Relocation, place: int, target: int) -> None:
    """After the ELF supplement of the AArch64 ABI, section 5.7."""

    def insert(mask: int, bits: int) -> None:
        instruction = _UNSIGNED_WORD.unpack_from(content, place)[0]
        _UNSIGNED_WORD.pack_into(content, place, instruction & ~mask | bits & mask)

    def distance(bits: int) -> int:
        """To the target in instructions, which are words, as a number of so many bits."""
        if (target - place) % 4:
            raise EngineBug(f"a branch to {relocation.symbol.name!r} that is not at a word")
        return _within(target - place, bits + 2, relocation) >> 2

    kind = relocation.type
    match kind:
        case 261:  # R_AARCH64_PREL32
            _WORD.pack_into(content, place, _within(target - place, 32, relocation))
        case 260:  # R_AARCH64_PREL64
            _LONG.pack_into(content, place, target - place)
        case 275 | 276:  # R_AARCH64_ADR_PREL_PG_HI21 and its unchecked form
            pages = _within((target >> 12) - (place >> 12), 21, relocation)
            insert(0x60FFFFE0, (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5)
        case 274:  # R_AARCH64_ADR_PREL_LO21
            offset = _within(target - place, 21, relocation)
            insert(0x60FFFFE0, (offset & 3) << 29 | (offset >> 2 & 0x7FFFF) << 5)
        case 277 | 278 | 284 | 285 | 286 | 299:  # ADD and LDST8..128 _ABS_LO12_NC: low bits, by access size
            shift = {277: 0, 278: 0, 284: 1, 285: 2, 286: 3, 299: 4}[kind]
            if target % (1 << shift):
                raise EngineBug(f"an access to {relocation.symbol.name!r} that is not aligned")
            insert(0xFFF << 10, (target & 0xFFF) >> shift << 10)
        case 282 | 283:  # R_AARCH64_JUMP26, R_AARCH64_CALL26
            insert(0x03FFFFFF, distance(26))
        case 279 | 280:  # R_AARCH64_TSTBR14, R_AARCH64_CONDBR19
            bits = 14 if kind == 279 else 19
            insert((1 << bits) - 1 << 5, distance(bits) << 5)
        case _:
            raise EngineBug(f"unknown AArch64 relocation {kind} against {relocation.symbol.name!r}")


def _within(value: int, bits: int, relocation: Relocation) -> int:
    """The value, if it is a signed number of so many bits: a distance that was cut would lead anywhere."""
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise EngineBug(f"{relocation.symbol.name!r} is too far away: {value} does not fit {bits} bits")
    return value


_RELOCATORS: dict[int, Callable[[bytearray, Relocation, int, int], None]] = {
    MACHINE_X86_64: _relocate_x86_64,
    MACHINE_AARCH64: _relocate_aarch64,
}
