"""Code tables in memory (`abi.code_table`): stubs (`native.stubs`) and their cells; and whose functions they are."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Protocol

from farcall.engine.abi.code_table import (
    CELL_CODE,
    CELL_COUNT,
    CELL_SIZE,
    CELL_TAIL,
    CELLS,
    CHUNK_FUNCTIONS,
    CHUNK_SIZE,
    HALF,
    STUB_SIZE,
    place,
    stub_offset,
)
from farcall.engine.codegen.target import host_target
from farcall.engine.errors import EngineBug
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.function_loops import FunctionLoops
from farcall.engine.runtime.native.stubs import LAZY_HALF, header

_WORDS = CELL_SIZE // 8


class CodeOwner(Protocol):
    """Whose functions a code table has."""

    def need(self, position: int) -> None:
        """A guest calls the function at a position, which had no code a moment ago: give it some, or raise."""


_owners: dict[int, tuple[weakref.ref[CodeOwner], int]] = {}
"""By the address of a chunk: whose it is, and which of the table's it is."""


def _forget(chunks: Sequence[int]) -> None:
    for chunk in chunks:
        _owners.pop(chunk, None)


def compile_now(chunk: int, which: int, _slots: int) -> None:
    """A guest calls what has no code: `which` is twice the position in the chunk, and one more for the tail entry."""
    reference, number = _owners[chunk]
    owner = reference()
    if owner is None:
        raise EngineBug("a guest runs code that is gone")
    owner.need(number * CHUNK_FUNCTIONS + which // 2 - 1)


class CodeTable:
    """A code table. It is unmapped when nothing refers to this object any more.

    Attributes:
        base: its address.
        size: bytes of memory that it takes.
        chunks: the addresses of its chunks, by which the runtime is told whose function is wanted.
    """

    def __init__(self, functions: int, lazy_entry: int, loops: FunctionLoops) -> None:
        """Make the table of so many functions; none has code.

        Parameters:
            lazy_entry: address of the code of that name.
            loops: what writes the stubs.

        Raises:
            OSError: the system refuses memory.
        """
        count = -(-functions // CHUNK_FUNCTIONS)
        extent = count * CHUNK_SIZE
        self.functions = functions
        self.base = c_library.map_memory(max(extent, c_library.PAGE_SIZE), c_library.PROT_NONE)
        weakref.finalize(
            self, c_library.unmap_memory, self.base, max(extent, c_library.PAGE_SIZE)
        ).atexit = False
        self.chunks = tuple(self.base + number * CHUNK_SIZE for number in range(count))
        self.size = 0
        self._cells: list[memoryview[int]] = []
        for number, chunk in enumerate(self.chunks):
            within = min(functions - number * CHUNK_FUNCTIONS, CHUNK_FUNCTIONS)
            self._make_chunk(chunk, within, header(host_target().architecture, lazy_entry), loops)

    def _make_chunk(self, chunk: int, functions: int, header: bytes, loops: FunctionLoops) -> None:
        length = STUB_SIZE * (1 + functions)
        extent = c_library.round_to_pages(length)
        cells = chunk + CELLS
        for part in (chunk, cells):
            c_library.protect_memory(part, extent, c_library.PROT_READ | c_library.PROT_WRITE)
        ctypes.memmove(chunk, header, len(header))
        loops.write_stubs(chunk, functions)
        c_library.flush_instruction_cache(chunk, length)
        c_library.protect_memory(chunk, extent, c_library.PROT_READ | c_library.PROT_EXECUTE)
        self.size += 2 * extent
        words = (ctypes.c_uint64 * (_WORDS * (1 + functions))).from_address(cells)
        self._cells.append(memoryview(words).cast("B").cast("Q"))

    def belongs_to(self, owner: CodeOwner) -> None:
        """Say who is told when what has no code is called; held weakly."""
        reference = weakref.ref(owner)
        for number, chunk in enumerate(self.chunks):
            _owners[chunk] = (reference, number)
        weakref.finalize(self, _forget, self.chunks).atexit = False

    def stub(self, position: int) -> int:
        """The address of the module's `position`th function, which stays the same."""
        return self.base + stub_offset(position)

    def tail_stub(self, position: int) -> int:
        """The address of its tail entry."""
        return self.stub(position) + HALF

    def set(self, position: int, code: int, tail: int) -> None:
        """Give the function code: guests that call it run it from now on.

        Parameters:
            tail: address of the code of its tail entry; 0 where it has none.
        """
        chunk, rest = place(position)
        if tail:
            self.set_tail(position, tail)
        self._cells[chunk][_WORDS * rest + CELL_CODE // 8] = code

    def set_tail(self, position: int, tail: int) -> None:
        """Give its tail entry code."""
        chunk, rest = place(position)
        self._cells[chunk][_WORDS * rest + CELL_TAIL // 8] = tail

    def reset(self, position: int) -> None:
        """Take the function's code away: who calls it next is told of again."""
        lazy = self.stub(position) + LAZY_HALF[host_target().architecture]
        self.set(position, lazy, lazy + HALF)

    def code(self, position: int) -> int:
        """The address of the code that the function has; that of its stub's second half where it has none."""
        chunk, rest = place(position)
        return self._cells[chunk][_WORDS * rest + CELL_CODE // 8]

    def counts(self) -> Sequence[int]:
        """How often each function was entered or went round, in code that counts, by position."""
        counts: list[int] = []
        for words in self._cells:
            counts += words[_WORDS + CELL_COUNT // 8 :: _WORDS].tolist()
        return counts
