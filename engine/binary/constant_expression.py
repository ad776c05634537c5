"""Constant expressions (section 5.4.9). That they are constant is for validation to say."""

from __future__ import annotations

from farcall.engine.binary.instructions import read_expression
from farcall.engine.binary.reader import Reader
from farcall.engine.structure.module import ConstantExpression, ConstantInstruction


def read_constant_expression(reader: Reader) -> ConstantExpression:
    """Read an expression up to its `end`."""
    start = reader.position
    instructions = []
    end = start
    for row, immediates, offset in read_expression(reader.source, start, reader.disabled):
        instructions.append(ConstantInstruction(row.name, immediates, offset))
        end = offset
    instructions.pop()  # the final `end`
    reader.position = end + 1
    return ConstantExpression(tuple(instructions), start)
