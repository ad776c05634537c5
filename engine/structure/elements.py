"""The parts that a decoded module is made of, after section 2.5 of the specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from farcall.engine.structure.defined_types import IndexedReference
from farcall.engine.structure.types import ExternKind, ExternType, GlobalType, ReferenceType, ValueType


@dataclass(frozen=True, slots=True)
class ConstantInstruction:
    """One instruction of a constant expression: its name (`i32.const`) and decoded immediates.

    Immediates: i32.const and i64.const hold a signed int; f32.const and f64.const the value's bits as
    an unsigned int; global.get and ref.func an index; ref.null a ReferenceType or IndexedReference.
    """

    name: str
    immediates: tuple[int | ReferenceType | IndexedReference, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class ConstantExpression:
    """A constant expression (section 3.3.13) without its final `end`."""

    instructions: tuple[ConstantInstruction, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Import:
    """An import: two names and what is wanted. For a function or tag, `type_index` is its type's index.

    An `exact` function is of that type and of no subtype.
    """

    module: str
    name: str
    kind: ExternKind
    type: ExternType
    type_index: int | None
    offset: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """An export: a name for entry `index` of the index space of `kind`."""

    name: str
    kind: ExternKind
    index: int
    offset: int


@dataclass(frozen=True, slots=True)
class FunctionBody:
    """A function that the module defines.

    Attributes:
        index: in the function index space (imports included).
        type_index: of its type.
        locals: (count, type) runs of declared locals, without the parameters, as encoded: a run may be huge.
        start: offset of the first instruction.
        end: offset after the final `end`.
    """

    index: int
    type_index: int
    locals: tuple[tuple[int, ValueType], ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Global:
    """A global that the module defines."""

    type: GlobalType
    initializer: ConstantExpression


@dataclass(frozen=True, slots=True)
class ElementSegment:
    """An element segment; `table` and `table_offset` only where active."""

    mode: Literal["active", "passive", "declarative"]
    type: ReferenceType
    initializers: Sequence[ConstantExpression]
    table: int
    table_offset: ConstantExpression | None
    offset: int


@dataclass(frozen=True, slots=True)
class DataSegment:
    """A data segment: bytes `start` to `end` of the source; `memory_offset` only where active."""

    mode: Literal["active", "passive"]
    start: int
    end: int
    memory: int
    memory_offset: ConstantExpression | None
    offset: int
