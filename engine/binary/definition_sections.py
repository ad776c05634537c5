"""The function, table, memory, tag and global sections (sections 5.5.6 to 5.5.10)."""

from __future__ import annotations

from farcall.engine.binary.constant_expression import read_constant_expression
from farcall.engine.binary.contents import Contents
from farcall.engine.binary.extern_types import (
    read_global_type,
    read_memory_type,
    read_table_type,
    read_tag_type_index,
)
from farcall.engine.binary.limits import (
    MAXIMUM_FUNCTIONS,
    MAXIMUM_GLOBALS,
    MAXIMUM_MEMORIES,
    MAXIMUM_TABLES,
    MAXIMUM_TAGS,
)
from farcall.engine.binary.native_reading import is_worth_it, read_indices
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.module import Global

_TABLE_WITH_INITIALIZER = 0x40


def decode_function_section(reader: Reader, contents: Contents) -> None:
    """Read the type index of each function."""
    taken = len(contents.function_types)
    count = reader.count("functions", MAXIMUM_FUNCTIONS, taken)
    if is_worth_it(count):
        found = read_indices(reader.source, reader.position, count)
        if found is not None:
            indices, offsets, reader.position = found
            contents.function_types += indices
            contents.function_offsets.extend(offsets.tolist())
            return
    for _ in range(count):
        contents.function_offsets.append(reader.position)
        contents.function_types.append(reader.u32())


def decode_table_section(reader: Reader, contents: Contents) -> None:
    """Read the tables: types, and initial elements where they are given (section 5.5.7)."""
    for _ in range(reader.count("tables", MAXIMUM_TABLES, len(contents.tables))):
        start = reader.position
        initialized = reader.source[start] == _TABLE_WITH_INITIALIZER
        if initialized:
            reader.require(Feature.FUNCTION_REFERENCES, start)
            reader.position += 1
            reserved = reader.byte()
            if reserved != 0:
                raise MalformedModuleError(f"malformed table: {reserved:#04x} before its type", start)
        contents.table_offsets.append(start)
        contents.tables.append(read_table_type(reader))
        contents.table_initializers.append(read_constant_expression(reader) if initialized else None)


def decode_memory_section(reader: Reader, contents: Contents) -> None:
    """Read the memories' types."""
    for _ in range(reader.count("memories", MAXIMUM_MEMORIES, len(contents.memories))):
        contents.memory_offsets.append(reader.position)
        contents.memories.append(read_memory_type(reader))


def decode_tag_section(reader: Reader, contents: Contents) -> None:
    """Read the tags: the type index of each."""
    reader.require(Feature.EXCEPTION_HANDLING, reader.position)
    for _ in range(reader.count("tags", MAXIMUM_TAGS, len(contents.tag_types))):
        contents.tag_offsets.append(reader.position)
        contents.tag_types.append(read_tag_type_index(reader))


def decode_global_section(reader: Reader, contents: Contents) -> None:
    """Read the globals: types and initial values."""
    for _ in range(reader.count("globals", MAXIMUM_GLOBALS, len(contents.global_types))):
        global_type = read_global_type(reader)
        contents.global_types.append(global_type)
        contents.globals.append(Global(global_type, read_constant_expression(reader)))
