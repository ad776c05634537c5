"""Wide arithmetic (a proposal): on 128-bit integers, each two i64, the low half first."""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Instruction
from farcall.engine.structure.types import I64

_TWO = (I64, I64)

ROWS: tuple[Instruction, ...] = tuple(
    Instruction(f"i64.{rule}", 0xFC, opcode, (), parameters, _TWO, feature=Feature.WIDE_ARITHMETIC, rule=rule)
    for opcode, rule, parameters in (
        (19, "add128", _TWO + _TWO),
        (20, "sub128", _TWO + _TWO),
        (21, "mul_wide_s", _TWO),
        (22, "mul_wide_u", _TWO),
    )
)
