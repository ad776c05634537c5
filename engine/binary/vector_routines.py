"""Long vectors of the binary format, as routines: those whose entries are as usual, up to one that is not."""

from __future__ import annotations

from farcall.engine.binary.leb128_routines import POSITION_MASK, VALUE_SHIFT, scan_signed, scan_u32
from farcall.engine.routines import routine, set_u32, u8

_I32_CONST, _END = 0x41, 0x0B


@routine
def scan_indices(source: int, size: int, position: int, count: int, values: int, offsets: int) -> int:
    """Read unsigned 32-bit integers one after the other.

    Args:
        source: address of the module's bytes.
        size: how many there are.
        position: of the first integer.
        count: of integers.
        values: address of `count` words of 32 bits for the values.
        offsets: likewise for the positions.

    Returns:
        The position after them, or -1 where there is something wrong.
    """
    while count > 0:
        scanned = scan_u32(source, position, size)
        if scanned < 0:
            return -1
        set_u32(values, scanned >> VALUE_SHIFT)
        set_u32(offsets, position)
        position = scanned & POSITION_MASK
        values += 4
        offsets += 4
        count -= 1
    return position


@routine
def locate_data(source: int, size: int, position: int, count: int, located: int) -> int:
    """Locate data segments that are active in memory 0 at an `i32.const`, up to the first that is not.

    Args:
        source: address of the module's bytes.
        size: how many there are.
        position: of the first segment.
        count: of segments.
        located: address of four words of 32 bits for each, as `DataSegments.located` has them.

    Returns:
        How many were located; the next begins where the last one's bytes end.
    """
    index = 0
    while index < count:
        start = position
        if size - position < 2 or u8(source + position) != 0 or u8(source + position + 1) != _I32_CONST:
            return index
        position = scan_signed(source, start + 2, size, 32)
        if position < 0:
            return index
        value = 0
        shift = 0
        place = start + 2
        while place < position:
            value |= (u8(source + place) & 0x7F) << shift
            shift += 7
            place += 1
        if u8(source + position - 1) & 0x40:
            value -= 1 << shift
        if position >= size or u8(source + position) != _END:
            return index
        scanned = scan_u32(source, position + 1, size)
        if scanned < 0:
            return index
        content = scanned & POSITION_MASK
        if scanned >> VALUE_SHIFT > size - content:
            return index
        position = content + (scanned >> VALUE_SHIFT)
        set_u32(located, start)
        set_u32(located + 4, content)
        set_u32(located + 8, position)
        set_u32(located + 12, value)
        located += 16
        index += 1
    return index
