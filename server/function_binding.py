"""A function that callers can reach: how messages become its arguments, and its results messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from farcall.engine import Function, Stoppable, end_turn, ends_soon, is_compiled, try_turn
from farcall.proto.farcall.v1 import invocation_service_pb2, value_pb2
from farcall.server.errors import bad_request
from farcall.server.messages.values import (
    COLUMN_TYPES,
    ReferenceTable,
    is_exact_only_as_bits,
    kind_of,
    read_columns,
    read_slots,
    read_value,
    write_columns,
    write_slots,
    write_value,
    wrong_count,
)

_WEIGHT = 0.5
"""Of a call's time in the running estimate of what a call of the function takes."""

_STEP = 50e-6
"""Seconds by which one call raises the estimate at most: a thread that had to wait for a processor took no work."""


class FunctionBinding:
    """An exported function of an instance, with all that depends on its type worked out once.

    Attributes:
        function: the engine's.
        is_short: whether a call is certain to end after few instructions, whatever its arguments; also that it need not
            be compiled for that (see `called`).
        expected_seconds: running estimate of what a call takes.
    """

    __slots__ = (
        "_bits",
        "_ends_soon",
        "_kinds",
        "_references",
        "_result_kinds",
        "expected_seconds",
        "function",
        "is_short",
    )

    def __init__(self, function: Function, references: ReferenceTable) -> None:
        self.function = function
        self._ends_soon = ends_soon(function)
        self.is_short = False
        self.called()
        self.expected_seconds = 0.0
        self._references = references
        self._bits = is_exact_only_as_bits(function.type)
        numbers = COLUMN_TYPES.issuperset(function.type.parameters)
        self._kinds = tuple(map(kind_of, function.type.parameters)) if numbers and not self._bits else None
        plain = COLUMN_TYPES.issuperset(function.type.results) and not self._bits
        self._result_kinds = tuple(map(kind_of, function.type.results)) if plain else None

    def called(self) -> None:
        """Learn whether the function has code by now."""
        if self._ends_soon and not self.is_short:
            self.is_short = is_compiled(self.function)

    def read_arguments(self, messages: Sequence[value_pb2.Value]) -> list[Any]:
        """A call's arguments, as `call` wants them. Raises RequestError that says what is wrong with which."""
        parameters, kinds = self.function.type.parameters, self._kinds
        if len(messages) != len(parameters):
            raise wrong_count(len(messages), parameters)
        if self._bits:
            return [
                slot
                for index, (message, wanted) in enumerate(zip(messages, parameters, strict=True))
                for slot in read_slots(message, wanted, index)
            ]
        if kinds is not None:
            arguments = []
            for message, kind in zip(messages, kinds, strict=True):
                if not message.HasField(kind):  # type: ignore[arg-type]
                    break
                arguments.append(getattr(message, kind))
            else:
                return arguments
        return [
            read_value(message, wanted, index, self._references)
            for index, (message, wanted) in enumerate(zip(messages, parameters, strict=True))
        ]

    def call(self, arguments: Sequence[Any], stoppable: Stoppable) -> tuple[Any, ...]:
        """Call the function; results for `write_results`. Raises what the engine raises."""
        if self._bits:
            return self.function.call_bits(arguments, stoppable)
        return self.function.call(arguments, stoppable)

    def write_results(
        self, results: tuple[Any, ...], messages: RepeatedCompositeFieldContainer[value_pb2.Value]
    ) -> None:
        """Store what `call` returned."""
        kinds = self._result_kinds
        if kinds is not None:
            for kind, value in zip(kinds, results, strict=True):
                setattr(messages.add(), kind, value)
            return
        if self._bits:
            slots = iter(results)
            for value_type in self.function.type.results:
                write_slots(value_type, slots, messages.add())
            return
        for value_type, value in zip(self.function.type.results, results, strict=True):
            write_value(value_type, value, messages.add(), self._references)

    def call_at_once(self, arguments: Sequence[Any]) -> tuple[Any, ...] | None:
        """What `call` does, without a wait and in the way that costs least, for functions that are short.

        Returns:
            The results, or None if something else is using the instance.
        """
        function = self.function
        owner = function.owner
        if owner is None or not try_turn(owner):
            return None
        try:
            if self._bits:
                return function.call_bits(arguments)
            if self._kinds is None:
                return function.call(arguments)
            results = function(*arguments)
        finally:
            end_turn(owner)
        return results if type(results) is tuple else () if results is None else (results,)

    # -- Columns ---------------------------------------------------------------------------------------------------

    def check_columns(self) -> None:
        """Raise RequestError unless columns can carry the function's arguments and results."""
        function_type = self.function.type
        if not COLUMN_TYPES.issuperset((*function_type.parameters, *function_type.results)):
            raise bad_request(
                "columns", f"carry numbers only, but the function is {function_type}; send a list of calls"
            )

    def call_columns(
        self, columns: invocation_service_pb2.CallColumns, stoppable: Stoppable
    ) -> tuple[list[list[Any]], dict[int, Exception]]:
        """Make the calls of columns, as `Function.call_columns` does.

        Raises:
            RequestError: a column is wrong; it says what.
            FarcallError: what the engine raises.
        """
        count = columns.call_count
        arguments = read_columns(columns.arguments, count, self.function.type.parameters)
        return self.function.call_columns(arguments, count, stoppable)

    def write_columns(self, results: list[list[Any]], message: invocation_service_pb2.ResultColumns) -> None:
        """Store the columns of results that `call_columns` returned."""
        write_columns(results, self.function.type.results, message.results)

    def took(self, seconds: float) -> None:
        """Learn from a call's time."""
        self.expected_seconds += min(_WEIGHT * (seconds - self.expected_seconds), _STEP)
