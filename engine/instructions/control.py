"""Control, parametric and variable instructions (sections 2.4.4, 2.4.5 and 2.4.8)."""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.structure.types import I32

ROWS: tuple[Instruction, ...] = (
    Instruction("unreachable", None, 0x00, rule="unreachable"),
    Instruction("nop", None, 0x01, rule="nop"),
    Instruction("block", None, 0x02, (Immediate.BLOCK_TYPE,), rule="block"),
    Instruction("loop", None, 0x03, (Immediate.BLOCK_TYPE,), rule="loop"),
    Instruction("if", None, 0x04, (Immediate.BLOCK_TYPE,), rule="if"),
    Instruction("else", None, 0x05, rule="else"),
    Instruction("end", None, 0x0B, rule="end"),
    Instruction("br", None, 0x0C, (Immediate.LABEL,), rule="br"),
    Instruction("br_if", None, 0x0D, (Immediate.LABEL,), rule="br_if"),
    Instruction("br_table", None, 0x0E, (Immediate.LABELS,), rule="br_table"),
    Instruction("return", None, 0x0F, rule="return"),
    Instruction("call", None, 0x10, (Immediate.FUNCTION,), rule="call"),
    Instruction("call_indirect", None, 0x11, (Immediate.TYPE, Immediate.TABLE), rule="call_indirect"),
    Instruction(
        "return_call", None, 0x12, (Immediate.FUNCTION,), feature=Feature.TAIL_CALL, rule="return_call"
    ),
    Instruction(
        "return_call_indirect",
        None,
        0x13,
        (Immediate.TYPE, Immediate.TABLE),
        feature=Feature.TAIL_CALL,
        rule="return_call_indirect",
    ),
    Instruction("drop", None, 0x1A, rule="drop"),
    Instruction("select", None, 0x1B, rule="select"),
    Instruction(
        "select t", None, 0x1C, (Immediate.VALUE_TYPES,), feature=Feature.REFERENCE_TYPES, rule="select_typed"
    ),
    Instruction("local.get", None, 0x20, (Immediate.LOCAL,), rule="local_get"),
    Instruction("local.set", None, 0x21, (Immediate.LOCAL,), rule="local_set"),
    Instruction("local.tee", None, 0x22, (Immediate.LOCAL,), rule="local_tee"),
    Instruction("global.get", None, 0x23, (Immediate.GLOBAL,), rule="global_get"),
    Instruction("global.set", None, 0x24, (Immediate.GLOBAL,), rule="global_set"),
)

BLOCK_RULES = frozenset({"block", "loop", "if", "try_table", "try"})
"""The rules of the instructions that open a block."""

CLOSING_RULES = frozenset({"end", "delegate"})
"""The rules of the instructions that close one."""

DIVIDING_RULES = frozenset({"else", "catch", "catch_all"})
"""The rules of the instructions that end one part of a block and begin the next."""

TAIL_CALL_RULES = frozenset({"return_call", "return_call_indirect", "return_call_ref"})
"""The rules of the instructions that make tail calls."""

BRANCHING_RULES = frozenset(
    {
        "block",
        "loop",
        "if",
        "br",
        "br_if",
        "br_on_null",
        "br_on_non_null",
        "br_on_cast",
        "br_on_cast_fail",
        "br_on_cast_desc_eq",
        "br_on_cast_desc_eq_fail",
        "return",
        "throw",
        "rethrow",
    }
)
"""The rules of the instructions that begin or end a path through the code, but `br_table`, which ends many."""

CATCHING_RULES = frozenset({"try_table", "try"})
"""The rules of the instructions that open a block which catches exceptions."""

TYPED_CALL_RULES = frozenset({"call_indirect", "call_ref", "return_call_indirect", "return_call_ref"})
"""The rules of the instructions that call what is only known to be of a type: their first immediate."""

CONDITION = I32
"""The type of a condition: `if`, `br_if`, `select` and an index of `br_table` take one."""
