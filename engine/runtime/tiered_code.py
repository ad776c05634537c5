"""Code that is compiled when it is first called, and replaced by better code while guests run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from farcall.engine.abi.calls import symbol, tail_symbol
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.codegen.linker import Image
from farcall.engine.errors import EngineBug
from farcall.engine.runtime.compiled_module import CompiledCode, ModuleFrames
from farcall.engine.runtime.native.code_arena import CodeArena
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
        self.levels = bytearray(len(module.functions))  # guarded by _lock
        super().__init__(module, layout_, types, listening=listening)
        self.code_table = self._table.base
        self._table.belongs_to(self)

    @property
    def size(self) -> int:
        """Bytes of memory that the code takes."""
        return self._table.size + self._arena.size

    def functions_by_tier(self) -> tuple[int, int, int]:
        """How many functions are not compiled, compiled fast, and compiled well."""
        levels = bytes(self.levels)
        return levels.count(NOT_COMPILED), levels.count(FAST), levels.count(OPTIMIZED)

    def _entry_points(self) -> tuple[Sequence[int], Sequence[int]]:
        first = self.module.imported_function_count
        positions = range(len(self.module.functions))
        tails = [0] * len(positions)
        for index in self._tail_calling:
            tails[index - first] = self._table.tail_stub(index - first)
        return [self._table.stub(position) for position in positions], tails

    def install(self, image: Image, level: int) -> int:
        """Place an image and let guests call the functions in it, but for those that have as good code already.

        Parameters:
            level: `FAST` or `OPTIMIZED`.

        Returns:
            How many functions have better code now.

        Raises:
            OSError: the system refuses memory.
        """
        placed = {function.symbol: function.address for function in self._arena.place(image)}
        first = self.module.imported_function_count
        better = 0
        with self._lock:
            for name, address in placed.items():
                index = int(name[1:])
                if name != symbol(index) or self.levels[index - first] >= level:
                    continue
                self._table.set(index - first, address, placed.get(tail_symbol(index), 0))
                self.levels[index - first] = level
                better += 1
        return better

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
