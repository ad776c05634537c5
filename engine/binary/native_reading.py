"""The routines that read large modules, and when they are worth it."""

from __future__ import annotations

import ctypes
from array import array

from farcall.engine.binary.body_routines import BODY_WORDS, locate_bodies
from farcall.engine.binary.vector_routines import locate_data, scan_indices
from farcall.engine.routines import Compiled
from farcall.engine.structure.packed import DataSegments

_READING = Compiled(locate_bodies, scan_indices, locate_data)

MANY = 4_000
"""Entries of a vector from which on it pays to compile the routines first, if that has not been done."""

MANY_ONCE_PREPARED = 32


def is_worth_it(count: int) -> bool:
    """Whether a vector of so many entries is read faster by a routine."""
    return count >= (MANY_ONCE_PREPARED if _READING.is_there else MANY)


def address_of(source: bytes) -> int:
    """Where the bytes lie, which must be kept."""
    return ctypes.cast(ctypes.c_char_p(source), ctypes.c_void_p).value or 0


def read_indices(source: bytes, position: int, count: int) -> tuple[array[int], array[int], int] | None:
    """Read unsigned 32-bit integers: the values, their positions, the position after them; None if one is malformed."""
    if count > len(source) - position:  # each takes a byte
        return None
    values, offsets = array("I", bytes(4 * count)), array("I", bytes(4 * count))
    after = _READING.function(scan_indices)(
        address_of(source), len(source), position, count, values.buffer_info()[0], offsets.buffer_info()[0]
    )
    return None if after < 0 else (values, offsets, after)


def read_bodies(
    source: bytes, position: int, parameter_counts: array[int], types: bytes, located: array[int]
) -> int:
    """Locate bodies, as many as are as usual, and add them to `located`; how many there were.

    Parameters:
        source: the module.
        position: of the first body.
        parameter_counts: of all bodies that there are.
        types: 256 bytes, of which those are not 0 whose index is a type of locals.
        located: as `FunctionBodies.located`.
    """
    count = min(len(parameter_counts), len(source) - position)
    found = array("I", bytes(4 * BODY_WORDS * count))
    done = _READING.function(locate_bodies)(
        address_of(source),
        len(source),
        position,
        count,
        parameter_counts.buffer_info()[0],
        address_of(types),
        found.buffer_info()[0],
    )
    located.extend(found[: BODY_WORDS * done])
    return done


def read_data_segments(source: bytes, position: int, count: int, segments: DataSegments) -> int:
    """Locate data segments, as many as are as usual, and add them to `segments`; how many there were."""
    count = min(count, len(source) - position)
    found = array("I", bytes(4 * DataSegments.WORDS * count))
    done = _READING.function(locate_data)(
        address_of(source), len(source), position, count, found.buffer_info()[0]
    )
    segments.located.extend(found[: DataSegments.WORDS * done])
    return done
