"""The code table: where the code of a module's functions is found, while it is still being compiled.

Each function that the module defines has a *stub* and a *cell*. The cell holds the address of its present code; the
stub jumps there, and so is an address that stays the same: function records, imports and entries have it. Code that
calls a function of its own module reads the cell.

A stub has a second half. Where nothing is compiled yet, the cell holds the address of that half, which says which
function is wanted and goes to the table's *header*, and from there to the runtime, which has it compiled.

Both are the same for a function's tail entry (see `abi.calls`).

Tables are made of *chunks*, so that a stub reaches its cell at one distance, the same for all, on every target.
Position 0 of a chunk is its header.
"""

from __future__ import annotations

STUB_SIZE = 32
"""Of a stub: the ordinary one in its first half, the one of the tail entry in the second."""
CELL_SIZE = 32
"""Of a cell, which is as large, so that the distance is the same for all."""
HALF = 16
"""From what belongs to a function to what belongs to its tail entry, in stub and cell."""

CELL_CODE = 0
CELL_COUNT = 8
"""In a cell: how often the function was entered, and its loops went round, in code that counts."""
CELL_TAIL = HALF

CHUNK_POSITIONS = 1 << 14
CELLS = CHUNK_POSITIONS * STUB_SIZE
"""From a chunk's begin to its cells, and from each stub to its cell: 512 KiB, as AArch64 loads from a MiB at most."""
CHUNK_SIZE = 2 * CELLS
CHUNK_FUNCTIONS = CHUNK_POSITIONS - 1

HEADER_TARGET = 16
"""In a chunk's header: the address of the runtime's code that has a function compiled."""


def place(position: int) -> tuple[int, int]:
    """The chunk of the module's `position`th function, and its position there."""
    chunk, rest = divmod(position, CHUNK_FUNCTIONS)
    return chunk, rest + 1


def cell_offset(position: int) -> int:
    """From a table's begin to the cell of the module's `position`th function."""
    chunk, rest = place(position)
    return chunk * CHUNK_SIZE + CELLS + rest * CELL_SIZE


def stub_offset(position: int) -> int:
    """From a table's begin to its stub."""
    return cell_offset(position) - CELLS
