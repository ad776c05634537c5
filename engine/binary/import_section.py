"""The import section (section 5.5.5)."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.extern_types import (
    read_global_type,
    read_memory_type,
    read_table_type,
    read_tag_type_index,
)
from farcall.engine.binary.limits import MAXIMUM_IMPORTS, MAXIMUM_MEMORIES, MAXIMUM_TABLES
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError, ModuleLimitError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.module import Import
from farcall.engine.structure.types import ExternKind, ExternType, FunctionType, TagType

_EXACT_FUNCTION = 0x20
"""The kind of functions that may not be of a subtype of what they are imported as."""

_UNKNOWN = FunctionType((), ())


def decode_import_section(reader: Reader, contents: Contents) -> None:
    """Read the imports; each is the next entry of its kind's index space."""
    for _ in range(reader.count("imports", MAXIMUM_IMPORTS)):
        start = reader.position
        module = reader.name()
        name = reader.name()
        exact = reader.source[reader.position] == _EXACT_FUNCTION
        kind = _read_exact_function(reader) if exact else read_extern_kind(reader, "import")
        extern, type_index = _read_description(reader, contents, kind)
        contents.imports.append(Import(module, name, kind, extern, type_index, start, exact))


def _read_exact_function(reader: Reader) -> ExternKind:
    reader.require(Feature.CUSTOM_DESCRIPTORS, reader.position)
    reader.position += 1
    return ExternKind.FUNCTION


def read_extern_kind(reader: Reader, what: str) -> ExternKind:
    """Read the kind of an import or export (`what` says of which)."""
    start = reader.position
    code = reader.byte()
    if code == ExternKind.TAG.value:
        reader.require(Feature.EXCEPTION_HANDLING, start)
    try:
        return ExternKind(code)
    except ValueError:
        raise MalformedModuleError(f"malformed {what} kind: {code:#04x}", start) from None


def _function_type(reader: Reader, index: int) -> FunctionType:
    # Validation refuses an index that is too high, or no function type's: not before all proved well-formed.
    composite = reader.types[index].composite if index < len(reader.types) else None
    return composite if isinstance(composite, FunctionType) else _UNKNOWN


def _read_description(reader: Reader, contents: Contents, kind: ExternKind) -> tuple[ExternType, int | None]:
    match kind:
        case ExternKind.FUNCTION:
            index = reader.u32()
            contents.function_types.append(index)
            contents.imported_functions += 1
            return _function_type(reader, index), index
        case ExternKind.TABLE:
            _check_count("tables", contents.tables, MAXIMUM_TABLES, reader.position)
            table = read_table_type(reader)
            contents.tables.append(table)
            return table, None
        case ExternKind.MEMORY:
            _check_count("memories", contents.memories, MAXIMUM_MEMORIES, reader.position)
            memory = read_memory_type(reader)
            contents.memories.append(memory)
            return memory, None
        case ExternKind.GLOBAL:
            start = reader.position
            global_type = read_global_type(reader)
            if global_type.mutable:
                reader.require(Feature.MUTABLE_GLOBALS, start)
            contents.global_types.append(global_type)
            return global_type, None
        case ExternKind.TAG:
            index = read_tag_type_index(reader)
            contents.tag_types.append(index)
            return TagType(_function_type(reader, index)), index


def _check_count(what: str, present: Sequence[object], limit: int, offset: int) -> None:
    if len(present) >= limit:
        raise ModuleLimitError(f"more than {limit} {what}", offset)
