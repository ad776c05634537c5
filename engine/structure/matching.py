"""Subtyping: whether values of one type can stand where another is wanted (section 3.3)."""

from __future__ import annotations

from farcall.engine.structure.defined_types import (
    ArrayType,
    CompositeType,
    DefinedType,
    FieldType,
    StorageType,
    StructType,
)
from farcall.engine.structure.types import FunctionType, ReferenceType, ValueType

_ABOVE: dict[str, frozenset[str]] = {
    "any": frozenset({"any"}),
    "eq": frozenset({"eq", "any"}),
    "i31": frozenset({"i31", "eq", "any"}),
    "struct": frozenset({"struct", "eq", "any"}),
    "array": frozenset({"array", "eq", "any"}),
    "none": frozenset({"none", "i31", "struct", "array", "eq", "any"}),
    "func": frozenset({"func"}),
    "nofunc": frozenset({"nofunc", "func"}),
    "extern": frozenset({"extern"}),
    "noextern": frozenset({"noextern", "extern"}),
    "exn": frozenset({"exn"}),
    "noexn": frozenset({"noexn", "exn"}),
}
"""The abstract heap types that each matches; a defined type matches what its kind does."""

BOTTOM = ReferenceType("(ref bot)", 0, "bot", False, "bot")
"""The type of a reference of which unreachable code knows only that it is one, and not null: it matches every reference
type. No module can name it."""


def value_matches(found: ValueType, expected: ValueType) -> bool:
    """Whether `found` is `expected` or a subtype of it (section 3.3.5)."""
    if found is expected:
        return True
    if not isinstance(found, ReferenceType) or not isinstance(expected, ReferenceType):
        return False
    if found.nullable and not expected.nullable:
        return False
    if expected.exact and isinstance(found.heap, DefinedType):
        return found.exact and found.heap is expected.heap
    return heap_matches(found.heap, expected.heap)


def heap_matches(found: str | DefinedType, expected: str | DefinedType) -> bool:
    """Whether one heap type matches another (section 3.3.3)."""
    if found is expected or found == "bot":
        return True
    if isinstance(expected, DefinedType):
        if isinstance(found, DefinedType):
            return found.is_subtype_of(expected)
        return found == ("nofunc" if expected.kind == "func" else "none")
    return expected in _ABOVE.get(found.kind if isinstance(found, DefinedType) else found, ())


def values_match(found: tuple[ValueType, ...], expected: tuple[ValueType, ...]) -> bool:
    """Whether one list of types matches another (section 3.3.6)."""
    return found == expected or (len(found) == len(expected) and all(map(value_matches, found, expected)))


def function_matches(found: FunctionType, expected: FunctionType) -> bool:
    """Whether a function type matches another: it takes no less and gives no more (section 3.3.8)."""
    return found is expected or (
        values_match(expected.parameters, found.parameters) and values_match(found.results, expected.results)
    )


def composite_matches(found: CompositeType, expected: CompositeType) -> bool:
    """Whether a composite type matches another (section 3.3.8)."""
    match found, expected:
        case FunctionType(), FunctionType():
            return function_matches(found, expected)
        case StructType(), StructType():
            # A subtype may have more fields.
            return len(found.fields) >= len(expected.fields) and all(
                map(_field_matches, found.fields, expected.fields)
            )
        case ArrayType(), ArrayType():
            return _field_matches(found.element, expected.element)
        case _:
            return False


def _field_matches(found: FieldType, expected: FieldType) -> bool:
    """Fields that can change must be of the same type (section 3.3.9)."""
    if found.mutable or expected.mutable:
        return found == expected
    return _storage_matches(found.storage, expected.storage)


def _storage_matches(found: StorageType, expected: StorageType) -> bool:
    if isinstance(found, ValueType) and isinstance(expected, ValueType):
        return value_matches(found, expected)
    return found == expected
