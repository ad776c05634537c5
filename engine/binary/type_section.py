"""The type section (section 5.5.4): recursive groups of types (sections 5.3.6 to 5.3.9)."""

from __future__ import annotations

from typing import Any

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import (
    MAXIMUM_FIELDS,
    MAXIMUM_PARAMETERS,
    MAXIMUM_RESULTS,
    MAXIMUM_TYPES,
)
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.types import read_storage_type, read_value_type
from farcall.engine.errors import MalformedModuleError, ModuleLimitError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.defined_types import (
    ArrayType,
    CompositeType,
    DefinedType,
    FieldType,
    GroupReference,
    IndexedReference,
    Shape,
    StructType,
    define_group,
    substitute,
)
from farcall.engine.structure.types import ANYREF, FunctionType

_GROUP = 0x4E
_SUBTYPE, _FINAL_SUBTYPE = 0x50, 0x4F
_FUNCTION, _STRUCT, _ARRAY = 0x60, 0x5F, 0x5E
_DESCRIBES, _DESCRIPTOR = 0x4C, 0x4D


def decode_type_section(reader: Reader, contents: Contents) -> None:
    """Read the types. Equal ones become one object, here and in all modules."""
    functions: dict[FunctionType, DefinedType] = {}
    for _ in range(reader.count("types", MAXIMUM_TYPES)):
        form = _form(reader)
        if form == _FUNCTION:  # nearly always, and often of a type that was there before
            contents.type_offsets.append(reader.position)
            reader.types.append(_read_function(reader, functions))
        else:
            _read_group(reader, contents, form)


def _form(reader: Reader) -> int:
    """Look at the byte that says what comes next."""
    start = reader.position
    form = reader.source[start]
    if form >= 0x80:  # forms are signed integers of 7 bits
        raise MalformedModuleError("integer representation too long: the form of a type has one byte", start)
    return form


def _read_function(reader: Reader, known: dict[FunctionType, DefinedType]) -> DefinedType:
    """Read a function type that is a group by itself; `known` has those that refer to no type of the module."""
    start = reader.position
    _check_room(reader, 1, start)
    composite = _read_composite(reader)
    assert isinstance(composite, FunctionType)
    found = known.get(composite)
    if found is None:
        resolved = substitute(composite, _Resolver(reader, len(reader.types), 1, start))
        found = define_group((Shape(final=True, supertype=None, composite=resolved),))[0]
        if resolved is composite:
            known[composite] = found
    return found


def _check_room(reader: Reader, count: int, start: int) -> None:
    if len(reader.types) + count > MAXIMUM_TYPES:
        raise ModuleLimitError(
            f"{len(reader.types) + count} types, at most {MAXIMUM_TYPES} are possible", start
        )


def _read_group(reader: Reader, contents: Contents, form: int) -> None:
    """Read a recursive group, or a type that is one by itself."""
    start = reader.position
    count = 1
    if form in (_GROUP, _SUBTYPE, _FINAL_SUBTYPE):
        reader.require(Feature.GC, start)
    if form == _GROUP:
        reader.position += 1
        count = reader.count("types", MAXIMUM_TYPES)
    first = len(reader.types)
    _check_room(reader, count, start)
    shapes = []
    for index in range(first, first + count):
        contents.type_offsets.append(reader.position)
        shapes.append(_read_shape(reader, index, first, count))
    reader.types.extend(define_group(tuple(shapes)))


def _read_shape(reader: Reader, index: int, first: int, count: int) -> Shape:
    start = reader.position
    form = _form(reader)
    final = True
    supertype: DefinedType | int | None = None
    if form in (_SUBTYPE, _FINAL_SUBTYPE):
        reader.position += 1
        final = form == _FINAL_SUBTYPE
        supertype = _read_supertype(reader, index, first, start)
    describes = _read_clause(reader, _DESCRIBES)
    if describes is not None and not first <= describes < first + count:
        reader.note_type_problem(f"described type is outside rec group: {describes}", start)
        describes = None
    elif describes is not None and describes >= index:
        reader.note_type_problem(f"forward use of described type: {describes} by type {index}", start)
        describes = None
    descriptor = _read_clause(reader, _DESCRIPTOR)
    if descriptor is not None and not first <= descriptor < first + count:
        reader.note_type_problem(f"descriptor type is outside rec group: {descriptor}", start)
        descriptor = None
    composite = substitute(_read_composite(reader), _Resolver(reader, first, count, start))
    return Shape(final, supertype, composite, _position(describes, first), _position(descriptor, first))


def _read_clause(reader: Reader, clause: int) -> int | None:
    """Read the index of a type after a byte, if that is what comes next."""
    start = reader.position
    if _form(reader) != clause:
        return None
    reader.require(Feature.CUSTOM_DESCRIPTORS, start)
    reader.position += 1
    return reader.u32()


def _position(index: int | None, first: int) -> int | None:
    return None if index is None else index - first


def _read_supertype(reader: Reader, index: int, first: int, start: int) -> DefinedType | int | None:
    """Read what a type is declared a subtype of: a type before it."""
    supertypes = [reader.u32() for _ in range(reader.count("supertypes", MAXIMUM_TYPES))]
    if len(supertypes) > 1:
        reader.note_type_problem(f"a type with {len(supertypes)} supertypes: at most one is possible", start)
    if not supertypes:
        return None
    above = supertypes[0]
    if above >= index:
        reader.note_type_problem(
            f"unknown type {above}: the supertype of type {index}, which stands before it", start
        )
        return None
    return reader.types[above] if above < first else above - first


class _Resolver:
    """Turns references by index into references to types, or to positions in the group that is being read."""

    def __init__(self, reader: Reader, first: int, count: int, offset: int) -> None:
        self._reader = reader
        self._first = first
        self._end = first + count
        self._offset = offset

    def __call__(self, value_type: Any) -> Any:
        if not isinstance(value_type, IndexedReference):
            return value_type
        index = value_type.index
        if index < self._first:
            return self._reader.types[index].reference(value_type.nullable, value_type.exact)
        if index < self._end:
            return GroupReference(index - self._first, value_type.nullable, value_type.exact)
        self._reader.note_type_problem(f"unknown type {index}", self._offset)
        return ANYREF


def _read_composite(reader: Reader) -> CompositeType:
    """Read a function, structure or array type, in which references are by index."""
    start = reader.position
    form = _form(reader)
    reader.position += 1
    if form == _FUNCTION:
        parameters = _read_types(reader, "parameters", MAXIMUM_PARAMETERS)
        results_start = reader.position
        results = _read_types(reader, "results", MAXIMUM_RESULTS)
        if len(results) > 1:
            reader.require(Feature.MULTI_VALUE, results_start)
        return FunctionType(parameters, results)
    if form in (_STRUCT, _ARRAY):
        reader.require(Feature.GC, start)
    if form == _STRUCT:
        return StructType(tuple([_read_field(reader) for _ in range(reader.count("fields", MAXIMUM_FIELDS))]))
    if form == _ARRAY:
        return ArrayType(_read_field(reader))
    raise MalformedModuleError(f"malformed definition type: {form:#04x}", start)


def _read_types(reader: Reader, what: str, limit: int) -> tuple[Any, ...]:
    return tuple([reader.read(read_value_type) for _ in range(reader.count(what, limit))])


def _read_field(reader: Reader) -> FieldType:
    storage: Any = reader.read(read_storage_type)
    start = reader.position
    mutability = reader.byte()
    if mutability > 1:
        raise MalformedModuleError(f"malformed mutability: {mutability:#04x}", start)
    return FieldType(storage, bool(mutability))
