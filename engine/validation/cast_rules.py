"""Rules of casts (sections 3.4.3 and 3.4.8).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.types import EncodedReference
from farcall.engine.instructions.instruction import Feature, Instruction
from farcall.engine.structure.matching import BOTTOM, value_matches
from farcall.engine.structure.types import I32, ReferenceType, reference_to
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection, TypeMismatch

CastOperands = tuple[tuple[bool, bool], int, EncodedReference, EncodedReference]
"""The immediates of `br_on_cast`: whether null belongs to either type; the label; the types."""


def cast_target(state: FunctionValidator, encoded: EncodedReference, nullable: bool) -> ReferenceType:
    """The type that a heap type in the code stands for. Raises Rejection if the module does not have it."""
    reference = state.context.value_type(encoded)
    assert isinstance(reference, ReferenceType)
    return reference.with_null(nullable)


def pop_castable(state: FunctionValidator, row: Instruction, target: ReferenceType) -> None:
    """A reference of the same hierarchy can be cast."""
    found = state.pop_reference(row)
    top = reference_to(target.top, nullable=True)
    if found is not BOTTOM and not value_matches(found, top):
        raise TypeMismatch(top, found)


def _test(nullable: bool) -> Rule:
    def rule(state: FunctionValidator, row: Instruction, encoded: EncodedReference) -> None:
        pop_castable(state, row, cast_target(state, encoded, nullable))
        state.operands.append(I32)

    return rule


def _cast(nullable: bool) -> Rule:
    def rule(state: FunctionValidator, row: Instruction, encoded: EncodedReference) -> None:
        target = cast_target(state, encoded, nullable)
        pop_castable(state, row, target)
        state.operands.append(target)

    return rule


def _difference(source: ReferenceType, target: ReferenceType) -> ReferenceType:
    """The type of what a cast to `target` leaves out (section 3.3.4)."""
    return source.with_null(False) if target.nullable else source


def _check_castable(
    state: FunctionValidator, row: Instruction, source: ReferenceType, target: ReferenceType
) -> None:
    """In version 3.0 a branch casts downwards; the custom-descriptors proposal lets it cast within a hierarchy."""
    if Feature.CUSTOM_DESCRIPTORS not in state.context.disabled:
        if source.top == target.top:
            return
        problem = "which is of another hierarchy"
    elif value_matches(target, source):
        return
    else:
        problem = "which does not match it"
    raise Rejection(f"type mismatch: {row.name} from {source.name} to {target.name}, {problem}")


def branch_on_cast(
    state: FunctionValidator, row: Instruction, immediates: CastOperands, on_success: bool
) -> None:
    """`br_on_cast` and its like, but for what else they take off the stack before the reference."""
    (from_nullable, to_nullable), depth, encoded_source, encoded_target = immediates
    source = cast_target(state, encoded_source, from_nullable)
    target = cast_target(state, encoded_target, to_nullable)
    _check_castable(state, row, source, target)
    other = _difference(source, target)
    carried, kept = (target, other) if on_success else (other, target)
    label_types = state.label(depth).label_types
    last = label_types[-1] if label_types else None
    if last is None or not value_matches(carried, last):
        wanted = "nothing" if last is None else last.name
        raise Rejection(f"type mismatch: {row.name} carries {carried.name} to a label that takes {wanted}")
    state.pop(source)
    state.retype(state.context.type_lists.without_last(label_types))
    state.operands.append(kept)


def _br_on_cast(state: FunctionValidator, row: Instruction, immediates: CastOperands) -> None:
    branch_on_cast(state, row, immediates, on_success=True)


def _br_on_cast_fail(state: FunctionValidator, row: Instruction, immediates: CastOperands) -> None:
    branch_on_cast(state, row, immediates, on_success=False)


RULES: dict[str, Rule] = {
    "ref_test": _test(nullable=False),
    "ref_test_null": _test(nullable=True),
    "ref_cast": _cast(nullable=False),
    "ref_cast_null": _cast(nullable=True),
    "br_on_cast": _br_on_cast,
    "br_on_cast_fail": _br_on_cast_fail,
}
