"""Rules of custom descriptors (custom-descriptors proposal): structures that carry a reference to another structure.

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.types import EncodedReference
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.defined_types import DefinedType, IndexedReference
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import ReferenceType
from farcall.engine.validation.cast_rules import CastOperands, branch_on_cast, cast_target, pop_castable
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.object_rules import check_defaultable, push_new, struct_type
from farcall.engine.validation.rejection import Rejection


def _descriptor_to_allocate(state: FunctionValidator, row: Instruction, index: int) -> ReferenceType:
    """What a structure is made with: exact, for what is known of the structure's type comes from it."""
    descriptor = state.context.defined_type(index).descriptor
    if descriptor is None:
        raise Rejection(
            f"type without descriptor requires non-descriptor allocation: {row.name} of type {index}"
        )
    return descriptor.reference(nullable=True, exact=True)


def _struct_new_desc(state: FunctionValidator, row: Instruction, index: int) -> None:
    struct_type(state, row, index)
    state.pop(_descriptor_to_allocate(state, row, index))
    state.pop_all(state.context.field_types[index])
    push_new(state, index)


def _struct_new_default_desc(state: FunctionValidator, row: Instruction, index: int) -> None:
    struct_type(state, row, index)
    descriptor = _descriptor_to_allocate(state, row, index)
    check_defaultable(row, state.context.field_without_default[index])
    state.pop(descriptor)
    push_new(state, index)


def _ref_get_desc(state: FunctionValidator, row: Instruction, index: int) -> None:
    defined = state.context.defined_type(index)
    if defined.descriptor is None:
        raise Rejection(f"type without descriptor: {row.name} of type {index}")
    found = state.pop_reference(row)
    exact = value_matches(found, defined.reference(nullable=True, exact=True))
    if not exact:
        state.accept(found, defined.reference(nullable=True))
    state.operands.append(defined.descriptor.reference(nullable=False, exact=exact))


def _pop_descriptor(state: FunctionValidator, encoded: EncodedReference, target: ReferenceType) -> None:
    """A descriptor for a cast to `target`, which must be exact where that is."""
    descriptor = target.heap.descriptor if isinstance(target.heap, DefinedType) else None
    if descriptor is None:
        name = encoded.index if isinstance(encoded, IndexedReference) else target.heap
        raise Rejection(f"type {name} does not have a descriptor")
    state.pop(descriptor.reference(nullable=True, exact=target.exact))


def _cast(nullable: bool) -> Rule:
    def rule(state: FunctionValidator, row: Instruction, encoded: EncodedReference) -> None:
        target = cast_target(state, encoded, nullable)
        _pop_descriptor(state, encoded, target)
        pop_castable(state, row, target)
        state.operands.append(target)

    return rule


def _branch(on_success: bool) -> Rule:
    def rule(state: FunctionValidator, row: Instruction, immediates: CastOperands) -> None:
        (_, nullable), _, _, encoded = immediates
        _pop_descriptor(state, encoded, cast_target(state, encoded, nullable))
        branch_on_cast(state, row, immediates, on_success)

    return rule


RULES: dict[str, Rule] = {
    "struct_new_desc": _struct_new_desc,
    "struct_new_default_desc": _struct_new_default_desc,
    "ref_get_desc": _ref_get_desc,
    "ref_cast_desc_eq": _cast(nullable=False),
    "ref_cast_desc_eq_null": _cast(nullable=True),
    "br_on_cast_desc_eq": _branch(on_success=True),
    "br_on_cast_desc_eq_fail": _branch(on_success=False),
}
