"""Rules of structures, arrays and i31 (section 3.4.3).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.limits import MAXIMUM_FIXED_ARRAY_LENGTH
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.defined_types import ArrayType, FieldType, PackedType, StructType
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import I32, ReferenceType, ValueType, reference_to
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.memory_rules import check_data_segment, signature_only
from farcall.engine.validation.rejection import LimitReached, Rejection
from farcall.engine.validation.table_rules import segment_element


def struct_type(state: FunctionValidator, row: Instruction, index: int) -> StructType:
    """The structure type of that index. Raises Rejection if there is none, or it is another kind of type."""
    composite = state.context.defined_type(index).composite
    if not isinstance(composite, StructType):
        raise Rejection(f"type mismatch: {row.name} wants a structure type, type {index} is none")
    return composite


def _array(state: FunctionValidator, row: Instruction, index: int) -> FieldType:
    composite = state.context.defined_type(index).composite
    if not isinstance(composite, ArrayType):
        raise Rejection(f"type mismatch: {row.name} wants an array type, type {index} is none")
    return composite.element


def _reference(state: FunctionValidator, index: int, nullable: bool) -> ReferenceType:
    return state.context.module.defined_types[index].reference(nullable)


def push_new(state: FunctionValidator, index: int) -> None:
    """Put a reference to a new object on the stack: it is of that type and of no subtype."""
    state.operands.append(state.context.module.defined_types[index].reference(nullable=False, exact=True))


def check_defaultable(row: Instruction, field: FieldType | None) -> None:
    """Raise Rejection unless the field, if there is one, has a default value."""
    if field is not None and not field.unpacked.defaultable:
        raise Rejection(f"field type is not defaultable: {row.name} of {field}")


def _check_mutable(row: Instruction, field: FieldType, what: str) -> None:
    if not field.mutable:
        raise Rejection(f"immutable {what}: {row.name} changes it")


def _check_extension(row: Instruction, field: FieldType) -> None:
    """Packed fields are read with an extension, others without."""
    packed = isinstance(field.storage, PackedType)
    if packed != row.name.endswith(("_s", "_u")):
        raise Rejection(
            f"type mismatch: {row.name} of a field that is {'packed' if packed else 'not packed'}"
        )


# -- Structures --------------------------------------------------------------------------------------------------------


def _check_struct_without_descriptor(state: FunctionValidator, row: Instruction, index: int) -> None:
    struct_type(state, row, index)
    if state.context.module.defined_types[index].descriptor is not None:
        raise Rejection(f"type with descriptor requires descriptor allocation: {row.name} of type {index}")


def _struct_new(state: FunctionValidator, row: Instruction, index: int) -> None:
    _check_struct_without_descriptor(state, row, index)
    state.pop_all(state.context.field_types[index])
    push_new(state, index)


def _struct_new_default(state: FunctionValidator, row: Instruction, index: int) -> None:
    _check_struct_without_descriptor(state, row, index)
    check_defaultable(row, state.context.field_without_default[index])
    push_new(state, index)


def _field(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> FieldType:
    index, position = immediates
    fields = struct_type(state, row, index).fields
    if position >= len(fields):
        raise Rejection(f"unknown field {position}")
    return fields[position]


def _struct_get(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    field = _field(state, row, immediates)
    _check_extension(row, field)
    state.pop(_reference(state, immediates[0], nullable=True))
    state.operands.append(field.unpacked)


def _struct_set(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    field = _field(state, row, immediates)
    _check_mutable(row, field, "field")
    state.pop_all((_reference(state, immediates[0], nullable=True), field.unpacked))


# -- Arrays ------------------------------------------------------------------------------------------------------------


def _array_new(state: FunctionValidator, row: Instruction, index: int) -> None:
    state.pop_all((_array(state, row, index).unpacked, I32))
    push_new(state, index)


def _array_new_default(state: FunctionValidator, row: Instruction, index: int) -> None:
    check_defaultable(row, _array(state, row, index))
    state.pop(I32)
    push_new(state, index)


def _array_new_fixed(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    index, count = immediates
    element = _array(state, row, index)
    if count > MAXIMUM_FIXED_ARRAY_LENGTH:
        raise LimitReached(
            f"array.new_fixed of {count} elements, at most {MAXIMUM_FIXED_ARRAY_LENGTH} are possible"
        )
    state.pop_run(element.unpacked, count)
    push_new(state, index)


def _check_data(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> FieldType:
    index, segment = immediates
    element = _array(state, row, index)
    if element.unpacked.is_reference:
        raise Rejection(f"array type is not numeric or vector: {row.name} of type {index}")
    check_data_segment(state, row, segment)
    return element


def _check_elements(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> FieldType:
    index, segment = immediates
    element = _array(state, row, index)
    found = segment_element(state, segment)
    if not value_matches(found, element.unpacked):
        raise Rejection(f"type mismatch: {row.name} of {found.name} to an array of {element.unpacked.name}")
    return element


def _array_new_data(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    _check_data(state, row, immediates)
    state.pop_all((I32, I32))
    push_new(state, immediates[0])


def _array_new_elem(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    _check_elements(state, row, immediates)
    state.pop_all((I32, I32))
    push_new(state, immediates[0])


def _array_get(state: FunctionValidator, row: Instruction, index: int) -> None:
    element = _array(state, row, index)
    _check_extension(row, element)
    state.pop_all((_reference(state, index, nullable=True), I32))
    state.operands.append(element.unpacked)


def _array_set(state: FunctionValidator, row: Instruction, index: int) -> None:
    element = _array(state, row, index)
    _check_mutable(row, element, "array")
    state.pop_all((_reference(state, index, nullable=True), I32, element.unpacked))


def _array_fill(state: FunctionValidator, row: Instruction, index: int) -> None:
    element = _array(state, row, index)
    _check_mutable(row, element, "array")
    state.pop_all((_reference(state, index, nullable=True), I32, element.unpacked, I32))


def _array_copy(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    destination, source = immediates
    to, from_ = _array(state, row, destination), _array(state, row, source)
    _check_mutable(row, to, "array")
    if not _storage_fits(from_, to):
        raise Rejection(f"array types do not match: array.copy of {from_} to {to}")
    references = (_reference(state, index, nullable=True) for index in (destination, source))
    target, origin = references
    state.pop_all((target, I32, origin, I32, I32))


def _storage_fits(found: FieldType, expected: FieldType) -> bool:
    if isinstance(found.storage, ValueType) and isinstance(expected.storage, ValueType):
        return value_matches(found.storage, expected.storage)
    return found.storage == expected.storage


def _array_init_data(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    _check_mutable(row, _check_data(state, row, immediates), "array")
    state.pop_all((_reference(state, immediates[0], nullable=True), I32, I32, I32))


def _array_init_elem(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    _check_mutable(row, _array(state, row, immediates[0]), "array")
    _check_elements(state, row, immediates)
    state.pop_all((_reference(state, immediates[0], nullable=True), I32, I32, I32))


# -- Conversions -------------------------------------------------------------------------------------------------------


def _convert(state: FunctionValidator, row: Instruction, source: str, target: str) -> None:
    reference = state.pop_reference(row)
    if not value_matches(reference, reference_to(source, nullable=True)):
        raise Rejection(f"type mismatch: {row.name} of {reference.name}")
    state.operands.append(reference_to(target, reference.nullable))


def _any_convert_extern(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    _convert(state, row, "extern", "any")


def _extern_convert_any(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    _convert(state, row, "any", "extern")


RULES: dict[str, Rule] = {
    "struct_new": _struct_new,
    "struct_new_default": _struct_new_default,
    "struct_get": _struct_get,
    "struct_get_s": _struct_get,
    "struct_get_u": _struct_get,
    "struct_set": _struct_set,
    "array_new": _array_new,
    "array_new_default": _array_new_default,
    "array_new_fixed": _array_new_fixed,
    "array_new_data": _array_new_data,
    "array_new_elem": _array_new_elem,
    "array_get": _array_get,
    "array_get_s": _array_get,
    "array_get_u": _array_get,
    "array_set": _array_set,
    "array_len": signature_only,
    "array_fill": _array_fill,
    "array_copy": _array_copy,
    "array_init_data": _array_init_data,
    "array_init_elem": _array_init_elem,
    "any_convert_extern": _any_convert_extern,
    "extern_convert_any": _extern_convert_any,
    "ref_i31": signature_only,
    "i31_get_s": signature_only,
    "i31_get_u": signature_only,
}
