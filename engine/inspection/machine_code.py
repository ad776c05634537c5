"""An object's machine code as assembly, and the instruction of the module that each of its instructions is for."""

from __future__ import annotations

import bisect
import io
from collections.abc import Iterator
from dataclasses import dataclass

import capstone
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from farcall.engine.errors import EngineBug

_MACHINES = {
    "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
}


@dataclass(frozen=True, slots=True)
class MachineInstruction:
    """One instruction: its address in the object's code, its bytes, its text, and the module's offset, if known."""

    address: int
    content: bytes
    text: str
    offset: int | None


@dataclass(frozen=True, slots=True)
class MachineFunction:
    """A function of an object."""

    name: str
    instructions: tuple[MachineInstruction, ...]


def disassemble_object(content: bytes, architecture: str) -> tuple[MachineFunction, ...]:
    """The functions of a relocatable ELF object with a line table, in order of their addresses."""
    elf = ELFFile(io.BytesIO(content))
    lines = _LineTable(elf)
    symbols = elf.get_section_by_name(".symtab")
    if not isinstance(symbols, SymbolTableSection):
        raise EngineBug("the code generator emitted an object without symbols")
    functions = sorted(
        (entry["st_shndx"], entry["st_value"], entry["st_size"], entry.name)
        for entry in symbols.iter_symbols()
        if entry["st_info"]["type"] == "STT_FUNC" and isinstance(entry["st_shndx"], int)
    )
    disassembler = capstone.Cs(*_MACHINES[architecture])
    disassembler.skipdata = True  # constants between instructions
    found = []
    for section, start, size, name in functions:
        data = elf.get_section(section).data()[start : start + size]
        named = _relocated(elf, symbols, section)
        found.append(MachineFunction(name, tuple(_instructions(disassembler, data, start, lines, named))))
    return tuple(found)


def _instructions(
    disassembler: capstone.Cs, data: bytes, start: int, lines: _LineTable, named: dict[int, str]
) -> Iterator[MachineInstruction]:
    for address, size, mnemonic, operands in disassembler.disasm_lite(data, start):
        text = f"{mnemonic} {operands}".rstrip()
        targets = [named[place] for place in range(address, address + size) if place in named]
        if targets:
            text += f"  ; {', '.join(targets)}"
        content = data[address - start : address - start + size]
        yield MachineInstruction(address, content, text, lines.offset_at(address))


def _relocated(elf: ELFFile, symbols: SymbolTableSection, section: int) -> dict[int, str]:
    """The names that a section's code refers to and whose addresses are not known yet, by place."""
    named = {}
    for entry in elf.iter_sections():
        if isinstance(entry, RelocationSection) and entry["sh_info"] == section:
            for relocation in entry.iter_relocations():
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                named[relocation["r_offset"]] = symbol.name or elf.get_section(symbol["st_shndx"]).name
    return named


class _LineTable:
    """Offsets in the module by address, from the object's DWARF line table; line 0 is none."""

    def __init__(self, elf: ELFFile) -> None:
        self._rows: list[tuple[int, int | None]] = []
        if elf.has_dwarf_info():
            dwarf = elf.get_dwarf_info(relocate_dwarf_sections=True)
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                for entry in program.get_entries() if program is not None else ():
                    state = entry.state
                    if state is not None:
                        line = None if state.end_sequence else state.line or None
                        self._rows.append((state.address, line))
        # Of several rows for an address the last one holds: the order of the table is kept.
        self._rows.sort(key=lambda row: row[0])
        self._addresses = [address for address, _ in self._rows]

    def offset_at(self, address: int) -> int | None:
        position = bisect.bisect_right(self._addresses, address) - 1
        return self._rows[position][1] if position >= 0 else None
