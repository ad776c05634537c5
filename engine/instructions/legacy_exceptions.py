"""The exception handling proposal's first version, which compilers still emit and the specification has left out.

`throw` and tags are those of the specification.
"""

from __future__ import annotations

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction

_LEGACY = Feature.LEGACY_EXCEPTIONS

ROWS: tuple[Instruction, ...] = (
    Instruction("try", None, 0x06, (Immediate.BLOCK_TYPE,), feature=_LEGACY, rule="try"),
    Instruction("catch", None, 0x07, (Immediate.TAG,), feature=_LEGACY, rule="catch"),
    Instruction("rethrow", None, 0x09, (Immediate.LABEL,), feature=_LEGACY, rule="rethrow"),
    Instruction("delegate", None, 0x18, (Immediate.LABEL,), feature=_LEGACY, rule="delegate"),
    Instruction("catch_all", None, 0x19, feature=_LEGACY, rule="catch_all"),
)
