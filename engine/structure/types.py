"""Types, after section 2.3 of the specification.

Value types are interned: two equal types are the same object, so that validation compares with `is`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farcall.engine.structure.defined_types import DefinedType


class ValueType:
    """A number, vector or reference type; compare with `is`.

    Attributes:
        name: the text format's name, for instance `i32` or `funcref`.
        code: its byte in the binary format, or the first of its bytes.
        size: bytes of a value in a memory, global cell or argument slot (references: 8).
        llvm: LLVM's name of the type.
    """

    __slots__ = ("code", "llvm", "name", "size")

    def __init__(self, name: str, code: int, size: int, llvm: str) -> None:
        self.name = name
        self.code = code
        self.size = size
        self.llvm = llvm

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Callable[..., ValueType], tuple[Any, ...]]:
        # A pickle or copy is the type itself: types are compared with `is`, in worker processes too.
        return _value_type, (self.code,)

    @property
    def is_reference(self) -> bool:
        """Whether values are references."""
        return isinstance(self, ReferenceType)

    @property
    def defaultable(self) -> bool:
        """Whether the type has a default value (section 3.2.15): a local of it can be read before it is set."""
        return not isinstance(self, ReferenceType) or self.nullable


class ReferenceType(ValueType):
    """A reference type: nullable or not, to a heap type. `reference_to` gives them.

    Attributes:
        heap: the heap type: the name of an abstract one (`func`, `extern`), or a `DefinedType`.
        nullable: whether null belongs to it.
        exact: whether references to subtypes of the heap type, a `DefinedType` then, are not of the type.
        top: the abstract heap type that is above all of its hierarchy: `any`, `func`, `extern` or `exn`.
    """

    __slots__ = ("__weakref__", "exact", "heap", "nullable", "top")

    def __init__(
        self,
        name: str | None,
        code: int,
        heap: str | DefinedType,
        nullable: bool,
        top: str,
        exact: bool = False,
    ) -> None:
        if name is not None:
            super().__init__(name, code, 8, "ptr")
        else:  # a defined type is not complete yet: see `__getattr__`
            self.code, self.size, self.llvm = code, 8, "ptr"
        self.heap = heap
        self.nullable = nullable
        self.exact = exact
        self.top = top

    def __getattr__(self, attribute: str) -> str:
        # The name of a reference to a defined type is made when it is first asked for.
        if attribute != "name":
            raise AttributeError(attribute)
        heap = f"(exact {self.heap})" if self.exact else str(self.heap)
        self.name = f"(ref {'null ' if self.nullable else ''}{heap})"
        return self.name

    def with_null(self, nullable: bool) -> ReferenceType:
        """The type of references to the same heap type, null being one of them or not."""
        return self if self.nullable is nullable else reference_to(self.heap, nullable, self.exact)

    def __reduce__(self) -> tuple[Callable[..., ValueType], tuple[Any, ...]]:
        return reference_to, (self.heap, self.nullable, self.exact)


I32 = ValueType("i32", 0x7F, 4, "i32")
I64 = ValueType("i64", 0x7E, 8, "i64")
F32 = ValueType("f32", 0x7D, 4, "float")
F64 = ValueType("f64", 0x7C, 8, "double")
V128 = ValueType("v128", 0x7B, 16, "<2 x i64>")

NULLABLE_REFERENCE, NON_NULLABLE_REFERENCE = 0x63, 0x64
"""The first byte of reference types that have no byte of their own; a heap type follows."""

_ABSTRACT: tuple[tuple[str, str, int, str], ...] = (
    ("func", "func", 0x70, "funcref"),
    ("nofunc", "func", 0x73, "nullfuncref"),
    ("extern", "extern", 0x6F, "externref"),
    ("noextern", "extern", 0x72, "nullexternref"),
    ("any", "any", 0x6E, "anyref"),
    ("eq", "any", 0x6D, "eqref"),
    ("i31", "any", 0x6C, "i31ref"),
    ("struct", "any", 0x6B, "structref"),
    ("array", "any", 0x6A, "arrayref"),
    ("none", "any", 0x71, "nullref"),
    ("exn", "exn", 0x69, "exnref"),
    ("noexn", "exn", 0x74, "nullexnref"),
)
"""The abstract heap types: name, top of the hierarchy, byte, and the short name of a nullable reference."""

_ABSTRACT_REFERENCES: dict[tuple[str, bool], ReferenceType] = {}
for _heap, _top, _code, _short in _ABSTRACT:
    _ABSTRACT_REFERENCES[_heap, True] = ReferenceType(_short, _code, _heap, True, _top)
    _ABSTRACT_REFERENCES[_heap, False] = ReferenceType(
        f"(ref {_heap})", NON_NULLABLE_REFERENCE, _heap, False, _top
    )

HEAP_TYPE_CODES: dict[int, str] = {code: heap for heap, _, code, _ in _ABSTRACT}
"""The abstract heap types by their byte."""


def reference_to(heap: str | DefinedType, nullable: bool, exact: bool = False) -> ReferenceType:
    """The reference type to a heap type; always the same object. Only a defined type can be exact."""
    return _ABSTRACT_REFERENCES[heap, nullable] if isinstance(heap, str) else heap.reference(nullable, exact)


FUNCREF = reference_to("func", True)
EXTERNREF = reference_to("extern", True)
ANYREF = reference_to("any", True)
EQREF = reference_to("eq", True)
I31REF = reference_to("i31", True)
STRUCTREF = reference_to("struct", True)
ARRAYREF = reference_to("array", True)
NULLREF = reference_to("none", True)
NULLFUNCREF = reference_to("nofunc", True)
NULLEXTERNREF = reference_to("noextern", True)
EXNREF = reference_to("exn", True)
NULLEXNREF = reference_to("noexn", True)


def refers_to(value_type: ValueType, top: str) -> bool:
    """Whether values are references of the hierarchy below an abstract heap type."""
    return isinstance(value_type, ReferenceType) and value_type.top == top


VALUE_TYPES: dict[int, ValueType] = {
    value_type.code: value_type
    for value_type in (
        *(I32, I64, F32, F64, V128),
        *(reference for (_, nullable), reference in _ABSTRACT_REFERENCES.items() if nullable),
    )
}
"""Every value type that has a byte of its own, by its byte."""


def _value_type(code: int) -> ValueType:
    return VALUE_TYPES[code]


@dataclass(frozen=True, slots=True)
class FunctionType:
    """Parameters and results of a function or block."""

    parameters: tuple[ValueType, ...]
    results: tuple[ValueType, ...]

    def __str__(self) -> str:
        return f"({_names(self.parameters)}) -> ({_names(self.results)})"


def _names(types: tuple[ValueType, ...]) -> str:
    return ", ".join(value_type.name for value_type in types)


@dataclass(frozen=True, slots=True)
class Limits:
    """Size bounds of a memory (in pages) or a table (in elements); no maximum is None."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        return str(self.minimum) if self.maximum is None else f"{self.minimum}..{self.maximum}"


