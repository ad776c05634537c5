"""Table and reference instructions (sections 2.4.3 and 2.4.6). Element and index types are the rules' business."""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.structure.types import I32

_REFERENCES = Feature.REFERENCE_TYPES
_BULK = Feature.BULK_MEMORY

ROWS: tuple[Instruction, ...] = (
    Instruction("table.get", None, 0x25, (Immediate.TABLE,), feature=_REFERENCES, rule="table_get"),
    Instruction("table.set", None, 0x26, (Immediate.TABLE,), feature=_REFERENCES, rule="table_set"),
    Instruction("ref.null", None, 0xD0, (Immediate.HEAP_TYPE,), feature=_REFERENCES, rule="ref_null"),
    Instruction("ref.is_null", None, 0xD1, results=(I32,), feature=_REFERENCES, rule="ref_is_null"),
    Instruction(
        "ref.func",
        None,
        0xD2,
        (Immediate.FUNCTION,),
        feature=_REFERENCES,
        rule="ref_func",
    ),
    Instruction(
        "table.init",
        0xFC,
        12,
        (Immediate.ELEMENT_SEGMENT, Immediate.TABLE),
        feature=_BULK,
        rule="table_init",
    ),
    Instruction("elem.drop", 0xFC, 13, (Immediate.ELEMENT_SEGMENT,), feature=_BULK, rule="elem_drop"),
    Instruction(
        "table.copy",
        0xFC,
        14,
        (Immediate.TABLE, Immediate.TABLE),
        feature=_BULK,
        rule="table_copy",
    ),
    Instruction("table.grow", 0xFC, 15, (Immediate.TABLE,), feature=_REFERENCES, rule="table_grow"),
    Instruction("table.size", 0xFC, 16, (Immediate.TABLE,), feature=_REFERENCES, rule="table_size"),
    Instruction("table.fill", 0xFC, 17, (Immediate.TABLE,), feature=_REFERENCES, rule="table_fill"),
)
