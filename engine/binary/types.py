"""Types (sections 5.3 and 5.4.1).

Like `binary.leb128`: from bytes and a position to a value and the position after it.
"""

from __future__ import annotations

from farcall.engine.binary.leb128 import read_s33, read_u32
from farcall.engine.errors import MalformedModuleError
from farcall.engine.structure.defined_types import I8, I16, IndexedReference, StorageType
from farcall.engine.structure.types import (
    HEAP_TYPE_CODES,
    NON_NULLABLE_REFERENCE,
    NULLABLE_REFERENCE,
    VALUE_TYPES,
    ReferenceType,
    ValueType,
    reference_to,
)

EncodedType = ValueType | IndexedReference
"""A value type as it is encoded: what refers to a type of the module does so by its index."""

EncodedReference = ReferenceType | IndexedReference

BlockType = ValueType | IndexedReference | int | None
"""A block's type: one result, the index of a function type, or neither parameters nor results."""

_NO_TYPE = 0x40

_EXACT = 0x62
"""Before the index of a type, which then is no signed integer: a heap type without the subtypes."""

_PREFIXES = (NULLABLE_REFERENCE, NON_NULLABLE_REFERENCE)

_PACKED: dict[int, StorageType] = {0x78: I8, 0x77: I16}


def read_value_type(source: bytes, position: int) -> tuple[EncodedType, int]:
    """Read a value type.

    Raises:
        MalformedModuleError: the byte is no value type's.
    """
    code = source[position]
    value = VALUE_TYPES.get(code)
    if value is not None:
        return value, position + 1
    if code in _PREFIXES:
        return _read_reference(source, position + 1, code == NULLABLE_REFERENCE)
    raise _malformed(source, position, "malformed value type")


def read_reference_type(source: bytes, position: int) -> tuple[EncodedReference, int]:
    """Read a reference type; raises like `read_value_type`."""
    code = source[position]
    value = VALUE_TYPES.get(code)
    if isinstance(value, ReferenceType):
        return value, position + 1
    if code in _PREFIXES:
        return _read_reference(source, position + 1, code == NULLABLE_REFERENCE)
    raise _malformed(source, position, "malformed reference type")


def read_heap_type(source: bytes, position: int) -> tuple[EncodedReference, int]:
    """Read a heap type, as the nullable reference to it; raises as above."""
    return _read_reference(source, position, True)


def _read_reference(source: bytes, position: int, nullable: bool) -> tuple[EncodedReference, int]:
    """Read a heap type: a byte, or the index of a type."""
    code = source[position]
    heap = HEAP_TYPE_CODES.get(code)
    if heap is not None:
        return reference_to(heap, nullable), position + 1
    if code == _EXACT:
        index, after = read_u32(source, position + 1)
        return IndexedReference(index, nullable, exact=True), after
    index, after = read_s33(source, position)
    if index >= 0:
        return IndexedReference(index, nullable), after
    raise _malformed(source, position, "malformed reference type")


def read_storage_type(source: bytes, position: int) -> tuple[StorageType | IndexedReference, int]:
    """Read the type of a field: a value type or a packed one; raises like `read_value_type`."""
    code = source[position]
    packed = _PACKED.get(code)
    if packed is not None:
        return packed, position + 1
    if code not in VALUE_TYPES and code not in _PREFIXES:
        raise _malformed(source, position, "malformed storage type")
    return read_value_type(source, position)


def read_value_types(source: bytes, position: int) -> tuple[tuple[EncodedType, ...], int]:
    """Read a vector of value types; raises like `read_value_type`."""
    count, position = read_u32(source, position)
    types = []
    for _ in range(count):  # each takes a byte: a count too high ends with the bytes
        value, position = read_value_type(source, position)
        types.append(value)
    return tuple(types), position


def read_block_type(source: bytes, position: int) -> tuple[BlockType, int]:
    """Read a block type; raises like `read_value_type`."""
    byte = source[position]
    if byte == _NO_TYPE:
        return None, position + 1
    value = VALUE_TYPES.get(byte)
    if value is not None:
        return value, position + 1
    if byte & 0xC0 == _NO_TYPE:  # a negative integer in one byte: the space of type codes
        if byte in _PREFIXES:
            return _read_reference(source, position + 1, byte == NULLABLE_REFERENCE)
        raise _malformed(source, position, "malformed value type")
    index, after = read_s33(source, position)
    if index < 0:
        raise MalformedModuleError("malformed block type: a negative type index", position)
    return index, after


def _malformed(source: bytes, position: int, reason: str) -> MalformedModuleError:
    return MalformedModuleError(f"{reason}: {source[position]:#04x}", position)
