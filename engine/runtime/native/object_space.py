"""The space for the heaps of all linked groups: blocks, handed out one or several in a row."""

from __future__ import annotations

import ctypes
import threading
from bisect import bisect_left

from farcall.engine.abi.objects import BLOCK_SHIFT, BLOCK_SIZE
from farcall.engine.errors import ExhaustionError
from farcall.engine.runtime.native import c_library

_LARGEST_SPACE = 1 << 40
_SMALLEST_SPACE = 1 << 32


class ObjectSpace:
    """One reservation, readable and writable throughout: no guest computes addresses in it.

    Attributes:
        base: where it begins, at a multiple of the block size; `size` its bytes.
        block_table: address of a word (i32) for each block: 1 more than the index of the block at which the cells
            begin that it holds; 0 if it is free.
    """

    def __init__(self) -> None:
        access = c_library.PROT_READ | c_library.PROT_WRITE
        self.size = _LARGEST_SPACE
        while True:
            try:
                start = c_library.map_memory(self.size + BLOCK_SIZE, access)
                break
            except OSError:
                if self.size <= _SMALLEST_SPACE:
                    raise
                self.size //= 2
        self.base = -(-start // BLOCK_SIZE) * BLOCK_SIZE
        count = self.size // BLOCK_SIZE
        self.block_table = c_library.map_memory(count * 4, access)
        self._table = (ctypes.c_uint32 * count).from_address(self.block_table)
        # Reentrant: heaps can be given back by the garbage collector, in the middle of what this guards.
        self._lock = threading.RLock()
        self._fresh = 0  # blocks from here on have never been used; guarded by _lock
        self._starts: list[int] = []  # free runs of blocks below, sorted; guarded by _lock
        self._lengths: list[int] = []  # of these runs; guarded by _lock
        self._count = count

    def acquire(self, count: int) -> int:
        """Take `count` blocks in a row, all zero; the address. Raises ExhaustionError when there are none."""
        with self._lock:
            index = self._take(count)
            if index is None:
                raise ExhaustionError("the address space for objects is used up")
            self._table[index : index + count] = [index + 1] * count
        return self.base + (index << BLOCK_SHIFT)

    def _take(self, count: int) -> int | None:
        for position, length in enumerate(self._lengths):
            if length >= count:
                index = self._starts[position]
                if length == count:
                    del self._starts[position], self._lengths[position]
                else:
                    self._starts[position] += count
                    self._lengths[position] -= count
                return index
        if self._fresh + count > self._count:
            return None
        self._fresh += count
        return self._fresh - count

    def release(self, address: int, count: int) -> None:
        """Give blocks back; what they hold is gone."""
        index = (address - self.base) >> BLOCK_SHIFT
        with self._lock:
            self._table[index : index + count] = [0] * count
            c_library.drop_memory(address, count << BLOCK_SHIFT)
            position = bisect_left(self._starts, index)
            self._starts.insert(position, index)
            self._lengths.insert(position, count)
            self._join(position)
            self._join(position - 1)

    def _join(self, position: int) -> None:
        """Make one of two neighbouring free runs, if the second begins where the first ends."""
        if not 0 <= position < len(self._starts) - 1:
            return
        if self._starts[position] + self._lengths[position] == self._starts[position + 1]:
            self._lengths[position] += self._lengths[position + 1]
            del self._starts[position + 1], self._lengths[position + 1]
