"""Exception handling (section 2.4.8)."""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction

ROWS: tuple[Instruction, ...] = (
    Instruction("throw", None, 0x08, (Immediate.TAG,), feature=Feature.EXCEPTION_HANDLING, rule="throw"),
    Instruction("throw_ref", None, 0x0A, feature=Feature.EXCEPTION_HANDLING, rule="throw_ref"),
    Instruction(
        "try_table",
        None,
        0x1F,
        (Immediate.BLOCK_TYPE, Immediate.CATCHES),
        feature=Feature.EXCEPTION_HANDLING,
        rule="try_table",
    ),
)
