"""Locating function bodies, as a routine: what `binary.code_section` does, for the bodies that are as usual."""

from __future__ import annotations

from farcall.engine.binary.leb128_routines import POSITION_MASK, VALUE_SHIFT, scan_u32
from farcall.engine.binary.limits import MAXIMUM_BODY_SIZE, MAXIMUM_LOCALS
from farcall.engine.routines import routine, set_u32, u8, u32

BODY_WORDS = 3
"""Words of 32 bits about each body: where its locals begin, its instructions, and where it ends."""


@routine
def locate_bodies(  # noqa: PLR0911
    source: int, size: int, position: int, count: int, parameter_counts: int, types: int, located: int
) -> int:
    """Locate bodies one after the other, up to the first about which Python has to decide.

    Args:
        source: address of the module's bytes.
        size: how many there are.
        position: of the first body's size.
        count: of bodies.
        parameter_counts: address of a word of 32 bits for each: how many parameters it has.
        types: address of 256 bytes: not 0 for the bytes that are a type of locals.
        located: address of `BODY_WORDS` words for each body, to be filled.

    Returns:
        How many bodies were located.
    """
    index = 0
    while index < count:
        scanned = scan_u32(source, position, size)
        if scanned < 0:
            return index
        body_size = scanned >> VALUE_SHIFT
        start = scanned & POSITION_MASK
        if body_size > MAXIMUM_BODY_SIZE or body_size > size - start:
            return index
        end = start + body_size
        scanned = scan_u32(source, start, end)
        if scanned < 0:
            return index
        runs = scanned >> VALUE_SHIFT
        position = scanned & POSITION_MASK
        total = u32(parameter_counts + 4 * index)
        while runs > 0:
            scanned = scan_u32(source, position, end)
            if scanned < 0:
                return index
            total += scanned >> VALUE_SHIFT
            position = scanned & POSITION_MASK
            if position >= end or total > MAXIMUM_LOCALS or u8(types + u8(source + position)) == 0:
                return index
            position += 1
            runs -= 1
        if position >= end or total > MAXIMUM_LOCALS:
            return index
        set_u32(located, start)
        set_u32(located + 4, position)
        set_u32(located + 8, end)
        located += 4 * BODY_WORDS
        position = end
        index += 1
    return index
