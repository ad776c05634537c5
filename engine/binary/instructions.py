"""Instructions and their immediates (section 5.4), by the rows of the instruction table.

`decode_body` is how every stage after decoding reads code: it yields what stands in the bytes, one
instruction at a time. As in `binary.leb128`, an `IndexError` means that the bytes end too early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from farcall.engine.binary.features import gated, require
from farcall.engine.binary.leb128 import read_s32, read_s64, read_u32, read_u64
from farcall.engine.binary.types import read_block_type, read_heap_type, read_value_types
from farcall.engine.errors import MalformedModuleError
from farcall.engine.instructions.control import BLOCK_RULES, CLOSING_RULES
from farcall.engine.instructions.instruction import NONE_DISABLED, Catch, Features, Immediate, Instruction
from farcall.engine.instructions.table import BY_OPCODE, BY_PREFIX

ImmediateReader = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and a position to the immediate and the position after it."""

Immediates = tuple[Any, ...]
"""An instruction's immediates: `READERS` says what type each has."""

UNEXPECTED_END = "unexpected end of section or function"
"""What is wrong with bytes that end too early."""

_HAS_MEMORY_INDEX = 0x40

_FROM_NULLABLE, _TO_NULLABLE = 0x01, 0x02
_CAST_FLAGS = _FROM_NULLABLE | _TO_NULLABLE


def _read_labels(source: bytes, position: int) -> tuple[tuple[int, ...], int]:
    count, position = read_u32(source, position)
    end = position + count + 1
    if end > len(source):  # each label takes at least a byte
        raise MalformedModuleError(UNEXPECTED_END, len(source))
    one_byte_each = source[position:end]
    if max(one_byte_each) < 0x80:
        return tuple(one_byte_each), end
    labels = []
    for _ in range(count + 1):
        label, position = read_u32(source, position)
        labels.append(label)
    return tuple(labels), position


def _read_memory_access(source: bytes, position: int) -> tuple[tuple[int, int, int], int]:
    start = position
    flags, offset = source[position], source[position + 1]
    if flags < _HAS_MEMORY_INDEX and offset < 0x80:  # nearly always
        return (flags, 0, offset), position + 2
    flags, position = read_u32(source, position)
    if flags >= 0x80:
        raise MalformedModuleError(f"malformed memop flags: {flags:#x}", start)
    memory = 0
    if flags & _HAS_MEMORY_INDEX:
        flags ^= _HAS_MEMORY_INDEX
        memory, position = read_u32(source, position)
    offset, position = read_u64(source, position)
    return (flags, memory, offset), position


_CATCH_ALL = 0x02
_CATCH_REFERENCE = 0x01


def _read_catches(source: bytes, position: int) -> tuple[tuple[Catch, ...], int]:
    count, position = read_u32(source, position)
    catches = []
    for _ in range(count):  # each takes two bytes at least: a count too high ends with the bytes
        kind = source[position]
        if kind > _CATCH_ALL | _CATCH_REFERENCE:
            raise MalformedModuleError(f"malformed catch clause: {kind:#04x}", position)
        position += 1
        tag = None
        if not kind & _CATCH_ALL:
            tag, position = read_u32(source, position)
        label, position = read_u32(source, position)
        catches.append(Catch(tag, label, bool(kind & _CATCH_REFERENCE)))
    return tuple(catches), position


def _read_cast_flags(source: bytes, position: int) -> tuple[tuple[bool, bool], int]:
    flags = source[position]
    if flags > _CAST_FLAGS:
        raise MalformedModuleError(f"malformed cast flags: {flags:#04x}", position)
    return (bool(flags & _FROM_NULLABLE), bool(flags & _TO_NULLABLE)), position + 1


def _read_bits(size: int) -> ImmediateReader:
    def read(source: bytes, position: int) -> tuple[int, int]:
        end = position + size
        if end > len(source):
            raise MalformedModuleError(UNEXPECTED_END, len(source))
        return int.from_bytes(source[position:end], "little"), end

    return read


def _read_lane(source: bytes, position: int) -> tuple[int, int]:
    return source[position], position + 1


