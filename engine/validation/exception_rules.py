"""Rules of exception handling (section 3.3.8).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.types import BlockType
from farcall.engine.instructions.instruction import Catch, Instruction
from farcall.engine.structure.types import EXNREF, ValueType, reference_to
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection, shorten

_CAUGHT = reference_to("exn", nullable=False)


def carried(state: FunctionValidator, tag: int) -> tuple[ValueType, ...]:
    """The types of the values that the tag's exceptions carry."""
    module = state.context.module
    if tag >= len(module.tag_types):
        raise Rejection(f"unknown tag {tag}")
    return module.tag_type(tag).type.parameters


def _throw(state: FunctionValidator, row: Instruction, tag: int) -> None:
    state.pop_all(carried(state, tag))
    state.set_unreachable()


def _throw_ref(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.pop(EXNREF)
    state.set_unreachable()


def _try_table(
    state: FunctionValidator, row: Instruction, immediates: tuple[BlockType, tuple[Catch, ...]]
) -> None:
    block_type, catches = immediates
    # The clauses' labels are those around the block.
    for catch in dict.fromkeys(catches):
        values = () if catch.tag is None else carried(state, catch.tag)
        if catch.reference:
            values = state.context.type_lists.extended(values, _CAUGHT)
        wanted = state.label(catch.label).label_types
        if not state.context.type_lists.match(values, wanted):
            given, taken = (shorten(", ".join([value.name for value in types])) for types in (values, wanted))
            raise Rejection(f"type mismatch: a catch clause gives ({given}), its label takes ({taken})")
    state.push_control(state.context.blocks[block_type])


RULES: dict[str, Rule] = {"throw": _throw, "throw_ref": _throw_ref, "try_table": _try_table}
