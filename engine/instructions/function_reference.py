"""Instructions of typed function references (sections 2.4.3 and 2.4.8). Types are the rules' business."""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction

_FUNCTION_REFERENCES = Feature.FUNCTION_REFERENCES

ROWS: tuple[Instruction, ...] = (
    Instruction("call_ref", None, 0x14, (Immediate.TYPE,), feature=_FUNCTION_REFERENCES, rule="call_ref"),
    Instruction(
        "return_call_ref", None, 0x15, (Immediate.TYPE,), feature=_FUNCTION_REFERENCES, rule="return_call_ref"
    ),
    Instruction("ref.as_non_null", None, 0xD4, feature=_FUNCTION_REFERENCES, rule="ref_as_non_null"),
    Instruction(
        "br_on_null", None, 0xD5, (Immediate.LABEL,), feature=_FUNCTION_REFERENCES, rule="br_on_null"
    ),
    Instruction(
        "br_on_non_null", None, 0xD6, (Immediate.LABEL,), feature=_FUNCTION_REFERENCES, rule="br_on_non_null"
    ),
)