def _read_lanes(source: bytes, position: int) -> tuple[tuple[int, ...], int]:
    end = position + 16
    if end > len(source):
        raise MalformedModuleError(UNEXPECTED_END, len(source))
    return tuple(source[position:end]), end


def _read_zero_byte(source: bytes, position: int) -> tuple[int, int]:
    if source[position] != 0:
        raise MalformedModuleError(f"zero byte expected, found {source[position]:#04x}", position)
    return 0, position + 1


READERS: dict[Immediate, ImmediateReader] = {
    Immediate.BLOCK_TYPE: read_block_type,
    Immediate.LABEL: read_u32,
    Immediate.LABELS: _read_labels,
    Immediate.FUNCTION: read_u32,
    Immediate.TYPE: read_u32,
    Immediate.TABLE: read_u32,
    Immediate.LOCAL: read_u32,
    Immediate.GLOBAL: read_u32,
    Immediate.ELEMENT_SEGMENT: read_u32,
    Immediate.DATA_SEGMENT: read_u32,
    Immediate.MEMORY: read_u32,
    Immediate.MEMORY_ACCESS: _read_memory_access,
    Immediate.VALUE_TYPES: read_value_types,
    Immediate.HEAP_TYPE: read_heap_type,
    Immediate.TAG: read_u32,
    Immediate.CATCHES: _read_catches,
    Immediate.FIELD: read_u32,
    Immediate.ARRAY_LENGTH: read_u32,
    Immediate.CAST_FLAGS: _read_cast_flags,
    Immediate.SIGNED_32: read_s32,
    Immediate.SIGNED_64: read_s64,
    Immediate.FLOAT_32: _read_bits(4),
    Immediate.FLOAT_64: _read_bits(8),
    Immediate.VECTOR: _read_bits(16),
    Immediate.LANE: _read_lane,
    Immediate.LANES: _read_lanes,
    Immediate.ZERO_BYTE: _read_zero_byte,
}
"""How each kind of immediate is read, and as what:

BLOCK_TYPE is a value type, the int index of a function type, or None; LABELS a tuple of ints, the default
last; MEMORY_ACCESS (exponent of the alignment, memory index, offset); VALUE_TYPES a tuple of value types;
HEAP_TYPE the nullable reference type to it; CAST_FLAGS whether null belongs to the types of a cast (from, to);
CATCHES a tuple of `Catch`; FLOAT_32, FLOAT_64 and VECTOR the value's bits as an unsigned int, a vector's first lane
lowest; SIGNED_32 and SIGNED_64 a signed int; LANES a tuple of 16 ints; ZERO_BYTE is 0; the others an index or a number.
A value type is a `ValueType`, or an `IndexedReference` where it refers to a type of the module.
"""


def _with_readers(row: Instruction | None) -> tuple[Instruction, tuple[ImmediateReader, ...]] | None:
    return None if row is None else (row, tuple(READERS[immediate] for immediate in row.immediates))


_BY_OPCODE = [_with_readers(row) for row in BY_OPCODE]
_BY_PREFIX = {
    prefix: {opcode: _with_readers(row) for opcode, row in rows.items()} for prefix, rows in BY_PREFIX.items()
}

_ONE_INDEX: tuple[Immediates, ...] = tuple((index,) for index in range(0x80))


def _simple(row: Instruction | None) -> tuple[Instruction, bool] | None:
    """A row that has no immediate, or only one that is read by `read_u32`, and whether it has that."""
    readers = () if row is None else tuple(READERS[immediate] for immediate in row.immediates)
    return None if row is None or readers not in ((), (read_u32,)) else (row, bool(readers))


_SIMPLE = [_simple(row) for row in BY_OPCODE]


def read_instruction(source: bytes, position: int) -> tuple[Instruction, Immediates, int]:
    """Read one instruction: its row, its immediates, and the position after it.

    Raises:
        MalformedModuleError: no instruction has the opcode, or an immediate is malformed.
        IndexError: the bytes end inside of it.
    """
    entry = _BY_OPCODE[source[position]]
    if entry is None:
        row, position = read_prefixed_opcode(source, position)
        entry = _BY_PREFIX[row.prefix or 0][row.opcode]
        assert entry is not None
    else:
        position += 1
    row, readers = entry
    if not readers:
        return row, (), position
    if len(readers) == 1:
        value, position = readers[0](source, position)
        return row, (value,), position
    values = []
    for read in readers:
        value, position = read(source, position)
        values.append(value)
    return row, tuple(values), position


