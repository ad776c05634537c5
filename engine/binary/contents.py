"""What the sections that were read so far contained."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from farcall.engine.binary.body_routines import BODY_WORDS
from farcall.engine.structure.module import (
    ConstantExpression,
    CustomSection,
    ElementSegment,
    Export,
    Global,
    Import,
)
from farcall.engine.structure.packed import DataSegments
from farcall.engine.structure.types import GlobalType, MemoryType, TableType


@dataclass(slots=True)
class Contents:
    """A module in the making: the fields of `structure.module.Module` as lists.

    Attributes:
        imported_functions: how many entries of `function_types` are imports.
        located: of the function bodies, as `structure.packed.FunctionBodies` has it.
        ..._offsets: where the definitions stand, without imports.
    """

    type_offsets: array[int] = field(default_factory=lambda: array("Q"))
    imports: list[Import] = field(default_factory=list)
    function_types: list[int] = field(default_factory=list)
    imported_functions: int = 0
    function_offsets: array[int] = field(default_factory=lambda: array("Q"))
    located: array[int] = field(default_factory=lambda: array("I"))
    tables: list[TableType] = field(default_factory=list)
    table_initializers: list[ConstantExpression | None] = field(default_factory=list)
    table_offsets: list[int] = field(default_factory=list)
    memories: list[MemoryType] = field(default_factory=list)
    memory_offsets: list[int] = field(default_factory=list)
    tag_types: list[int] = field(default_factory=list)
    tag_offsets: list[int] = field(default_factory=list)
    global_types: list[GlobalType] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    start: int | None = None
    start_offset: int = 0
    elements: list[ElementSegment] = field(default_factory=list)
    data: DataSegments = field(default_factory=DataSegments)
    data_count: int | None = None
    custom_sections: list[CustomSection] = field(default_factory=list)

    @property
    def body_count(self) -> int:
        """How many function bodies were located."""
        return len(self.located) // BODY_WORDS
