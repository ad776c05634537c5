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

from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import Image
from farcall.engine.errors import Frame
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.code_memory import CodeRegistry, FrameNames, map_from_file
from farcall.engine.runtime.native.profiling import announce

_FIRST_BLOCK = 256 << 10
_LARGEST_BLOCK = 64 << 20


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image that lies in memory: its address, its size in bytes, and its functions, by offset."""

    address: int
    size: int
    functions: FunctionTable

    def read(self) -> Image:
        """The image as it was placed, read back from memory. Whoever calls it keeps the arena."""
        return Image(ctypes.string_at(self.address, self.size), self.functions)

    def symbol_at(self, address: int) -> str | None:
        """The symbol of the function that holds an address from the image's own on."""
        offset = address - self.address
        return None if offset < 0 else self.functions.at(offset)


class _Block:
    """A stretch of memory that images are placed in, from its beginning on."""

    def __init__(self, base: int, size: int, names: FrameNames) -> None:
        """Own a mapping."""
        self.base = base
        self.size = size
        weakref.finalize(self, c_library.unmap_memory, base, size).atexit = False
        self.used = 0
        self._names = names
        self._starts: list[int] = []
        self._images: list[PlacedImage] = []

    def write(self, content: bytes | memoryview) -> int:
        """Place code; its address. There is room for it."""
        place = self.base + self.used
        extent = c_library.round_to_pages(len(content))
        c_library.protect_memory(place, extent, c_library.PROT_READ | c_library.PROT_WRITE)
        memoryview((ctypes.c_char * len(content)).from_address(place)).cast("B")[:] = content
        c_library.flush_instruction_cache(place, len(content))
        c_library.protect_memory(place, extent, c_library.PROT_READ | c_library.PROT_EXECUTE)
        self.used += extent
        return place

    def add(self, image: PlacedImage) -> None:
        """Remember what was placed last."""
        self._images.append(image)  # before the starts, by which it is found
        self._starts.append(image.address)

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in this block."""
        position = bisect.bisect_right(self._starts, address - 1) - 1
        symbol = None if position < 0 else self._images[position].symbol_at(address - 1)
        return None if symbol is None else self._names.frame(symbol)


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

    def place(self, image: Image) -> PlacedImage:
        """Place an image.

        Raises:
            OSError: the system refuses memory.
        """
        table = FunctionTable.of(image.functions)
        if not image.content:
            return PlacedImage(0, 0, table)
        extent = c_library.round_to_pages(len(image.content))
        mapped = map_from_file(image, extent)
        with self._lock:
            if mapped is None:
                block = self._block_for(extent)
                base = block.write(image.content)
            else:
                block, base = self._add_block(mapped, extent), mapped
                block.used = extent
            placed = PlacedImage(base, len(image.content), table)
            block.add(placed)
        announce(base, image.content, table, self._names.profiled_name)
        return placed

    def _block_for(self, extent: int) -> _Block:
        if self._blocks and self._blocks[-1].used + extent <= self._blocks[-1].size:
            return self._blocks[-1]
        last = self._blocks[-1].size if self._blocks else _FIRST_BLOCK // 2
        size = max(min(2 * last, _LARGEST_BLOCK), extent)
        return self._add_block(c_library.map_memory(size, c_library.PROT_NONE), size)

    def _add_block(self, base: int, size: int) -> _Block:
        block = _Block(base, size, self._names)
        self._blocks.append(block)
        self._registry.register(block, block)
        return block
