"""Instructions as the text format writes them (specification, section 6.5), with indices for names."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any

from farcall.engine.binary.instructions import Immediates
from farcall.engine.instructions.instruction import Catch, Immediate, Instruction
from farcall.engine.structure.defined_types import IndexedReference
from farcall.engine.structure.types import ReferenceType, ValueType

Text = Callable[[Any], str]
"""From an immediate, as `binary.instructions.READERS` reads it, to its text; empty where nothing is written."""


def _number(value: int) -> str:
    return str(value)


def _numbers(values: Iterable[int]) -> str:
    return " ".join(map(str, values))


def _unless_zero(index: int) -> str:
    return str(index) if index else ""


def type_text(value_type: ValueType | IndexedReference) -> str:
    """A value type of the module's bytes."""
    if not isinstance(value_type, IndexedReference):
        return value_type.name
    return _reference_text(value_type, value_type.nullable)


def _reference_text(reference: ReferenceType | IndexedReference, nullable: bool) -> str:
    return f"(ref {'null ' if nullable else ''}{heap_text(reference)})"


def heap_text(reference: ReferenceType | IndexedReference) -> str:
    """The heap type that a reference type refers to."""
    if isinstance(reference, IndexedReference):
        return f"(exact {reference.index})" if reference.exact else str(reference.index)
    return str(reference.heap)


def _block_type(block_type: ValueType | IndexedReference | int | None) -> str:
    if block_type is None:
        return ""
    return f"(type {block_type})" if isinstance(block_type, int) else f"(result {type_text(block_type)})"


def _value_types(value_types: Iterable[ValueType | IndexedReference]) -> str:
    return f"(result {' '.join(map(type_text, value_types))})"


def _catch(catch: Catch) -> str:
    name = ("catch" if catch.tag is not None else "catch_all") + ("_ref" if catch.reference else "")
    return f"({name}{'' if catch.tag is None else f' {catch.tag}'} {catch.label})"


def _catches(catches: Iterable[Catch]) -> str:
    return " ".join(map(_catch, catches))


def _float_text(mantissa_bits: int, exponent_bits: int, float_format: str) -> Text:
    """Of a float's bits: the shortest decimal number that has them; NaN with its payload, unless that is usual."""
    payload_mask = (1 << mantissa_bits) - 1

    def text(bits: int) -> str:
        sign = "-" if bits >> (mantissa_bits + exponent_bits) else ""
        magnitude = bits & ((1 << mantissa_bits + exponent_bits) - 1)
        payload = magnitude & payload_mask
        if magnitude >> mantissa_bits == (1 << exponent_bits) - 1:
            if not payload:
                return f"{sign}inf"
            return f"{sign}nan" if payload == 1 << mantissa_bits - 1 else f"{sign}nan:{payload:#x}"
        size = struct.calcsize(float_format)
        value: float = struct.unpack(float_format, magnitude.to_bytes(size, "little"))[0]
        for digits in range(1, 18):
            shortest = f"{value:.{digits}g}"
            if _packs_to(float_format, float(shortest), magnitude):
                return sign + (repr(value) if size == 8 else shortest)
        raise AssertionError("17 digits tell all floats apart")

    return text


def _packs_to(float_format: str, value: float, bits: int) -> bool:
    try:
        return int.from_bytes(struct.pack(float_format, value), "little") == bits
    except OverflowError:  # rounded up to more than the type has
        return math.isinf(value)


def _vector(bits: int) -> str:
    return "i32x4 " + " ".join(f"{bits >> 32 * lane & 0xFFFF_FFFF:#010x}" for lane in range(4))


def _nothing(_: Any) -> str:
    return ""


