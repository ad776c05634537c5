"""The machine code by which guests call host functions: one for each function type, made when it is first called."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from farcall.engine.errors import EngineBug
from farcall.engine.runtime.native.code_memory import MappedCode
from farcall.engine.runtime.native.code_table import CodeTable
from farcall.engine.runtime.native.compile_thread import run_with_stack
from farcall.engine.structure.types import FunctionType

_TYPES_AT_ONCE = 512
"""Function types that a table has room for; when it is full, there is another."""


class HostCall:
    """The way from guests to host functions of one type; it is there as long as this lives.

    Attributes:
        address: of the code, for guests.
    """

    def __init__(self, table: _HostCallTable, position: int) -> None:
        self.address = table.address(position)
        weakref.finalize(self, table.free, position).atexit = False


class _HostCallTable:
    """A code table whose functions are the ways to host functions, of some types."""

    def __init__(self, table: CodeTable, compile: Callable[[FunctionType], MappedCode]) -> None:
        self._table = table
        self._compile = compile
        self._lock = threading.RLock()  # the garbage collector may free one while another is made
        self._free = list(reversed(range(table.functions)))  # guarded by _lock, like all that follows
        self._types: dict[int, FunctionType] = {}
        self._codes: dict[int, MappedCode] = {}
        table.belongs_to(self)

    def address(self, position: int) -> int:
        """The address of the way at a position."""
        return self._table.stub(position)

    def take(self, signature: FunctionType) -> HostCall | None:
        """The way to host functions of a type, without code as yet; None where there is no room."""
        with self._lock:
            if not self._free:
                return None
            position = self._free.pop()
            self._types[position] = signature
        return HostCall(self, position)

    def free(self, position: int) -> None:
        """Nobody uses the one at that position any more."""
        with self._lock:
            self._table.reset(position)
            del self._types[position]
            self._codes.pop(position, None)
            self._free.append(position)

    def need(self, position: int) -> None:
        """A guest calls a host function for the first time by this one (see `CodeOwner`)."""
        with self._lock:
            signature = self._types.get(position)
        if signature is None:
            raise EngineBug("a guest called a host function that is gone")
        wanted = signature
        code = run_with_stack(lambda: self._compile(wanted))
        with self._lock:
            if position not in self._codes:
                self._codes[position] = code
                self._table.set(position, code.addresses["host_call"], 0)


class HostCalls:
    """Makes the ways to host functions."""

    def __init__(
        self, new_table: Callable[[int], CodeTable], compile: Callable[[FunctionType], MappedCode]
    ) -> None:
        """Make the maker.

        Parameters:
            new_table: makes a code table for so many functions.
            compile: makes the code for a type, with the symbol `host_call`.
        """
        self._new_table = new_table
        self._compile = compile
        self._tables: list[_HostCallTable] = []

    def make(self, signature: FunctionType) -> HostCall:
        """A way to host functions of a type. Not by two threads at a time."""
        for table in reversed(self._tables):
            found = table.take(signature)
            if found is not None:
                return found
        self._tables.append(_HostCallTable(self._new_table(_TYPES_AT_ONCE), self._compile))
        return self.make(signature)
