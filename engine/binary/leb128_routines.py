"""`binary.leb128` as routines: the same integers are accepted, but what is wrong with others is not said.

Positions are counted from `source` and less than 2**31; nothing is read at `end` or behind it. A result less than
0 means that no integer stands there.
"""

from __future__ import annotations

from farcall.engine.routines import routine, u8

VALUE_SHIFT = 31
"""Where the value begins in what `scan_u32` and `scan_type_index` return."""

POSITION_MASK = (1 << VALUE_SHIFT) - 1
"""The position in it, which is after the integer."""


@routine
def scan_u32(source: int, position: int, end: int) -> int:
    """Read an unsigned 32-bit integer; the value above the position after it."""
    if position >= end:
        return -1
    byte = u8(source + position)
    if byte < 0x80:
        return byte << VALUE_SHIFT | position + 1
    value = byte & 0x7F
    shift = 7
    position += 1
    while shift < 32:
        if position >= end:
            return -1
        byte = u8(source + position)
        position += 1
        value |= (byte & 0x7F) << shift
        if value >> 32:
            return -1
        if byte < 0x80:
            return value << VALUE_SHIFT | position
        shift += 7
    return -1


@routine
def scan_u64(source: int, position: int, end: int) -> int:
    """Read an unsigned 64-bit integer: twice the position after it, plus 1 if it takes more than 32 bits."""
    shift = 0
    large = 0
    while shift < 64:
        if position >= end:
            return -1
        byte = u8(source + position)
        position += 1
        low = byte & 0x7F
        if shift == 63 and low > 1:
            return -1
        if (shift == 28 and low >> 4) or (shift > 28 and low):
            large = 1
        if byte < 0x80:
            return position << 1 | large
        shift += 7
    return -1


@routine
def scan_signed(source: int, position: int, end: int, bits: int) -> int:
    """Read a signed integer of at most `bits` bits; the position after it."""
    shift = 0
    while shift < bits:
        if position >= end:
            return -1
        byte = u8(source + position)
        position += 1
        shift += 7
        if shift > bits:
            # The last byte that fits: what lies above the width must repeat the sign.
            above = (byte & 0x7F) >> (bits + 6 - shift)
            if above != 0 and above != (1 << (shift - bits + 1)) - 1:
                return -1
        if byte < 0x80:
            return position
    return -1


@routine
def scan_type_index(source: int, position: int, end: int) -> int:
    """Read a signed 33-bit integer that is not negative; the value above the position after it."""
    after = scan_signed(source, position, end, 33)
    if after < 0:
        return -1
    if u8(source + after - 1) & 0x40:
        return -1  # negative
    value = 0
    shift = 0
    while position < after:
        value |= (u8(source + position) & 0x7F) << shift
        shift += 7
        position += 1
    return value << VALUE_SHIFT | after
