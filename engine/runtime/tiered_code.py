"""Code that is compiled when it is first called, and replaced by better code while guests run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from farcall.engine.abi import layout
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import Image, join
from farcall.engine.errors import EngineBug
from farcall.engine.runtime.compiled_module import CompiledCode, ModuleFrames, record_word
from farcall.engine.runtime.native.code_arena import CodeArena, PlacedImage
from farcall.engine.runtime.native.code_table import CodeTable
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.structure.module import Module

FirstCall = Callable[["TieredCode", int], None]
"""(code, function index): give the function code, by `TieredCode.install`. What it raises, the guest's caller gets."""

NOT_COMPILED, FAST, OPTIMIZED = 0, 1, 2
"""What there is of a function; better code never gives way to worse."""


class TieredCode(CompiledCode):
    """Code of one module that comes by and by.

    Attributes:
        levels: of each function that the module defines, by position: `NOT_COMPILED`, `FAST` or `OPTIMIZED`.
        given_up: positions of the functions that take more to optimise than a job may.
    """

    def __init__(
        self,
        module: Module,
        layout_: ContextLayout,
        types: TypeRegistry,
        *,
        listening: bool,
        tail_calling: frozenset[int],
        first_call: FirstCall,
    ) -> None:
        """Make the code table; nothing is compiled.

        Parameters:
            tail_calling: the functions that make tail calls.
            first_call: what is done when a function is called that has no code.

        Raises:
            OSError: the system refuses memory.
        """
        self._table: CodeTable = native_runtime().new_code_table(len(module.functions))
        self._tail_calling = tail_calling
        self._first_call = first_call
        self._arena = CodeArena(ModuleFrames(module, tail_calling), native_runtime().registry)
        self._lock = threading.Lock()
        self._placed: list[tuple[int, PlacedImage]] = []  # with their levels; guarded by _lock
        self.levels = bytearray(len(module.functions))  # guarded by _lock
        self.given_up: frozenset[int] = frozenset()  # guarded by _lock
        super().__init__(module, layout_, types, listening=listening)
        self.code_table = self._table.base
        self._table.belongs_to(self)

    @property
    def size(self) -> int:
        """Bytes of memory that the code takes."""
        return self._table.size + self._arena.size

    def is_compiled(self, index: int) -> bool:
        """Whether function `index`, which the module defines, has code."""
        return self.levels[index - self.module.imported_function_count] != NOT_COMPILED

    def functions_by_tier(self) -> tuple[int, int, int]:
        """How many functions are not compiled, compiled fast, and compiled well."""
        levels = bytes(self.levels)
        return levels.count(NOT_COMPILED), levels.count(FAST), levels.count(OPTIMIZED)

    def _write_entry_points(self, records: bytearray) -> None:
        first = self.module.imported_function_count
        native_runtime().function_loops.write_stub_addresses(records, first, self._table.base)
        words = memoryview(records).cast("Q")
        for index in self._tail_calling:
            words[record_word(index, layout.FUNCTION_RECORD_TAIL)] = self._table.tail_stub(index - first)

    def install(self, image: Image, level: int) -> int:
        """Place an image and let guests call the functions in it, but for those that have as good code already.

        Where that are all of them, the image is not needed.

        Parameters:
            level: `FAST` or `OPTIMIZED`.

        Returns:
            How many functions have better code now.

        Raises:
            ValueError: it has functions that are none of the module's.
            OSError: the system refuses memory.
        """
        first, levels = self.module.imported_function_count, self.levels
        loops = native_runtime().function_loops
        table = FunctionTable.of(image.functions)
        indices, offsets = table.ordinary()
        tails = [(index - first, offset) for index, offset in table.tail_entries()]
        worse = loops.count_worse(levels, level, indices, first)
        if worse < 0 or not all(0 <= position < len(levels) for position, _offset in tails):
            raise ValueError("an image with functions that are none of the module's")
        if not worse:
            return 0
        placed = self._arena.place(replace(image, functions=table))
        with self._lock:
            self._placed.append((level, placed))
            for position, offset in tails:
                if levels[position] < level:
                    self._table.set_tail(position, placed.address + offset)
            return loops.set_codes(self._table.base, levels, level, placed.address, indices, offsets, first)

    def give_up(self, positions: Iterable[int]) -> None:
        """Remember functions that nobody is to try to optimise again."""
        with self._lock:
            self.given_up |= frozenset(positions)

    @property
    def revision(self) -> int:
        """Where this has grown, there is something new."""
        with self._lock:
            return len(self._placed) + len(self.given_up)

    @property
    def image_bytes(self) -> int:
        """Bytes of all images that were installed so far."""
        return self._arena.size

    def snapshot(self) -> list[tuple[int, Image]]:
        """What `install` would have to be given to get the same code elsewhere: an image of each level, from memory.

        What was an image and has no function in use any more is left out.
        """
        with self._lock:
            images = list(self._placed)
        levels = sorted({level for level, _placed in images})
        current = {
            level: [placed.read() for other, placed in images if other == level and self._is_current(placed)]
            for level in levels
        }
        return [(level, join(images)) for level, images in current.items() if images]

    def _is_current(self, placed: PlacedImage) -> bool:
        first = self.module.imported_function_count
        indices, offsets = placed.functions.ordinary()
        return any(
            self._table.code(index - first) == placed.address + offset
            for index, offset in zip(indices, offsets, strict=True)
        )

    def counts(self) -> Sequence[int]:
        """How often each function was entered or went round, in code that counts, by position."""
        return self._table.counts()

    def need(self, position: int) -> None:
        """A guest calls the function, which had no code a moment ago."""
        index = position + self.module.imported_function_count
        if not self.levels[position]:
            self._first_call(self, index)
            if not self.levels[position]:
                raise EngineBug(f"function {index} was called, but not compiled")
