"""The types of a function's locals, as a routine."""

from __future__ import annotations

from farcall.engine.binary.leb128_routines import POSITION_MASK, VALUE_SHIFT, scan_u32
from farcall.engine.routines import routine, set_u8, u8
from farcall.engine.validation.native.layout import LOCALS_IN_ANY, MARKS_START, MOST_LOCALS, TypeId


@routine
def expand_locals(
    source: int, position: int, end: int, parameters: int, parameter_count: int, codes: int, scratch: int
) -> int:
    """Write out the type of every local, parameters first, and take away all marks.

    Args:
        source: address of the module's bytes.
        position: where the declared locals stand.
        end: where the function's code ends.
        parameters: address of the parameters' types.
        parameter_count: how many there are.
        codes: address of the numbers of types that locals can have here, by their byte.
        scratch: where the types go.

    Returns:
        How many locals there are, or -1 where Python has to decide.
    """
    # A run of locals takes few bytes: no more is written out than the function's size accounts for.
    most = end - position + LOCALS_IN_ANY
    if most > MOST_LOCALS:  # noqa: PLR1730
        most = MOST_LOCALS
    if parameter_count > most:
        return -1
    total = 0
    while total < parameter_count:
        set_u8(scratch + total, u8(parameters + total))
        total += 1
    scanned = scan_u32(source, position, end)
    if scanned < 0:
        return -1
    runs = scanned >> VALUE_SHIFT
    position = scanned & POSITION_MASK
    while runs > 0:
        scanned = scan_u32(source, position, end)
        if scanned < 0:
            return -1
        run = scanned >> VALUE_SHIFT
        position = scanned & POSITION_MASK
        if position >= end or run > most - total:
            return -1
        number = u8(codes + u8(source + position))
        if number == TypeId.UNKNOWN:
            return -1
        position += 1
        run += total
        while total < run:
            set_u8(scratch + total, number)
            total += 1
        runs -= 1
    marks = scratch + MARKS_START
    marks_end = marks + total
    while marks < marks_end:
        set_u8(marks, 0)
        marks += 1
    return total