TEXTS: dict[Immediate, Text] = {
    Immediate.BLOCK_TYPE: _block_type,
    Immediate.LABEL: _number,
    Immediate.LABELS: _numbers,
    Immediate.FUNCTION: _number,
    Immediate.TYPE: _number,
    Immediate.TABLE: _unless_zero,
    Immediate.LOCAL: _number,
    Immediate.GLOBAL: _number,
    Immediate.ELEMENT_SEGMENT: _number,
    Immediate.DATA_SEGMENT: _number,
    Immediate.MEMORY: _unless_zero,
    Immediate.MEMORY_ACCESS: _nothing,  # by `_memory_access`, which knows the natural alignment
    Immediate.VALUE_TYPES: _value_types,
    Immediate.HEAP_TYPE: heap_text,
    Immediate.TAG: _number,
    Immediate.CATCHES: _catches,
    Immediate.FIELD: _number,
    Immediate.ARRAY_LENGTH: _number,
    Immediate.CAST_FLAGS: _nothing,  # by `_branch_on_cast`
    Immediate.SIGNED_32: _number,
    Immediate.SIGNED_64: _number,
    Immediate.FLOAT_32: _float_text(23, 8, "<f"),
    Immediate.FLOAT_64: _float_text(52, 11, "<d"),
    Immediate.VECTOR: _vector,
    Immediate.LANE: _number,
    Immediate.LANES: _numbers,
    Immediate.ZERO_BYTE: _nothing,
}
"""How each kind of immediate is written where it stands by itself."""


def _memory_access(row: Instruction, immediates: Immediates) -> list[str]:
    (exponent, memory, offset), *lane = immediates
    assert row.access is not None
    return [
        _unless_zero(memory),
        f"offset={offset}" if offset else "",
        f"align={1 << exponent}" if 1 << exponent != row.access.size else "",
        *map(str, lane),
    ]


def _call_indirect(_: Instruction, immediates: Immediates) -> list[str]:
    type_index, table = immediates
    return [_unless_zero(table), f"(type {type_index})"]


def _container_first(_: Instruction, immediates: Immediates) -> list[str]:
    """`memory.init` and `table.init`: the segment goes first in bytes, last in text."""
    segment, container = immediates
    return [_unless_zero(container), str(segment)]


def _both_or_none(_: Instruction, immediates: Immediates) -> list[str]:
    """`memory.copy` and `table.copy`: the target, then the source."""
    return list(map(str, immediates)) if any(immediates) else []


def _cast(row: Instruction, immediates: Immediates) -> list[str]:
    return [_reference_text(immediates[0], row.name.endswith(" null"))]


def _branch_on_cast(_: Instruction, immediates: Immediates) -> list[str]:
    nullable, label, source, target = immediates
    return [str(label), _reference_text(source, nullable[0]), _reference_text(target, nullable[1])]


_IN_THEIR_WAY: dict[tuple[Immediate, ...], Callable[[Instruction, Immediates], list[str]]] = {
    (Immediate.MEMORY_ACCESS,): _memory_access,
    (Immediate.MEMORY_ACCESS, Immediate.LANE): _memory_access,
    (Immediate.TYPE, Immediate.TABLE): _call_indirect,
    (Immediate.DATA_SEGMENT, Immediate.MEMORY): _container_first,
    (Immediate.ELEMENT_SEGMENT, Immediate.TABLE): _container_first,
    (Immediate.MEMORY, Immediate.MEMORY): _both_or_none,
    (Immediate.TABLE, Immediate.TABLE): _both_or_none,
    (Immediate.CAST_FLAGS, Immediate.LABEL, Immediate.HEAP_TYPE, Immediate.HEAP_TYPE): _branch_on_cast,
}
"""Immediates whose text is not that of each, in order."""

_CASTS = frozenset({"ref_test", "ref_test_null", "ref_cast", "ref_cast_null"}) | {
    "ref_cast_desc_eq",
    "ref_cast_desc_eq_null",
}
"""Rules of instructions that name a reference type by its heap type: whether it is nullable, the opcode says."""


def instruction_text(row: Instruction, immediates: Immediates) -> str:
    """An instruction, as `binary.instructions` reads it, in the text format."""
    in_its_way = _cast if row.rule in _CASTS else _IN_THEIR_WAY.get(row.immediates)
    if in_its_way is not None:
        parts = in_its_way(row, immediates)
    else:
        parts = [TEXTS[kind](value) for kind, value in zip(row.immediates, immediates, strict=True)]
    # Rows of variants that the text format tells apart by their immediates have a second word in their names.
    return " ".join(part for part in (row.name.partition(" ")[0], *parts) if part)
