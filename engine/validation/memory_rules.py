"""Rules of numeric and memory instructions (sections 3.3.1 and 3.3.7).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection


def signature_only(state: FunctionValidator, row: Instruction, immediate: object) -> None:
    """Check nothing: the row's signature says all."""


def _access(state: FunctionValidator, row: Instruction, immediate: tuple[int, int, int]) -> None:
    exponent, memory, offset = immediate
    _memory(state, row, memory)
    assert row.access is not None
    if 1 << exponent > row.access.size:
        raise Rejection(
            f"alignment must not be larger than natural: 2**{exponent} for {row.access.size} bytes"
        )
    if offset >> 32:
        raise Rejection(f"offset out of range: {offset} in a memory addressed by i32")


def _memory(state: FunctionValidator, row: Instruction, index: int) -> None:
    if index >= len(state.context.module.memories):
        raise Rejection(f"unknown memory {index}")


def _memory_copy(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    for index in immediates:
        _memory(state, row, index)


def _memory_init(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    segment, memory = immediates
    _memory(state, row, memory)
    _data_segment(state, row, segment)


def _data_segment(state: FunctionValidator, row: Instruction, index: int) -> None:
    # Without a data count section the code is malformed: `binary.body_syntax` finds that.
    if index >= (state.context.module.data_count or 0):
        raise Rejection(f"unknown data segment {index}")


RULES: dict[str, Rule] = {
    "constant": signature_only,
    "load": _access,
    "store": _access,
    "memory_size": _memory,
    "memory_grow": _memory,
    "memory_fill": _memory,
    "memory_copy": _memory_copy,
    "memory_init": _memory_init,
    "data_drop": _data_segment,
}
