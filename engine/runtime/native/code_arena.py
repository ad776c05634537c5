"""Room for images of one module that come one after the other, while its guests run.

Each image lies on pages of its own, which are written first and made executable afterwards; what comes next to each
other is one mapping for the system, of which it gives a process only so many.
"""

from __future__ import annotations

import bisect
import ctypes
import threading
import weakref
from dataclasses import dataclass

from farcall.engine.codegen.linker import Image
from farcall.engine.errors import Frame
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.code_memory import CodeRegistry, FrameNames
from farcall.engine.runtime.native.profiling import announce

_FIRST_BLOCK = 256 << 10
_LARGEST_BLOCK = 64 << 20


@dataclass(frozen=True, slots=True)
class PlacedFunction:
    """A function of an image that lies in memory: its address, its size in bytes and its symbol."""

    address: int
    size: int
    symbol: str


class _Block:
    """A stretch of memory that images are placed in, from its beginning on."""

    def __init__(self, size: int, names: FrameNames) -> None:
        self.size = size
        self.base = c_library.map_memory(size, c_library.PROT_NONE)
        weakref.finalize(self, c_library.unmap_memory, self.base, size).atexit = False
        self.used = 0
        self._names = names
        self._starts: list[int] = []
        self._functions: list[PlacedFunction] = []

    def write(self, content: bytes) -> int:
        """Place code; its address. There is room for it."""
        place = self.base + self.used
        extent = c_library.round_to_pages(len(content))
        c_library.protect_memory(place, extent, c_library.PROT_READ | c_library.PROT_WRITE)
        ctypes.memmove(place, content, len(content))
        c_library.flush_instruction_cache(place, len(content))
        c_library.protect_memory(place, extent, c_library.PROT_READ | c_library.PROT_EXECUTE)
        self.used += extent
        return place

    def add(self, functions: list[PlacedFunction]) -> None:
        """Remember what was placed last, sorted by address."""
        self._functions += functions  # before the starts, by which they are found
        self._starts += [function.address for function in functions]

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in this block."""
        position = bisect.bisect_right(self._starts, address - 1) - 1
        if position < 0:
            return None
        found = self._functions[position]
        if address - 1 >= found.address + max(found.size, 1):
            return None
        return self._names.frame(found.symbol)


class CodeArena:
    """The code of one module, image after image. It is unmapped when nothing refers to this object any more."""

    def __init__(self, names: FrameNames, registry: CodeRegistry) -> None:
        """Make an arena without any code.

        Parameters:
            names: what the frames of its functions are called in backtraces.
            registry: where backtraces find it.
        """
        self._names = names
        self._registry = registry
        self._lock = threading.Lock()
        self._blocks: list[_Block] = []  # guarded by _lock

    @property
    def size(self) -> int:
        """Bytes of memory that its code takes."""
        with self._lock:
            return sum(block.used for block in self._blocks)

    def place(self, image: Image) -> list[PlacedFunction]:
        """Place an image; its functions, sorted by address.

        Raises:
            OSError: the system refuses memory.
        """
        if not image.content:
            return []
        with self._lock:
            block = self._block_for(c_library.round_to_pages(len(image.content)))
            base = block.write(image.content)
            functions = [
                PlacedFunction(base + offset, size, symbol) for offset, size, symbol in image.functions
            ]
            block.add(functions)
        announce(base, image.content, image.functions, self._names.profiled_name)
        return functions

    def _block_for(self, extent: int) -> _Block:
        if self._blocks and self._blocks[-1].used + extent <= self._blocks[-1].size:
            return self._blocks[-1]
        last = self._blocks[-1].size if self._blocks else _FIRST_BLOCK // 2
        block = _Block(max(min(2 * last, _LARGEST_BLOCK), extent), self._names)
        self._blocks.append(block)
        self._registry.register(block, block)
        return block
