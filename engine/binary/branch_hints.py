"""Branch hints: which way a conditional branch probably goes.

They are the code metadata that the text format calls `@metadata.code.branch_hint`. Nothing here uses them; whether they
make sense can be asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.binary.instructions import decode_body
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.section_headers import section_headers
from farcall.engine.errors import InvalidModuleError, MalformedModuleError
from farcall.engine.structure.module import FunctionBody, Module

BRANCH_HINTS = "metadata.code.branch_hint"
"""The name of the custom section."""

_TARGETS = frozenset({"if", "br_if"})
_HINT_SIZE = 1
_LIKELY = 1


def check_branch_hints(module: Module, reader: Reader) -> None:
    """Check the content of the section: hints by function, of each by the instruction's place.

    Raises:
        MalformedModuleError: it does not follow the format.
        InvalidModuleError: a hint is for what is no function of the module's, or no conditional branch.
        IndexError: the bytes end too early.
    """
    bodies = _bodies(module)
    last = -1
    for _ in range(reader.u32()):
        start = reader.position
        index = reader.u32()
        if index <= last:
            raise MalformedModuleError(f"function {index} after function {last}", start)
        last = index
        if not module.imported_function_count <= index < len(module.function_types):
            raise InvalidModuleError(f"unknown function {index} among those that the module defines", start)
        body, base = next(entry for entry in bodies if entry[0].index == index)
        _check_hints(module, reader, body, base)


def _bodies(module: Module) -> Iterator[tuple[FunctionBody, int]]:
    """The functions' bodies, and where each begins: with its locals, which places are counted from."""
    (code,) = (header for header in section_headers(module.source) if header.name == "code")
    reader = Reader(module.source, code.start)
    reader.u32()
    for body in module.functions:
        reader.u32()
        yield body, reader.position
        reader.position = body.end


def _check_hints(module: Module, reader: Reader, body: FunctionBody, base: int) -> None:
    """Check one function's hints against its instructions; both stand in the order of places."""
    instructions = decode_body(module.source, body.start, body.end)
    last = -1
    for _ in range(reader.u32()):
        start = reader.position
        place = reader.u32()
        if place <= last:
            order = "duplicate annotation" if place == last else f"place {place} after place {last}"
            raise MalformedModuleError(f"{order} in function {body.index}", start)
        last = place
        size = reader.u32()
        if size != _HINT_SIZE:
            raise MalformedModuleError(f"a hint of {size} bytes, of {_HINT_SIZE} byte each is", start)
        value = reader.byte()
        if value > _LIKELY:
            raise MalformedModuleError(f"invalid hint value {value:#04x}", reader.position - 1)
        name = next((row.name for row, _, at in instructions if at == base + place), None)
        if name is None:
            raise MalformedModuleError(f"no instruction of function {body.index} is at {place}", start)
        if name not in _TARGETS:
            raise InvalidModuleError(f"invalid target: {name} in function {body.index}", start)
