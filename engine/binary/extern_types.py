"""Types of tables, memories, globals and tags (sections 5.3.7 to 5.3.11)."""

from __future__ import annotations

from farcall.engine.binary.leb128 import read_u64
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.types import I32, I64, GlobalType, Limits, MemoryType, TableType

_HAS_MAXIMUM = 0x01
_SHARED = 0x02
_64_BIT = 0x04
_PAGE_SIZE = 0x08
_TABLE_FLAGS = _HAS_MAXIMUM | _64_BIT
_MEMORY_FLAGS = _TABLE_FLAGS | _SHARED | _PAGE_SIZE

_LARGEST_PAGE_EXPONENT = 63


def _read_flags(reader: Reader, known: int) -> int:
    start = reader.position
    flags = reader.byte()
    if flags & ~known:
        raise MalformedModuleError(f"malformed limits flags: {flags:#04x}", start)
    if flags & _SHARED:
        reader.require(Feature.THREADS, start)
    if flags & _64_BIT:
        reader.require(Feature.MEMORY64, start)
    return flags


def _read_limits(reader: Reader, flags: int) -> Limits:
    """Read limits. The integers are wider than an i32 index needs: what is too large is invalid, not malformed."""
    minimum = reader.read(read_u64)
    return Limits(minimum, reader.read(read_u64) if flags & _HAS_MAXIMUM else None)


def read_table_type(reader: Reader) -> TableType:
    """Read the type of a table."""
    element = reader.reference_type()
    flags = _read_flags(reader, _TABLE_FLAGS)
    return TableType(element, _read_limits(reader, flags), I64 if flags & _64_BIT else I32)


def read_memory_type(reader: Reader) -> MemoryType:
    """Read the type of a memory. Which page sizes there are is for validation to say."""
    start = reader.position
    flags = _read_flags(reader, _MEMORY_FLAGS)
    index_type, shared = I64 if flags & _64_BIT else I32, bool(flags & _SHARED)
    if not flags & _PAGE_SIZE:
        return MemoryType(_read_limits(reader, flags), shared, index_type)
    try:
        limits = _read_limits(reader, flags)
        page_size = _read_page_size(reader)
    except IndexError:  # what follows is not of this feature: then the flag is none
        raise MalformedModuleError(f"malformed limits flags: {flags:#04x}", start) from None
    reader.require(Feature.CUSTOM_PAGE_SIZES, start)
    return MemoryType(limits, shared, index_type, page_size)


def _read_page_size(reader: Reader) -> int:
    start = reader.position
    exponent = reader.u32()
    if exponent > _LARGEST_PAGE_EXPONENT:
        raise MalformedModuleError(f"invalid custom page size: 2**{exponent} bytes", start)
    return 1 << exponent


def read_global_type(reader: Reader) -> GlobalType:
    """Read the type of a global."""
    value = reader.value_type()
    start = reader.position
    mutability = reader.byte()
    if mutability > 1:
        raise MalformedModuleError(f"malformed mutability: {mutability:#04x}", start)
    return GlobalType(value, bool(mutability))


_EXCEPTION = 0x00


def read_tag_type_index(reader: Reader) -> int:
    """Read the type of a tag: what it is for, of which there is one, and the index of a function type."""
    start = reader.position
    attribute = reader.byte()
    if attribute != _EXCEPTION:
        raise MalformedModuleError(f"malformed tag attribute: {attribute:#04x}", start)
    return reader.u32()
