"""Types as plain tuples: value types, types of externs, and the groups of types that a module defines."""

from __future__ import annotations

from typing import Any

from farcall.engine.structure.defined_types import (
    I8,
    I16,
    ArrayType,
    CompositeType,
    DefinedType,
    FieldType,
    GroupReference,
    IndexedReference,
    PackedType,
    Shape,
    StructType,
    define_group,
)
from farcall.engine.structure.types import (
    VALUE_TYPES,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    ReferenceType,
    TableType,
    TagType,
    ValueType,
    reference_to,
)

_ABSTRACT, _DEFINED, _IN_GROUP, _PACKED, _INDEXED = range(5)
"""What stands first in the tuple of a value type that has no byte of its own."""

_FUNCTION, _STRUCT, _ARRAY, _TABLE, _MEMORY, _GLOBAL, _TAG = range(7)

_PACKED_TYPES = {each.name: each for each in (I8, I16)}


class TypeWriter:
    """Writes types of a module: defined ones by their index."""

    def __init__(self, defined: tuple[DefinedType, ...]) -> None:
        self._defined = defined
        self._indices: dict[DefinedType, int] = {}
        for index, each in enumerate(defined):
            self._indices.setdefault(each, index)

    def groups(self) -> list[Any]:
        """The groups in order; one that was there before is the index of its first type."""
        written = []
        index = 0
        while index < len(self._defined):
            group = self._defined[index].group
            first = self._indices[self._defined[index]]
            written.append(first if first < index else [self._shape(shape) for shape in group.shapes])
            index += len(group.members)
        return written

    def _shape(self, shape: Shape) -> tuple[Any, ...]:
        above: Any = shape.supertype
        if isinstance(above, DefinedType):
            above = (self._indices[above],)
        return (shape.final, above, self._composite(shape.composite), shape.describes, shape.descriptor)

    def _composite(self, composite: CompositeType) -> tuple[Any, ...]:
        match composite:
            case FunctionType():
                return self.extern(composite)
            case StructType():
                return (_STRUCT, [(self.value(each.storage), each.mutable) for each in composite.fields])
            case ArrayType():
                return (_ARRAY, self.value(composite.element.storage), composite.element.mutable)

    def value(self, value_type: Any) -> Any:
        """A value type, or what stands for one in a module or group."""
        match value_type:
            case ReferenceType(heap=DefinedType() as heap):
                return (_DEFINED, self._indices[heap], value_type.nullable, value_type.exact)
            case ReferenceType(nullable=False):
                return (_ABSTRACT, value_type.heap, False)
            case ValueType():
                return value_type.code
            case PackedType():
                return (_PACKED, value_type.name)
            case GroupReference():
                return (_IN_GROUP, value_type.position, value_type.nullable, value_type.exact)
            case IndexedReference():
                return (_INDEXED, value_type.index, value_type.nullable, value_type.exact)
            case _:
                raise TypeError(f"no value type: {value_type!r}")

    def extern(self, extern: Any) -> tuple[Any, ...]:
        """The type of an extern."""
        match extern:
            case FunctionType():
                parameters, results = (
                    [self.value(e) for e in es] for es in (extern.parameters, extern.results)
                )
                return (_FUNCTION, parameters, results)
            case TableType(element, limits, index_type):
                return (_TABLE, self.value(element), limits.minimum, limits.maximum, index_type.code)
            case MemoryType(limits, shared, index_type, page_size):
                return (_MEMORY, limits.minimum, limits.maximum, shared, index_type.code, page_size)
            case GlobalType():
                return (_GLOBAL, self.value(extern.value), extern.mutable)
            case TagType():
                return (_TAG, self.extern(extern.type))
            case _:
                raise TypeError(f"no type of an extern: {extern!r}")


class TypeReader:
    """Reads what `TypeWriter` wrote.

    Attributes:
        defined: the types of the module.
    """

    def __init__(self, groups: list[Any]) -> None:
        defined: list[DefinedType] = []
        self._defined = defined
        for group in groups:
            if isinstance(group, int):
                defined.extend(defined[group].group.members)
            else:
                defined.extend(define_group(tuple([self._shape(*shape) for shape in group])))
        self.defined = tuple(defined)

    def _shape(self, final: bool, above: Any, composite: Any, describes: Any, descriptor: Any) -> Shape:
        supertype = self._defined[above[0]] if isinstance(above, tuple) else above
        return Shape(final, supertype, self._composite(composite), describes, descriptor)

    def _composite(self, encoded: tuple[Any, ...]) -> CompositeType:
        match encoded:
            case (0, parameters, results):  # _FUNCTION
                return self._function(parameters, results)
            case (1, fields):  # _STRUCT
                return StructType(tuple([FieldType(self.value(each), mutable) for each, mutable in fields]))
            case (2, storage, mutable):  # _ARRAY
                return ArrayType(FieldType(self.value(storage), mutable))
            case _:
                raise ValueError(f"no composite type: {encoded!r}")

    def _function(self, parameters: list[Any], results: list[Any]) -> FunctionType:
        return FunctionType(
            tuple([self.value(e) for e in parameters]), tuple([self.value(e) for e in results])
        )

    def value(self, encoded: Any) -> Any:
        """A value type, or what stands for one in a module or group."""
        if isinstance(encoded, int):
            return VALUE_TYPES[encoded]
        tag, name, *rest = encoded
        if tag == _ABSTRACT:
            return reference_to(name, *rest)
        if tag == _DEFINED:
            return self._defined[name].reference(*rest)
        if tag == _PACKED:
            return _PACKED_TYPES[name]
        return (GroupReference if tag == _IN_GROUP else IndexedReference)(name, *rest)

    def extern(self, encoded: tuple[Any, ...]) -> Any:
        """The type of an extern."""
        tag, first, *rest = encoded
        if tag == _FUNCTION:
            return self._function(first, *rest)
        if tag == _TABLE:
            minimum, maximum, index_type = rest
            return TableType(self.value(first), Limits(minimum, maximum), VALUE_TYPES[index_type])
        if tag == _MEMORY:
            maximum, shared, index_type, page_size = rest
            return MemoryType(Limits(first, maximum), shared, VALUE_TYPES[index_type], page_size)
        if tag == _GLOBAL:
            return GlobalType(self.value(first), *rest)
        if tag == _TAG:
            return TagType(self.extern(first))
        raise ValueError(f"no type of an extern: {encoded!r}")