def read_prefixed_opcode(source: bytes, position: int) -> tuple[Instruction, int]:
    """Read an opcode that has no row among the one-byte ones; raises like `read_instruction`."""
    prefix = source[position]
    group = BY_PREFIX.get(prefix)
    if group is None:
        raise MalformedModuleError(f"illegal opcode {prefix:02x}", position)
    opcode, after = read_u32(source, position + 1)
    row = group.get(opcode)
    if row is not None:
        return row, after
    raise MalformedModuleError(f"illegal opcode {prefix:02x} {opcode:02x}", position)


@cache
def gated_instructions(disabled: Features) -> Callable[[bytes, int], tuple[Instruction, Immediates, int]]:
    """`read_instruction`, but for the disabled features, whose use it refuses with UnsupportedFeatureError."""
    if not disabled:
        return read_instruction

    def read(source: bytes, position: int) -> tuple[Instruction, Immediates, int]:
        row, immediates, after = read_instruction(source, position)
        require(row.feature, disabled, position)
        require(row.also, disabled, position)
        place = position + 1 if row.prefix is None else read_u32(source, position + 1)[1]
        for immediate in row.immediates:
            _, place = gated(READERS[immediate], disabled)(source, place)
        return row, immediates, after

    return read


def decode_body(source: bytes, start: int, end: int) -> Iterator[tuple[Instruction, Immediates, int]]:
    """Iterate over the instructions between two positions, the final `end` included.

    Yields:
        The row, the immediates (see `READERS`) and the position of the opcode. The instruction ends where the
        next one begins.

    Raises:
        As `read_instruction` does; never on a body that was validated.
    """
    position = start
    while position < end:
        offset = position
        # Nearly all instructions have no immediate, or an index of one byte; of which there is one object each.
        entry = _SIMPLE[source[position]]
        if entry is None:
            row, immediates, position = read_instruction(source, position)
        else:
            row, has_index = entry
            if not has_index:
                immediates = ()
                position += 1
            elif (index := source[position + 1]) < 0x80:
                immediates = _ONE_INDEX[index]
                position += 2
            else:
                row, immediates, position = read_instruction(source, position)
        yield row, immediates, offset


_MAY_FOLLOW: dict[str | None, frozenset[str | None]] = {
    "else": frozenset({"if"}),
    "catch": frozenset({"try", "catch"}),
    "catch_all": frozenset({"try", "catch"}),
    "delegate": frozenset({"try"}),
}
"""The parts of blocks that an instruction may end, by their rules, where that is not any."""


def read_expression(
    source: bytes, start: int, disabled: Features = NONE_DISABLED
) -> Iterator[tuple[Instruction, Immediates, int]]:
    """Iterate over an expression (section 5.4.9): like `decode_body`, but up to the `end` that matches.

    Raises:
        MalformedModuleError: as `read_instruction` does, and for an `else` outside of an `if`, and its like.
        UnsupportedFeatureError: for the disabled features.
        IndexError: the bytes end before the `end`.
    """
    read = gated_instructions(disabled)
    position = start
    open_blocks: list[str | None] = []  # the rules that opened them, or that began the part of them
    while True:
        offset = position
        row, immediates, position = read(source, position)
        yield row, immediates, offset
        rule = row.rule
        if rule in BLOCK_RULES:
            open_blocks.append(rule)
        elif rule in _MAY_FOLLOW:
            if not open_blocks or open_blocks[-1] not in _MAY_FOLLOW[rule]:
                home = "an if" if rule == "else" else "a try"
                raise MalformedModuleError(f"END opcode expected, found {row.name} outside of {home}", offset)
            open_blocks[-1] = rule
            if rule in CLOSING_RULES:
                open_blocks.pop()
        elif rule in CLOSING_RULES:
            if not open_blocks:
                return
            open_blocks.pop()