USUAL_PAGE_SIZE = 1 << 16
"""Bytes of a memory's page where its type names no other size."""


@dataclass(frozen=True, slots=True)
class MemoryType:
    """A linear memory's type; `index_type` is I32 or I64, `page_size` is in bytes: 1 or 65536."""

    limits: Limits
    shared: bool = False
    index_type: ValueType = I32
    page_size: int = USUAL_PAGE_SIZE

    def __str__(self) -> str:
        unit = "pages" if self.page_size == USUAL_PAGE_SIZE else "pages of 1 byte"
        shared = " shared" if self.shared else ""
        return f"memory {self.index_type.name} {self.limits} {unit}{shared}"


@dataclass(frozen=True, slots=True)
class TableType:
    """A table's type; `index_type` is I32 or I64."""

    element: ReferenceType
    limits: Limits
    index_type: ValueType = I32

    def __str__(self) -> str:
        index = "i64 " if self.index_type is I64 else ""
        return f"table {index}{self.limits} {self.element.name}"


@dataclass(frozen=True, slots=True)
class GlobalType:
    """A global's type."""

    value: ValueType
    mutable: bool

    def __str__(self) -> str:
        return f"global mut {self.value.name}" if self.mutable else f"global {self.value.name}"


@dataclass(frozen=True, slots=True)
class TagType:
    """A tag's type: the parameters of `type` are the values that its exceptions carry; it has no results."""

    type: FunctionType

    def __str__(self) -> str:
        return f"tag ({_names(self.type.parameters)})"


ExternType = FunctionType | TableType | MemoryType | GlobalType | TagType
"""What can be imported and exported (section 2.3.11)."""


class ExternKind(Enum):
    """Kinds of import and export; the value is the byte of the binary format."""

    FUNCTION = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3
    TAG = 4


def describe(extern: ExternType) -> str:
    """The type in words, for error messages and for `farcall inspect`."""
    return f"function {extern}" if isinstance(extern, FunctionType) else str(extern)
