"""Budgets: how much memory the guests of a store, and of all stores of an engine, may have together.

Guests take from them when they grow their memories and tables, in machine code; Python when it makes them, and large
contexts of instances.
"""

from __future__ import annotations

import ctypes

from farcall.engine.abi import layout
from farcall.engine.errors import ExhaustionError
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime

_UNLIMITED = 1 << 62


class MemoryBudget:
    """Bytes that memories, tables and large contexts may have together.

    Attributes:
        limit: how many; None is no limit.
        address: of the budget, for memory records.
    """

    def __init__(self, limit: int | None, parent: MemoryBudget | None = None) -> None:
        self.limit = limit
        self._parent = parent  # its address stands in this one
        self._buffer = ctypes.create_string_buffer(layout.BUDGET_SIZE)
        self.address = ctypes.addressof(self._buffer)
        self._whole = _UNLIMITED if limit is None else limit
        write_words(self.address, [self._whole, 0 if parent is None else parent.address])
        self._left = ctypes.c_int64.from_address(self.address + layout.BUDGET_BYTES)

    @property
    def used(self) -> int:
        """Bytes that are taken now."""
        return self._whole - self._left.value

    def take(self, size: int) -> None:
        """Take bytes. Raises ExhaustionError where as many are not left; nothing is taken then."""
        if size and not native_runtime().take_budget(self.address, size):
            limits = [budget for budget in (self, self._parent) if budget is not None]
            said = " and ".join(
                f"{budget.used} of {budget.limit}" for budget in limits if budget.limit is not None
            )
            raise ExhaustionError(f"no {size} bytes of memory are left for guests: {said} bytes are in use")

    def give(self, size: int) -> None:
        """Give back what was taken."""
        native_runtime().give_budget(self.address, size)
