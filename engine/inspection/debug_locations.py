"""LLVM IR that knows which instruction each line comes from: debug locations whose line is an offset in the module.

LLVM carries them through passes and code generation, and never lets them change the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from farcall.engine.abi.calls import symbol, tail_symbol

_FIRST = 1000
"""Number of the metadata; the lowering's own have smaller ones."""
_UNIT, _FILE, _VERSION, _TYPE, _FUNCTION = range(_FIRST, _FIRST + 5)
_LOCATIONS = _FIRST + 5
_LABEL = re.compile(r"[\w.]+:")

_LOCATION = re.compile(r"^!(\d+) = !DILocation\(line: (\d+)", re.MULTILINE)
_REFERENCE = re.compile(r",? !dbg !(\d+)")


def locate(lines: str, offset: int) -> str:
    """The lines with a debug location each that is an instruction; `define_locations` defines them."""
    located = []
    in_switch = False
    for line in lines.split("\n"):
        in_switch = in_switch or (line.startswith("switch ") and "]" not in line)
        if in_switch and "]" not in line:
            located.append(line)
        else:
            in_switch = False
            located.append(
                line if not line or _LABEL.fullmatch(line) else f"{line}, !dbg !{_LOCATIONS + offset}"
            )
    return "\n".join(located)


def define_locations(text: str, index: int) -> str:
    """The text of function `index`, with all that its debug locations need."""
    used = sorted({int(number) for number in _REFERENCE.findall(text)})
    # A function that makes tail calls has its code in its tail entry.
    tail = re.search(rf"^define .*@{tail_symbol(index)}\(", text, re.MULTILINE)
    head = f"@{tail_symbol(index) if tail else symbol(index)}("
    lines = [
        f"{line[:-2]} !dbg !{_FUNCTION} {{" if line.startswith("define ") and head in line else line
        for line in text.split("\n")
    ]
    definitions = [
        f"!llvm.dbg.cu = !{{!{_UNIT}}}",
        f"!llvm.module.flags = !{{!{_VERSION}}}",
        f"!{_UNIT} = distinct !DICompileUnit(language: DW_LANG_C99, file: !{_FILE}, emissionKind: LineTablesOnly)",
        f'!{_FILE} = !DIFile(filename: "module.wasm", directory: "")',
        f'!{_VERSION} = !{{i32 2, !"Debug Info Version", i32 3}}',
        f"!{_TYPE} = !DISubroutineType(types: !{{}})",
        f'!{_FUNCTION} = distinct !DISubprogram(name: "f{index}", scope: !{_FILE}, file: !{_FILE}, line: 0, '
        f"type: !{_TYPE}, spFlags: DISPFlagDefinition, unit: !{_UNIT})",
        *(f"!{number} = !DILocation(line: {number - _LOCATIONS}, scope: !{_FUNCTION})" for number in used),
    ]
    return "\n".join((*lines, *definitions, ""))


def located_lines(text: str) -> Iterator[tuple[int | None, str]]:
    """The definitions of functions in a text with debug locations: each line without them, and its offset."""
    offsets = {number: int(line) for number, line in _LOCATION.findall(text)}
    inside = False
    for line in text.split("\n"):
        inside = inside or line.startswith("define ")
        if not inside:
            continue
        reference = _REFERENCE.search(line)
        offset = None if reference is None or line.startswith("define ") else offsets.get(reference[1])
        yield offset or None, _REFERENCE.sub("", line)
        inside = line != "}"
