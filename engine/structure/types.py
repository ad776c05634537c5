"""Types, after section 2.3 of the specification.

Value types are interned: two equal types are the same object, so that validation compares with `is`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class ValueType:
    """A number, vector or reference type; compare with `is`.

    Attributes:
        name: the text format's name, for instance `i32` or `funcref`.
        code: its byte in the binary format.
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

    def __reduce__(self) -> tuple[Callable[[int], ValueType], tuple[int]]:
        # A pickle or copy is the type itself: types are compared with `is`, in worker processes too.
        return _value_type, (self.code,)

    @property
    def is_reference(self) -> bool:
        """Whether values are references."""
        return isinstance(self, ReferenceType)


class ReferenceType(ValueType):
    """A reference type: nullable or not, to a heap type.

    Attributes:
        heap: the heap type's name (`func`, `extern`, `exn`).
        nullable: whether null belongs to it.
    """

    __slots__ = ("heap", "nullable")

    def __init__(self, name: str, code: int, heap: str, nullable: bool) -> None:
        super().__init__(name, code, 8, "ptr")
        self.heap = heap
        self.nullable = nullable


I32 = ValueType("i32", 0x7F, 4, "i32")
I64 = ValueType("i64", 0x7E, 8, "i64")
F32 = ValueType("f32", 0x7D, 4, "float")
F64 = ValueType("f64", 0x7C, 8, "double")
V128 = ValueType("v128", 0x7B, 16, "<2 x i64>")
FUNCREF = ReferenceType("funcref", 0x70, "func", True)
EXTERNREF = ReferenceType("externref", 0x6F, "extern", True)
EXNREF = ReferenceType("exnref", 0x69, "exn", True)

VALUE_TYPES: dict[int, ValueType] = {
    value_type.code: value_type for value_type in (I32, I64, F32, F64, V128, FUNCREF, EXTERNREF, EXNREF)
}
"""Every value type by its byte."""


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
