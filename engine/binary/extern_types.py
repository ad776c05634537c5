"""Types of tables, memories and globals (sections 5.3.7 to 5.3.10)."""

from __future__ import annotations

from farcall.engine.binary.leb128 import read_u64
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.types import read_reference_type, read_value_type
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.structure.types import GlobalType, Limits, MemoryType, TableType

_HAS_MAXIMUM = 0x01
_SHARED = 0x02
_64_BIT = 0x04
_PAGE_SIZE = 0x08
_FLAGS = _HAS_MAXIMUM | _SHARED | _64_BIT


def read_limits(reader: Reader) -> Limits:
    """Read limits. The integers are wider than 2.0 needs: what is too large is invalid, not malformed."""
    start = reader.position
    flags = reader.byte()
    if flags > _FLAGS:
        raise MalformedModuleError(f"malformed limits flags: {flags:#04x}", start)
    if flags & _SHARED:
        raise UnsupportedFeatureError("threads", start)
    if flags & _64_BIT:
        raise UnsupportedFeatureError("memory64", start)
    minimum = reader.read(read_u64)
    return Limits(minimum, reader.read(read_u64) if flags & _HAS_MAXIMUM else None)


def read_table_type(reader: Reader) -> TableType:
    """Read the type of a table."""
    element = reader.read(read_reference_type)
    return TableType(element, read_limits(reader))


def read_memory_type(reader: Reader) -> MemoryType:
    """Read the type of a memory."""
    start = reader.position
    flags = reader.byte()
    if flags & _PAGE_SIZE and flags <= _PAGE_SIZE | _FLAGS:
        try:
            for _ in range(2 + (flags & _HAS_MAXIMUM)):  # the limits and the page size
                reader.read(read_u64)
        except IndexError:
            raise MalformedModuleError(f"malformed limits flags: {flags:#04x}", start) from None
        raise UnsupportedFeatureError("custom-page-sizes", start)
    reader.position = start
    return MemoryType(read_limits(reader))


def read_global_type(reader: Reader) -> GlobalType:
    """Read the type of a global."""
    value = reader.read(read_value_type)
    start = reader.position
    mutability = reader.byte()
    if mutability > 1:
        raise MalformedModuleError(f"malformed mutability: {mutability:#04x}", start)
    return GlobalType(value, bool(mutability))
