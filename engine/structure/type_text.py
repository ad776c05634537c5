"""The types of a module in full, as in the text format, with indices for names."""

from __future__ import annotations

from farcall.engine.structure.defined_types import ArrayType, DefinedType, FieldType, StructType
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import FunctionType, ReferenceType, ValueType


def type_texts(module: Module) -> list[str]:
    """Each type of the module, by index, as the text format writes it."""
    indices: dict[DefinedType, int] = {}
    for index, defined in enumerate(module.defined_types):
        indices.setdefault(defined, index)
    return [_defined_text(defined, indices) for defined in module.defined_types]


def _defined_text(defined: DefinedType, indices: dict[DefinedType, int]) -> str:
    composite = _clauses_text(defined, indices) + _composite_text(defined, indices)
    if defined.final and defined.supertype is None:
        return composite
    final = "final " if defined.final else ""
    above = "" if defined.supertype is None else f"{indices[defined.supertype]} "
    return f"(sub {final}{above}{composite})"


def _clauses_text(defined: DefinedType, indices: dict[DefinedType, int]) -> str:
    describes = "" if defined.describes is None else f"(describes {indices[defined.describes]}) "
    descriptor = "" if defined.descriptor is None else f"(descriptor {indices[defined.descriptor]}) "
    return describes + descriptor


def _composite_text(defined: DefinedType, indices: dict[DefinedType, int]) -> str:
    match defined.composite:
        case FunctionType(parameters=parameters, results=results):
            taken = "".join(f" (param {value_text(each, indices)})" for each in parameters)
            given = "".join(f" (result {value_text(each, indices)})" for each in results)
            return f"(func{taken}{given})"
        case StructType(fields=fields):
            return f"(struct{''.join(f' (field {_field_text(field, indices)})' for field in fields)})"
        case ArrayType(element=element):
            return f"(array {_field_text(element, indices)})"


def _field_text(field: FieldType, indices: dict[DefinedType, int]) -> str:
    storage = field.storage
    text = value_text(storage, indices) if isinstance(storage, ValueType) else storage.name
    return f"(mut {text})" if field.mutable else text


def value_text(value_type: ValueType, indices: dict[DefinedType, int]) -> str:
    """A value type, with indices of the module's types."""
    if not isinstance(value_type, ReferenceType) or isinstance(value_type.heap, str):
        return value_type.name
    index = indices[value_type.heap]
    heap = f"(exact {index})" if value_type.exact else str(index)
    return f"(ref {'null ' if value_type.nullable else ''}{heap})"
