"""Constant expressions (section 5.4.9). That they are constant is for validation to say."""

from __future__ import annotations

from farcall.engine.binary.instructions import read_expression
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.structure.module import ConstantExpression, ConstantInstruction

_FIRST_PREFIX = 0xFB


def read_constant_expression(reader: Reader) -> ConstantExpression:
    """Read an expression up to its `end`."""
    start = reader.position
    instructions = []
    end = start
    try:
        for row, immediates, offset in read_expression(reader.source, start):
            instructions.append(ConstantInstruction(row.name, immediates, offset))
            end = offset
    except UnsupportedFeatureError as error:
        # Later proposals' constant instructions have prefixes; any other opcode is a missing `end`.
        opcode = reader.source[error.offset]
        if opcode < _FIRST_PREFIX:
            reason = f"END opcode expected, found {opcode:02x} in a constant expression"
            raise MalformedModuleError(reason, error.offset) from None
        raise
    instructions.pop()  # the final `end`
    reader.position = end + 1
    return ConstantExpression(tuple(instructions), start)
