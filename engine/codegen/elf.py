"""Reads the relocatable ELF objects that LLVM emits: sections, symbols, relocations.

Only what LLVM's code generator produces for position-independent code on 64-bit little-endian Linux is known;
anything else is an `EngineBug`, since our own compiler made the object.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from farcall.engine.errors import EngineBug

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_SECTION_SYMBOLS = 2
_SECTION_RELOCATIONS = 4
_SECTION_ZERO = 8
_FLAG_ALLOCATED = 2
_TYPE_FUNCTION = 2

MACHINE_X86_64 = 62
MACHINE_AARCH64 = 183


@dataclass(frozen=True, slots=True)
class Section:
    """A section that is loaded: its bytes and the alignment they need."""

    index: int
    name: str
    content: bytes
    alignment: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol: `section` is its section's index, or None where another object defines it."""

    name: str
    section: int | None
    value: int
    size: int
    is_function: bool


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place at `offset` of section `section` to be filled with the address of `symbol` plus `addend`."""

    section: int
    offset: int
    type: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True, slots=True)
class ElfObject:
    """A relocatable object."""

    machine: int
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]


def _text_at(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()


def read_object(data: bytes) -> ElfObject:
    """Read a relocatable object.

    Raises:
        EngineBug: the object is of a form that LLVM does not emit for our code.
    """
    header = _HEADER.unpack_from(data)
    machine, section_offset, section_count, names_index = header[2], header[6], header[12], header[13]
    if header[0][:6] != b"\x7fELF\x02\x01" or machine not in (MACHINE_X86_64, MACHINE_AARCH64):
        raise EngineBug("the code generator emitted no 64-bit little-endian ELF object")
    headers = [
        _SECTION.unpack_from(data, section_offset + index * _SECTION.size) for index in range(section_count)
    ]

    def content(index: int) -> bytes:
        entry = headers[index]
        return bytes(entry[5]) if entry[1] == _SECTION_ZERO else data[entry[4] : entry[4] + entry[5]]

    names = content(names_index)
    sections = tuple(
        Section(index, _text_at(names, entry[0]), content(index), entry[8])
        for index, entry in enumerate(headers)
        # Unwinding tables are for exceptions and debuggers; guests are left by the trap exit instead.
        if entry[2] & _FLAG_ALLOCATED and entry[5] and not _text_at(names, entry[0]).startswith(".eh_frame")
    )
    loaded = {section.index for section in sections}
    symbols: tuple[Symbol, ...] = ()
    for index, entry in enumerate(headers):
        if entry[1] == _SECTION_SYMBOLS:
            symbols = _read_symbols(content(index), content(entry[6]))
    relocations: list[Relocation] = []
    for index, entry in enumerate(headers):
        if entry[1] == _SECTION_RELOCATIONS and entry[7] in loaded:
            for offset, information, addend in _RELOCATION.iter_unpack(content(index)):
                symbol = symbols[information >> 32]
                relocations.append(Relocation(entry[7], offset, information & 0xFFFFFFFF, symbol, addend))
    return ElfObject(machine, sections, symbols, tuple(relocations))


def _read_symbols(table: bytes, names: bytes) -> tuple[Symbol, ...]:
    symbols = []
    for name, information, _other, section, value, size in _SYMBOL.iter_unpack(table):
        defined = section if 0 < section < 0xFF00 else None
        is_function = information & 0xF == _TYPE_FUNCTION
        symbols.append(Symbol(_text_at(names, name), defined, value, size, is_function))
    return tuple(symbols)
