"""Rules of numeric, vector and memory instructions (sections 3.3.1, 3.3.2 and 3.3.7).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.types import I32, I64, ValueType
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection


def signature_only(state: FunctionValidator, row: Instruction, immediate: object) -> None:
    """Check nothing: the row's signature says all."""


def access(state: FunctionValidator, row: Instruction, immediate: tuple[int, int, int]) -> None:
    """Loads, stores, and all that have an `access`: pops the operands, as no other rule of a row with parameters does.

    The type of the address is the memory's.
    """
    exponent, memory, offset = immediate
    try:
        address = state.context.memory_indices[memory]
    except IndexError:
        raise Rejection(f"unknown memory {memory}") from None
    access, parameters, operands = row.access, row.parameters, state.operands
    assert access is not None
    if 1 << exponent > access.size:
        raise Rejection(f"alignment must not be larger than natural: 2**{exponent} for {access.size} bytes")
    if offset >> 32 and address is I32:
        raise Rejection(f"offset out of range: {offset} in a memory addressed by i32")
    if len(parameters) > 1:
        for expected in parameters[:0:-1]:
            found = operands.pop()
            if found is not expected:
                state.accept(found, expected)
    found = operands.pop()
    if found is not address:
        state.accept(found, address)


def _lane(state: FunctionValidator, row: Instruction, lane: int) -> None:
    if lane >= row.lanes:
        raise Rejection(f"invalid lane index: {lane} of {row.lanes} lanes")


def _shuffle(state: FunctionValidator, row: Instruction, lanes: tuple[int, ...]) -> None:
    _lane(state, row, max(lanes))


def _lane_access(
    state: FunctionValidator, row: Instruction, immediates: tuple[tuple[int, int, int], int]
) -> None:
    place, lane = immediates
    access(state, row, place)
    _lane(state, row, lane)


def _index_type(state: FunctionValidator, memory: int) -> ValueType:
    indices = state.context.memory_indices
    if memory >= len(indices):
        raise Rejection(f"unknown memory {memory}")
    return indices[memory]


def _memory_size(state: FunctionValidator, row: Instruction, memory: int) -> None:
    state.operands.append(_index_type(state, memory))


def _memory_grow(state: FunctionValidator, row: Instruction, memory: int) -> None:
    index_type = _index_type(state, memory)
    state.pop(index_type)
    state.operands.append(index_type)


def _memory_fill(state: FunctionValidator, row: Instruction, memory: int) -> None:
    index_type = _index_type(state, memory)
    state.pop_all((index_type, I32, index_type))


def _memory_copy(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    to, source = (_index_type(state, memory) for memory in immediates)
    state.pop_all((to, source, shorter(to, source)))


def shorter(first: ValueType, second: ValueType) -> ValueType:
    """The index type that both can hold: what is copied between two memories or tables has a length of this type."""
    return first if second is I64 else second


def _memory_init(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    segment, memory = immediates
    index_type = _index_type(state, memory)
    check_data_segment(state, row, segment)
    state.pop_all((index_type, I32, I32))


def check_data_segment(state: FunctionValidator, row: Instruction, index: int) -> None:
    """Refuse the index of a data segment that is not there."""
    # Without a data count section the code is malformed: `binary.body_syntax` finds that.
    if index >= (state.context.module.data_count or 0):
        raise Rejection(f"unknown data segment {index}")


RULES: dict[str, Rule] = {
    "constant": signature_only,
    **dict.fromkeys(("add128", "sub128", "mul_wide_s", "mul_wide_u"), signature_only),
    "native": signature_only,
    "extract_lane": _lane,
    "replace_lane": _lane,
    "shuffle": _shuffle,
    "vector_load": access,
    "load_lane": _lane_access,
    "store_lane": _lane_access,
    "load": access,
    "store": access,
    "memory_size": _memory_size,
    "memory_grow": _memory_grow,
    "memory_fill": _memory_fill,
    "memory_copy": _memory_copy,
    "memory_init": _memory_init,
    "data_drop": check_data_segment,
}
