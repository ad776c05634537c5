"""A function's instructions, one a line, indented by the blocks that they stand in."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.binary.instructions import decode_body
from farcall.engine.inspection.immediate_text import instruction_text, type_text
from farcall.engine.instructions.control import BLOCK_RULES, CLOSING_RULES, DIVIDING_RULES
from farcall.engine.structure.module import FunctionBody, Module


def disassemble(module: Module, body: FunctionBody) -> Iterator[tuple[int, int, str]]:
    """Iterate over the instructions: offset in the module, nesting depth, text. The final `end` has depth 0."""
    depth = 1
    for row, immediates, offset in decode_body(module.source, body.start, body.end):
        if row.rule in CLOSING_RULES:
            depth -= 1
        yield offset, depth - (row.rule in DIVIDING_RULES), instruction_text(row, immediates)
        if row.rule in BLOCK_RULES:
            depth += 1


def signature_text(module: Module, body: FunctionBody) -> str:
    """What the text format says of a function before its instructions."""
    function_type = module.signature(body.type_index)
    parts = [f"func (;{body.index};)", f"(type {body.type_index})"]
    for name, types in (("param", function_type.parameters), ("result", function_type.results)):
        if types:
            parts.append(f"({name} {' '.join(map(type_text, types))})")
    if body.locals:
        # A run may count ten thousands: it is not written out.
        runs = (
            f"{type_text(value)}" + (f" (; x {count} ;)" if count > 1 else "") for count, value in body.locals
        )
        parts.append(f"(local {' '.join(runs)})")
    return " ".join(parts)
