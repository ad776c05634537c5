"""A decoded module, after section 2.5 of the specification.

Index spaces hold imports first. Offsets are in bytes from the start of the module, for error messages
and so that function bodies can be read where they lie, in `Module.source`, without a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from farcall.engine.structure.defined_types import CompositeType, DefinedType, IndexedReference
from farcall.engine.structure.elements import (
    ConstantExpression,
    ConstantInstruction,
    DataSegment,
    ElementSegment,
    Export,
    FunctionBody,
    Global,
    Import,
)
from farcall.engine.structure.function_facts import FunctionFacts
from farcall.engine.structure.packed import DataSegments, FunctionBodies
from farcall.engine.structure.types import (
    ExternKind,
    ExternType,
    FunctionType,
    GlobalType,
    MemoryType,
    ReferenceType,
    TableType,
    TagType,
    ValueType,
)

__all__ = [
    "ConstantExpression",
    "ConstantInstruction",
    "CustomSection",
    "DataSegment",
    "ElementSegment",
    "Export",
    "FunctionBody",
    "Global",
    "Import",
    "Module",
    "Names",
    "Offsets",
    "TypeProblem",
]


@dataclass(frozen=True, slots=True)
class CustomSection:
    """A custom section: its content is bytes `start` to `end` of the source."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Names:
    """The name section (appendix, section 7.4.1), as far as it is well-formed; a bad one is no error."""

    module: str | None = None
    functions: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where the definitions stand that have no object of their own; in index order, without imports."""

    types: Sequence[int] = ()
    functions: Sequence[int] = ()
    tables: Sequence[int] = ()
    memories: Sequence[int] = ()
    tags: Sequence[int] = ()
    start: int = 0


@dataclass(frozen=True, slots=True)
class TypeProblem:
    """What decoding finds invalid about a type. Validation says so, once all is known to be well-formed."""

    reason: str
    offset: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Module:
    """A decoded module. Compared by identity; what identifies its content is `digest`.

    Attributes:
        source: the bytes it was decoded from.
        digest: SHA-256 of the source, in lower-case hexadecimal.
        types: what the module's types are made of, by index; `defined_types` has the types themselves.
        type_problem: the first invalid type, if there is one; what stands in its place means nothing.
        functions: the functions that it defines, without imports; `function_types` has all.
        function_types: type index of every function, imports first.
        tables: type of every table, imports first; likewise `memories` and `global_types`.
        table_initializers: of the tables that it defines: what their elements are at first; None where null.
        globals: the globals that it defines, without imports.
        tag_types: type index of every tag, imports first.
        data_count: content of the data count section, if there is one.
        offsets: for error messages.
        exported_names: the first export's name of each function that is exported.
        facts: what validation found out about the functions' code; read them with `binary.function_facts`.
    """

    source: bytes
    digest: str
    types: tuple[CompositeType, ...]
    imports: tuple[Import, ...]
    function_types: tuple[int, ...]
    functions: FunctionBodies
    tables: tuple[TableType, ...]
    memories: tuple[MemoryType, ...]
    global_types: tuple[GlobalType, ...]
    globals: tuple[Global, ...]
    exports: tuple[Export, ...]
    start: int | None
    elements: tuple[ElementSegment, ...]
    data: DataSegments
    data_count: int | None
    custom_sections: tuple[CustomSection, ...]
    names: Names
    offsets: Offsets = Offsets()
    tag_types: tuple[int, ...] = ()
    defined_types: tuple[DefinedType, ...] = ()
    type_problem: TypeProblem | None = None
    table_initializers: tuple[ConstantExpression | None, ...] = ()
    exported_names: Mapping[int, str] = field(init=False, repr=False)
    facts: FunctionFacts = field(init=False, repr=False, default_factory=FunctionFacts)

    def __post_init__(self) -> None:
        """Look the exports' names up once: a trap's backtrace asks for many of them."""
        functions = (export for export in reversed(self.exports) if export.kind is ExternKind.FUNCTION)
        object.__setattr__(self, "exported_names", {export.index: export.name for export in functions})

    @property
    def imported_function_count(self) -> int:
        """How many entries of the function index space are imports."""
        return len(self.function_types) - len(self.functions)

    def imported(self, kind: ExternKind) -> tuple[Import, ...]:
        """The imports of one kind, in index order."""
        return tuple(entry for entry in self.imports if entry.kind is kind)

    def signature(self, type_index: int) -> FunctionType:
        """Type `type_index`, which is a function type."""
        return self.defined_types[type_index].function

    def function_type(self, index: int) -> FunctionType:
        """The type of function `index` (imports first)."""
        return self.signature(self.function_types[index])

    def function_definition(self, index: int) -> DefinedType:
        """The defined type of function `index` (imports first)."""
        return self.defined_types[self.function_types[index]]

    def value_type(self, immediate: ValueType | IndexedReference) -> ValueType:
        """The type that an immediate of an instruction stands for.

        Raises:
            IndexError: the module has no type of that index; never after validation.
        """
        if isinstance(immediate, IndexedReference):
            return self.defined_types[immediate.index].reference(immediate.nullable, immediate.exact)
        return immediate

    def reference_type(self, immediate: ReferenceType | IndexedReference) -> ReferenceType:
        """The same for immediates that are reference types."""
        found = self.value_type(immediate)
        assert isinstance(found, ReferenceType)
        return found

    def tag_type(self, index: int) -> TagType:
        """The type of tag `index` (imports first)."""
        return TagType(self.signature(self.tag_types[index]))

    def tag_definition(self, index: int) -> DefinedType:
        """The defined type of tag `index` (imports first)."""
        return self.defined_types[self.tag_types[index]]

    def tag_name(self, index: int) -> str | None:
        """The name of tag `index`: its first export's, else its import's, else None."""
        for export in self.exports:
            if export.kind is ExternKind.TAG and export.index == index:
                return export.name
        imported = self.imported(ExternKind.TAG)
        return imported[index].name if index < len(imported) else None

    def export_type(self, export: Export) -> ExternType:
        """The type of what `export` names."""
        match export.kind:
            case ExternKind.FUNCTION:
                return self.function_type(export.index)
            case ExternKind.TABLE:
                return self.tables[export.index]
            case ExternKind.MEMORY:
                return self.memories[export.index]
            case ExternKind.GLOBAL:
                return self.global_types[export.index]
            case ExternKind.TAG:
                return self.tag_type(export.index)

    def function_name(self, index: int) -> str | None:
        """The name of function `index` in the name section, else its first export's name, else None."""
        name = self.names.functions.get(index)
        return self.exported_names.get(index) if name is None else name
