"""Types that modules define: functions, structures and arrays, in recursive groups (sections 2.3.8 to 2.3.12).

Types are iso-recursive: two are the same if their groups are equal, what refers into the group being compared by its
position there. Here equal groups become one object, in the whole process, so that types of different modules are
compared with `is` too.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from farcall.engine.structure.types import (
    I32,
    NON_NULLABLE_REFERENCE,
    NULLABLE_REFERENCE,
    FunctionType,
    ReferenceType,
    ValueType,
)


@dataclass(frozen=True, slots=True)
class PackedType:
    """A type that only fields have; `size` in bytes.

    Attributes:
        name: the text format's name.
        size: bytes of a field.
        llvm: LLVM's name of the type.
    """

    name: str
    size: int
    llvm: str


I8 = PackedType("i8", 1, "i8")
I16 = PackedType("i16", 2, "i16")

StorageType = ValueType | PackedType
"""What a field holds."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a structure, or the elements of an array."""

    storage: StorageType
    mutable: bool

    @property
    def unpacked(self) -> ValueType:
        """The type of the field's value on the operand stack."""
        return I32 if isinstance(self.storage, PackedType) else self.storage

    def __str__(self) -> str:
        return f"(mut {self.storage.name})" if self.mutable else self.storage.name


@dataclass(frozen=True, slots=True)
class StructType:
    """A structure's fields."""

    fields: tuple[FieldType, ...]

    def __str__(self) -> str:
        return f"(struct{''.join(f' {field}' for field in self.fields)})"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An array's elements."""

    element: FieldType

    def __str__(self) -> str:
        return f"(array {self.element})"


CompositeType = FunctionType | StructType | ArrayType

Kind = Literal["func", "struct", "array"]
"""What a defined type is: also the name of the abstract heap type just above it."""

_KINDS: dict[type, Kind] = {FunctionType: "func", StructType: "struct", ArrayType: "array"}


@dataclass(frozen=True, slots=True)
class IndexedReference:
    """In a module's bytes: a reference type to the type of an index. `Module.value_type` says which that is."""

    index: int
    nullable: bool
    exact: bool = False


