"""Many calls of one function in one turn: arguments and results as columns, and one entry into machine code for all.

A call's arguments lie in a row of slots, and its results take their place. Columns are copied into rows and out of
them by slices, so that a call costs no Python code of its own, only what the guest does.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from math import inf
from typing import Any

from farcall.engine.abi.layout import SLOT_SIZE
from farcall.engine.abi.traps import EXIT_TERMINATED
from farcall.engine.errors import TerminatedError
from farcall.engine.runtime.exits import exit_error
from farcall.engine.runtime.linked_group import LinkedGroup
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.structure.types import F32, F64, I32, I64, FunctionType, ValueType

_CODES: dict[ValueType, str] = {I32: "i", I64: "q", F32: "f", F64: "d"}
"""Of `array` and `memoryview`, both in the machine's byte order, as slots are."""

_REFUSALS = (TypeError, ValueError, OverflowError)


class Batch:
    """How many calls of functions of one type are made.

    Attributes:
        stride: bytes of a row of slots.
    """

    def __init__(self, type: FunctionType) -> None:
        """Prepare for a type that `fits`; the machine code for it is made now, if it is not there yet."""
        self.stride = SLOT_SIZE * max(len(type.parameters), len(type.results), 1)
        self._parameters = tuple(_CODES[value] for value in type.parameters)
        self._results = tuple(_CODES[value] for value in type.results)
        self._enter = native_runtime().batch_entry(type)

    @staticmethod
    def fits(type: FunctionType) -> bool:
        """Whether arguments and results are numbers that columns can carry."""
        return _CODES.keys() >= {*type.parameters, *type.results}

    def pack_rows(self, rows: Sequence[Sequence[Any]]) -> bytearray | None:
        """The slots for calls with these arguments, or None where any of them does not fit."""
        try:
            columns = list(zip(*rows, strict=True))
        except _REFUSALS:
            return None
        if not columns and not all(type(row) in (tuple, list) for row in rows):
            return None  # what has no length, or whose elements nobody counts
        return self.pack_columns(columns, len(rows))

    def pack_columns(self, columns: Sequence[Sequence[Any]], count: int) -> bytearray | None:
        """The slots for `count` calls whose arguments are columns, or None where any of them does not fit."""
        if len(columns) != len(self._parameters):
            return None
        slots = bytearray(count * self.stride)
        try:
            for position, (code, column) in enumerate(zip(self._parameters, columns, strict=True)):
                values = array(code, column)
                if code == "f" and (inf in values or -inf in values):
                    return None  # perhaps made from a finite float that is too large
                self._column(slots, position, code)[:] = memoryview(values)
        except _REFUSALS:
            return None
        return slots

    def _column(self, slots: bytearray, position: int, code: str) -> memoryview[Any]:
        elements = memoryview(slots).cast(code)  # type: ignore[call-overload]
        size = elements.itemsize
        column: memoryview[Any] = elements[position * SLOT_SIZE // size :: self.stride // size]
        return column

    def run(self, code: int, context: int, slots: bytearray, group: LinkedGroup) -> dict[int, Exception]:
        """Make all calls, in order. The turn is held, and the thread can run guests.

        Returns:
            The calls that failed, by position. Once a stop was asked for, all that are left have the same error.
        """
        failures: dict[int, Exception] = {}
        count = len(slots) // self.stride
        if not count:
            return failures
        address = ctypes.addressof(ctypes.c_char.from_buffer(slots))
        runtime = native_runtime()
        position = 0
        while True:
            position += self._enter(code, context, address + position * self.stride, count - position)
            if position == count:
                return failures
            why = runtime.exit_code()
            error = exit_error(why, group)
            if why == EXIT_TERMINATED and group.stop_reason is not None:
                failures[position] = error
                # One for all of them: making a million errors takes longer than a caller waits who asked for a stop.
                rest = TerminatedError(group.stop_reason)
                failures.update(dict.fromkeys(range(position + 1, count), rest))
                return failures
            failures[position] = error
            position += 1
            if position == count:
                return failures

    def result_columns(self, slots: bytearray) -> list[list[Any]]:
        """The results of all calls, a column each."""
        return [self._column(slots, position, code).tolist() for position, code in enumerate(self._results)]

    def result_rows(self, slots: bytearray) -> list[tuple[Any, ...]]:
        """The results of all calls, a row each."""
        if not self._results:
            return [()] * (len(slots) // self.stride)
        return list(zip(*self.result_columns(slots), strict=True))
