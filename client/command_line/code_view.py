"""A function's code on a terminal: its forms side by side where there is room, else one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from farcall.client.command_line import output
from farcall.client.types import CodeLine, CodeTier, FunctionCode

_WIDE = 140
"""Columns that three forms need to be read side by side."""


def print_code(code: FunctionCode) -> None:
    """In columns on a wide terminal, else in blocks."""
    name = "" if code.name is None else f" {code.name!r}"
    output.print_line(f"function {code.index}{name}, {code.tier.value} code for {code.target}")
    output.print_line()
    console = Console()
    if console.is_terminal and console.width >= _WIDE:
        _print_columns(console, code)
    else:
        _print_blocks(code)


def _passes_title(code: FunctionCode) -> str:
    return "LLVM IR after the passes" + (" (none in this tier)" if code.tier is CodeTier.FAST else "")


def _print_blocks(code: FunctionCode) -> None:
    parts = (
        ("Wasm", code.wasm),
        ("LLVM IR as lowered", code.lowered),
        (_passes_title(code), code.passed),
        ("machine code", code.machine),
    )
    for number, (title, lines) in enumerate(parts):
        if number:
            output.print_line()
        output.print_line(f"== {title}")
        for line in lines:
            output.print_line(_line_text(line))


def _line_text(line: CodeLine) -> str:
    offset = "" if line.offset is None else f"{line.offset:#x}"
    if line.address is None:
        return f"{offset:>9}  {line.text}".rstrip()
    return f"{offset:>9}  {line.address:6x}  {line.content.hex():<24} {line.text}".rstrip()


def _print_columns(console: Console, code: FunctionCode) -> None:
    """Rows by runs of machine code of one instruction, beside it the instruction and its LLVM IR."""
    table = Table("Wasm", "LLVM IR", "machine code", expand=True, show_lines=True)
    for wasm, ir, machine in rows(code):
        table.add_row(*(Text("\n".join(map(_cell, part))) for part in (wasm, ir, machine)))
    console.print(table)


def _cell(line: CodeLine) -> str:
    place = line.offset if line.address is None else line.address
    return output.printable(line.text if place is None else f"{place:x} {line.text}")


Row = tuple[Sequence[CodeLine], Sequence[CodeLine], Sequence[CodeLine]]


def rows(code: FunctionCode) -> list[Row]:
    """What belongs together. LLVM IR and machine code of no instruction go with what stands before them.

    An instruction whose code LLVM made part of another's, or left out, stands with the next one that has some.
    """
    ir = _by_offset(code.passed or code.lowered)
    machine = _by_offset(code.machine)
    found: list[Row] = []
    head = [line for line in code.wasm if line.offset is None]
    found.append((head, ir.pop(None, []), machine.pop(None, [])))
    waiting: list[CodeLine] = []
    for line in code.wasm:
        if line.offset is not None:
            waiting.append(line)
            if line.offset in ir or line.offset in machine:
                found.append((waiting, ir.pop(line.offset, []), machine.pop(line.offset, [])))
                waiting = []
    if waiting:
        found.append((waiting, [], []))
    return found


def _by_offset(lines: Sequence[CodeLine]) -> dict[int | None, list[CodeLine]]:
    """The lines by the instruction they belong to; those of none with the one before, at the beginning under None."""
    found: dict[int | None, list[CodeLine]] = {}
    before: int | None = None
    for offset, group in groupby(lines, lambda line: line.offset):
        before = before if offset is None else offset
        found.setdefault(before, []).extend(group)
    return found
