"""Rules of typed function references (sections 3.4.3 and 3.4.8).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.matching import BOTTOM
from farcall.engine.structure.types import ReferenceType
from farcall.engine.validation.control_rules import Rule, tail_call
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection


def non_nullable(reference: ReferenceType) -> ReferenceType:
    """The same reference type without null."""
    return reference if reference is BOTTOM else reference.with_null(False)


def nullable(reference: ReferenceType) -> ReferenceType:
    """The same reference type with null."""
    return reference if reference is BOTTOM else reference.with_null(True)


def _ref_as_non_null(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.operands.append(non_nullable(state.pop_reference(row)))


def _br_on_null(state: FunctionValidator, row: Instruction, depth: int) -> None:
    reference = state.pop_reference(row)
    state.retype(state.label(depth).label_types)
    state.operands.append(non_nullable(reference))


def _br_on_non_null(state: FunctionValidator, row: Instruction, depth: int) -> None:
    label_types = state.label(depth).label_types
    last = label_types[-1] if label_types else None
    if not isinstance(last, ReferenceType):
        found = "nothing" if last is None else last.name
        raise Rejection(
            f"type mismatch: br_on_non_null to a label whose last value is {found}, not a reference"
        )
    state.pop(nullable(last))
    state.retype(state.context.type_lists.without_last(label_types))


def _call_ref(state: FunctionValidator, row: Instruction, type_index: int) -> None:
    function_type = state.context.function_type(type_index)
    state.pop(state.context.module.defined_types[type_index].reference(nullable=True))
    state.pop_all(function_type.parameters)
    state.push_all(function_type.results)


def _return_call_ref(state: FunctionValidator, row: Instruction, type_index: int) -> None:
    function_type = state.context.function_type(type_index)
    state.pop(state.context.module.defined_types[type_index].reference(nullable=True))
    tail_call(state, row, function_type)


RULES: dict[str, Rule] = {
    "ref_as_non_null": _ref_as_non_null,
    "br_on_null": _br_on_null,
    "br_on_non_null": _br_on_non_null,
    "call_ref": _call_ref,
    "return_call_ref": _return_call_ref,
}
