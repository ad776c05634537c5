"""Value types as numbers, and which match which."""

from __future__ import annotations

from array import array
from functools import cache

from farcall.engine.binary.features import gated
from farcall.engine.binary.instructions import ImmediateReader
from farcall.engine.binary.types import read_block_type, read_heap_type, read_value_type
from farcall.engine.errors import ModuleError
from farcall.engine.instructions.instruction import Features
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import (
    F32,
    F64,
    FUNCREF,
    HEAP_TYPE_CODES,
    I32,
    I64,
    V128,
    ReferenceType,
    ValueType,
    reference_to,
)
from farcall.engine.validation.native.layout import TypeId

_NUMBERS: dict[ValueType, int] = {
    I32: TypeId.I32,
    I64: TypeId.I64,
    F32: TypeId.F32,
    F64: TypeId.F64,
    V128: TypeId.V128,
}
for _heap in HEAP_TYPE_CODES.values():
    for _nullable in (True, False):
        _NUMBERS[reference_to(_heap, _nullable)] = TypeId.FIRST_REFERENCE + len(_NUMBERS) - TypeId.V128

if len(set(_NUMBERS.values())) != len(_NUMBERS) or max(_NUMBERS.values()) >= TypeId.FUNCTION:
    raise ValueError("there are not enough numbers for all value types")


def type_number(value: ValueType) -> int:
    """A type's number; that of OTHER, if it has none of its own."""
    return _NUMBERS.get(value, TypeId.OTHER)


def has_number(value: ValueType) -> bool:
    """Whether a type has a number of its own."""
    return value in _NUMBERS


def _mask(found: ValueType) -> int:
    return sum(1 << number for expected, number in _NUMBERS.items() if value_matches(found, expected))


@cache
def matches() -> bytes:
    """For each number a word of 32 bits: whether its type matches that of the number that a bit stands for."""
    masks = array("I", bytes(4 * (TypeId.OTHER + 1)))
    for value, number in _NUMBERS.items():
        masks[number] = _mask(value)
    masks[TypeId.UNKNOWN] = (1 << 32) - 1
    # As any reference to a function of a type that a module defines: it is not null, and above it is `func` alone.
    function = reference_to("func", nullable=False)
    masks[TypeId.FUNCTION] = 1 << _NUMBERS[FUNCREF] | 1 << _NUMBERS[function]
    return masks.tobytes()


@cache
def type_codes(read: ImmediateReader, disabled: Features) -> bytes:
    """What the bytes stand for that are a type by themselves, as `read` has it: numbers, 0 where it is none.

    Parameters:
        read: `read_value_type`, `read_block_type` or `read_heap_type`.
        disabled: features that are switched off; their types are none.
    """
    codes = bytearray(256)
    for code in range(256):
        try:
            value, after = gated(read, disabled)(bytes([code]), 0)
        except (ModuleError, IndexError):
            continue
        if after == 1 and isinstance(value, ValueType) and has_number(value):
            codes[code] = type_number(value)
    return bytes(codes)


@cache
def local_type_codes(disabled: Features) -> bytes:
    """The same for types of locals, which must have a default value."""
    codes = bytearray(type_codes(read_value_type, disabled))
    for value, number in _NUMBERS.items():
        if isinstance(value, ReferenceType) and not value.nullable and number in codes:
            raise ValueError(f"{value} has a byte of its own, and no default value")
    return bytes(codes)


VALUE_TYPE, BLOCK_TYPE, HEAP_TYPE = read_value_type, read_block_type, read_heap_type
