"""Types (sections 5.3 and 5.4.1).

Like `binary.leb128`: from bytes and a position to a value and the position after it.
"""

from __future__ import annotations

from farcall.engine.binary.leb128 import read_s33, read_u32
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.structure.types import VALUE_TYPES, ReferenceType, ValueType

BlockType = ValueType | int | None
"""A block's type: one result, the index of a function type, or neither parameters nor results."""

_NO_TYPE = 0x40

_FEATURE_OF_CODE: dict[int, str] = {
    0x64: "function-references",  # (ref ht)
    0x63: "function-references",  # (ref null ht)
    0x74: "exception-handling",  # nullexnref
    **dict.fromkeys((0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x71, 0x72, 0x73), "gc"),  # arrayref, structref, i31ref...
}
"""Types of later proposals, by their byte."""

_SUPPORTED: dict[int, ValueType] = {
    code: value for code, value in VALUE_TYPES.items() if code not in _FEATURE_OF_CODE
}


def read_value_type(source: bytes, position: int) -> tuple[ValueType, int]:
    """Read a value type.

    Raises:
        MalformedModuleError: the byte is no value type's.
        UnsupportedFeatureError: it is one of a feature that is not there.
    """
    value = _SUPPORTED.get(source[position])
    if value is None:
        raise _refusal(source, position, "malformed value type")
    return value, position + 1


def read_reference_type(source: bytes, position: int) -> tuple[ReferenceType, int]:
    """Read a reference type; raises like `read_value_type`."""
    value = _SUPPORTED.get(source[position])
    if isinstance(value, ReferenceType):
        return value, position + 1
    raise _refusal(source, position, "malformed reference type")


def read_heap_type(source: bytes, position: int) -> tuple[ReferenceType, int]:
    """Read a heap type, the immediate of `ref.null`, as the nullable reference to it; raises as above."""
    value = _SUPPORTED.get(source[position])
    if isinstance(value, ReferenceType):
        return value, position + 1
    index, _ = read_s33(source, position)
    if index >= 0:
        raise UnsupportedFeatureError("function-references", position)
    raise _refusal(source, position, "malformed reference type")


def read_value_types(source: bytes, position: int) -> tuple[tuple[ValueType, ...], int]:
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
    value = _SUPPORTED.get(byte)
    if value is not None:
        return value, position + 1
    if byte & 0xC0 == _NO_TYPE:  # a negative integer in one byte: the space of type codes
        raise _refusal(source, position, "malformed value type")
    index, after = read_s33(source, position)
    if index < 0:
        raise MalformedModuleError("malformed block type: a negative type index", position)
    return index, after


def _refusal(source: bytes, position: int, reason: str) -> MalformedModuleError | UnsupportedFeatureError:
    code = source[position]
    feature = _FEATURE_OF_CODE.get(code)
    if feature is not None:
        return UnsupportedFeatureError(feature, position)
    return MalformedModuleError(f"{reason}: {code:#04x}", position)
