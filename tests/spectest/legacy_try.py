"""The legacy exception handling's folded `(try (do ...))`, written flat for an assembler without it.

`(try LABEL? BLOCKTYPE (do A) (catch $e B) (catch_all C))` becomes
`try LABEL? BLOCKTYPE A catch $e B catch_all C end`, and with `(delegate L)` it ends in `delegate L`. A flat
instruction cannot be an operand of a folded one, so whatever encloses such a `try` inside of the function is
unfolded as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .s_expressions import Expression, Form, parse

_FOLDED_TRY = re.compile(rb"\(\s*try[\s()]")
_TYPE_USES = ("type", "param", "result")
_CLAUSES = ("do", "catch", "catch_all", "delegate", "then", "else")


def unfold_legacy_try(text: bytes) -> bytes:
    """The module with each function that has a folded `try` written flat; others stay as they are."""
    if _FOLDED_TRY.search(text) is None:
        return text
    pieces = []
    position = 0
    for module in parse(text):
        for function in module.items if isinstance(module, Form) else ():
            if isinstance(function, Form) and function.head == "func" and _has_try(function):
                pieces += [text[position : function.start], b"(", *_flat(text, function.items), b")"]
                position = function.end
    return b" ".join((*pieces, text[position:]))


def _has_try(form: Form) -> bool:
    return form.head == "try" or any(isinstance(item, Form) and _has_try(item) for item in form.items)


def _flat(text: bytes, instructions: Sequence[Expression]) -> Iterator[bytes]:
    for instruction in instructions:
        if not isinstance(instruction, Form) or not _has_try(instruction):
            yield text[instruction.start : instruction.end]
            continue
        match instruction.head:
            case "block" | "loop":
                yield from _flat(text, instruction.items)
                yield b"end"
            case "try" | "if":
                yield from _flat_clauses(text, instruction)
            case _:
                immediates, operands = _parts(instruction.items)
                yield from _flat(text, operands)
                yield from _flat(text, immediates)


def _flat_clauses(text: bytes, instruction: Form) -> Iterator[bytes]:
    """A `try` or `if`: its operands, then its head, then its clauses, each headed by its keyword."""
    clauses = [item for item in instruction.items if isinstance(item, Form) and item.head in _CLAUSES]
    immediates, operands = _parts([item for item in instruction.items if item not in clauses])
    yield from _flat(text, operands)
    yield from _flat(text, immediates)
    for clause in clauses:
        yield from _flat(text, clause.items[1:] if clause.head in ("do", "then") else clause.items)
    if clauses[-1].head != "delegate":
        yield b"end"


def _parts(items: Sequence[Expression]) -> tuple[list[Expression], list[Expression]]:
    """An instruction's keyword and immediates, and its folded operands."""
    immediates = [item for item in items if not isinstance(item, Form) or item.head in _TYPE_USES]
    return immediates, [item for item in items if item not in immediates]