@dataclass(frozen=True, slots=True)
class GroupReference:
    """In a `Shape`: a reference type to the type at a position of the same recursive group."""

    position: int
    nullable: bool
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of a recursive group as it is written, before it has an identity.

    Attributes:
        final: whether it can have no subtypes.
        supertype: a type of another group, the position of one before it in its own group, or None.
        composite: in which a reference into the group is a `GroupReference` in place of a `ReferenceType`.
        describes: the position of the type that it is the descriptor of.
        descriptor: the position of the type of its descriptors.
    """

    final: bool
    supertype: DefinedType | int | None
    composite: CompositeType
    describes: int | None = None
    descriptor: int | None = None


class DefinedType:
    """A type that a module defines; compare with `is`.

    Attributes:
        group: the recursive group that it is of.
        position: its place there.
        final: whether it can have no subtypes.
        supertype: the type that it is declared a subtype of.
        depth: how many types are above it.
        kind: what it is.
        composite: what it is made of.
        describes: of a descriptor's type: the type of what it describes, which is of the same group.
        descriptor: the type of the descriptors of structures of it, which is of the same group.
    """

    __slots__ = (
        "__weakref__",
        "_exact",
        "_non_nullable",
        "_nullable",
        "_nullable_exact",
        "composite",
        "depth",
        "describes",
        "descriptor",
        "final",
        "group",
        "kind",
        "position",
        "supertype",
    )

    composite: CompositeType
    depth: int

    def __init__(
        self, group: RecursiveGroup, position: int, shape: Shape, supertype: DefinedType | None
    ) -> None:
        self.group = group
        self.position = position
        self.final = shape.final
        self.supertype = supertype
        self.depth = 0 if supertype is None else supertype.depth + 1
        self.kind = _KINDS[type(shape.composite)]
        self._nullable: ReferenceType | None = None
        self._non_nullable: ReferenceType | None = None
        self._nullable_exact: ReferenceType | None = None
        self._exact: ReferenceType | None = None
        self.describes: DefinedType | None = None
        self.descriptor: DefinedType | None = None

    def reference(self, nullable: bool, exact: bool = False) -> ReferenceType:
        """The type of references to it, and if not `exact`, to its subtypes."""
        if exact:
            return self._exact_reference(nullable)
        found = self._nullable if nullable else self._non_nullable
        if found is None:
            found = self._make_reference(nullable, exact=False)
            if nullable:
                self._nullable = found
            else:
                self._non_nullable = found
        return found

    def _exact_reference(self, nullable: bool) -> ReferenceType:
        found = self._nullable_exact if nullable else self._exact
        if found is None:
            found = self._make_reference(nullable, exact=True)
            if nullable:
                self._nullable_exact = found
            else:
                self._exact = found
        return found

    def _make_reference(self, nullable: bool, exact: bool) -> ReferenceType:
        code = NULLABLE_REFERENCE if nullable else NON_NULLABLE_REFERENCE
        return ReferenceType(None, code, self, nullable, "func" if self.kind == "func" else "any", exact)

    @property
    def function(self) -> FunctionType:
        """What it is made of, where it is a function type."""
        assert isinstance(self.composite, FunctionType)
        return self.composite

    @property
    def struct(self) -> StructType:
        """What it is made of, where it is a structure type."""
        assert isinstance(self.composite, StructType)
        return self.composite

    @property
    def array(self) -> ArrayType:
        """What it is made of, where it is an array type."""
        assert isinstance(self.composite, ArrayType)
        return self.composite

    def is_subtype_of(self, other: DefinedType) -> bool:
        """Whether it is `other`, or declared below it."""
        ancestor: DefinedType | None = self
        while ancestor is not None and ancestor.depth > other.depth:
            ancestor = ancestor.supertype
        return ancestor is other

    def __str__(self) -> str:
        return f"{self.kind} {_outline(self.composite)}".rstrip()

    def __repr__(self) -> str:
        return f"<{self}>"

    def __reduce__(self) -> tuple[Callable[..., DefinedType], tuple[Any, ...]]:
        return _member, (self.group.shapes, self.position)


def _outline(composite: CompositeType) -> str:
    """The types in a composite type, without what those refer to: types are graphs, not trees."""
    match composite:
        case FunctionType():
            parameters, results = map(_outlines, (composite.parameters, composite.results))
            return f"({parameters}) -> ({results})"
        case StructType():
            return f"{{{_outlines(composite.fields)}}}"
        case ArrayType():
            return f"[{_outlines((composite.element,))}]"


_MOST_OUTLINED = 8


def _outlines(types: tuple[ValueType | FieldType, ...]) -> str:
    names = []
    for each in types[:_MOST_OUTLINED]:
        storage = each.storage if isinstance(each, FieldType) else each
        name = storage.name if not isinstance(storage, ReferenceType) else _reference_outline(storage)
        names.append(f"mut {name}" if isinstance(each, FieldType) and each.mutable else name)
    if len(types) > _MOST_OUTLINED:
        names.append("...")
    return ", ".join(names)


def _reference_outline(reference: ReferenceType) -> str:
    if isinstance(reference.heap, str):
        return reference.name
    outline = f"{reference.heap.kind} ..."
    heap = f"(exact {outline})" if reference.exact else outline
    return f"(ref {'null ' if reference.nullable else ''}{heap})"


class RecursiveGroup:
    """Types that may refer to each other.

    Attributes:
        shapes: as they are written.
        members: the types.
    """

    __slots__ = ("__weakref__", "members", "shapes")

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.shapes = shapes
        members: list[DefinedType] = []
        for position, shape in enumerate(shapes):
            above = shape.supertype
            supertype = members[above] if isinstance(above, int) else above
            members.append(DefinedType(self, position, shape, supertype))
        self.members = tuple(members)
        for member, shape in zip(members, shapes, strict=True):
            member.composite = substitute(shape.composite, self._resolve)
            member.describes = None if shape.describes is None else members[shape.describes]
            member.descriptor = None if shape.descriptor is None else members[shape.descriptor]

    def _resolve(self, value_type: Any) -> Any:
        if isinstance(value_type, GroupReference):
            return self.members[value_type.position].reference(value_type.nullable, value_type.exact)
        return value_type


def substitute(composite: CompositeType, replace: Callable[[Any], Any]) -> CompositeType:
    """A composite type with its value types replaced; the same object where none changes."""
    match composite:
        case FunctionType():
            parameters = tuple([replace(each) for each in composite.parameters])
            results = tuple([replace(each) for each in composite.results])
            if parameters == composite.parameters and results == composite.results:
                return composite
            return FunctionType(parameters, results)
        case StructType():
            fields = tuple([_substitute_field(field, replace) for field in composite.fields])
            return composite if fields == composite.fields else StructType(fields)
        case ArrayType():
            element = _substitute_field(composite.element, replace)
            return composite if element == composite.element else ArrayType(element)


def _substitute_field(field: FieldType, replace: Callable[[Any], Any]) -> FieldType:
    storage = replace(field.storage)
    return field if storage is field.storage else FieldType(storage, field.mutable)


# Reentrant: the garbage collector may run whatever it likes in the middle of what this guards.
_lock = threading.RLock()
_groups: weakref.WeakValueDictionary[tuple[Shape, ...], RecursiveGroup] = weakref.WeakValueDictionary()


def define_group(shapes: tuple[Shape, ...]) -> tuple[DefinedType, ...]:
    """The types of a recursive group; equal groups give the same types."""
    with _lock:
        group = _groups.get(shapes)
        if group is None:
            group = _groups[shapes] = RecursiveGroup(shapes)
        return group.members


def _member(shapes: tuple[Shape, ...], position: int) -> DefinedType:
    return define_group(shapes)[position]


def define_function(function_type: FunctionType) -> DefinedType:
    """The defined type of a function type that stands alone: final, without a supertype."""
    return define_group((Shape(final=True, supertype=None, composite=function_type),))[0]
