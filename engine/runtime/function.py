"""Functions, callable from Python."""

from __future__ import annotations

import copy
import ctypes
import struct
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import index as as_index
from typing import TYPE_CHECKING, Any

from farcall.engine.abi import layout
from farcall.engine.errors import ArgumentError, EngineBug, TerminatedError
from farcall.engine.runtime.batch import Batch
from farcall.engine.runtime.exits import raise_exit
from farcall.engine.runtime.linked_group import LinkedGroup, Member, turn_of
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.native.trampolines import INTEGER_PARAMETERS, THREAD_NOT_PREPARED
from farcall.engine.runtime.stoppable import Stoppable
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.defined_types import DefinedType

if TYPE_CHECKING:
    from farcall.engine.runtime.native.machine import Entry
    from farcall.engine.runtime.references import References

_ROWS_AT_ONCE = 1 << 14
"""Of `call_many`: few enough that a request to stop need not wait until they are packed."""

_SMALLEST_BUFFER = layout.SLOT_SIZE * INTEGER_PARAMETERS
"""Bytes of slots that every entry may read."""

_CONVERSION_ERRORS = (struct.error, OverflowError, TypeError)


class Function:
    """A function, called like a Python function.

    Attributes:
        definition: the defined type.
        type: parameters and results.
        name: for messages; the export's name or the name section's.
        owner: who must be open for it to be called from Python: the instance that defines it, or one that imports
            it; None for host functions.
        home: the member of a linked group whose code it is; None for host functions.
        references: of the function's store.
        reference: the funcref, as compiled code holds it.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_batch",
        "_buffer",
        "_code",
        "_context",
        "_enter",
        "_fast",
        "_pack_into",
        "_parameters",
        "_results",
        "_single",
        "_unpack_from",
        "definition",
        "home",
        "name",
        "owner",
        "reference",
        "references",
        "type",
    )

    def __init__(
        self,
        definition: DefinedType,
        name: str | None,
        owner: Member | None,
        references: References,
        code: int,
        context: int,
        reference: int,
    ) -> None:
        self.definition = definition
        self.type = type = definition.function
        self.name = name
        self.owner = self.home = owner
        self.references = references
        self.reference = reference
        self._code = code
        self._context = context
        self._parameters = ValueConverter(type.parameters, references)
        self._results = ValueConverter(type.results, references)
        self._enter = self._known_or_first_entry()
        self._buffer = ctypes.create_string_buffer(
            max(self._parameters.size, self._results.size, _SMALLEST_BUFFER)
        )
        self._address = ctypes.addressof(self._buffer)
        self._pack_into = self._parameters.layout.pack_into
        self._unpack_from = self._results.layout.unpack_from
        self._single = len(type.results) == 1
        self._batch: Batch | None = None
        self._fast = not (
            self._parameters.has_references or self._results.has_references or self._parameters.has_vectors
        )

    def _known_or_first_entry(self) -> Entry:
        return native_runtime().known_entry(self.type) or _first_entry(weakref.ref(self))

    def make_entry(self) -> Entry:
        """Make the machine code by which it is entered, unless there is some for its type."""
        self._enter = native_runtime().entry(self.type)
        return self._enter

    def seen_by(self, importer: Member) -> Function:
        """The same function as an instance that imports it has it: usable as long as that one is open."""
        seen = copy.copy(self)
        seen.owner = importer
        seen._enter = seen._known_or_first_entry()
        return seen

    def __repr__(self) -> str:
        return f"<farcall function {self.name or '?'}: {self.type}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Function):
            return NotImplemented
        return (self._code, self._context) == (other._code, other._context)

    def __hash__(self) -> int:
        return hash((self._code, self._context))

    @property
    def index(self) -> int:
        """Its index in the function index space of the module that defines it."""
        return ctypes.c_uint32.from_address(self.reference + layout.FUNCTION_RECORD_INDEX).value

    @property
    def code(self) -> int:
        """Address of the machine code, for the instances that import it."""
        return self._code

    @property
    def context(self) -> int:
        """Address of the context to call it with."""
        return self._context

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, after running calls into its linked group are done.

        Returns:
            None without results, the result's value, or a tuple of several.

        Raises:
            ArgumentError: the number, type or range of an argument is wrong.
            Trap: the guest trapped; its instance stays usable.
            TerminatedError: it was stopped, by closing its store.
            ClosedError: its instance is closed.
        """
        owner = self.owner
        if owner is None:
            raise EngineBug("a guest function without an owner")
        group = owner.group
        with group.lock:
            if self._fast and owner.group is group and not owner.closed:
                targets = group.targets
                try:
                    # Within the `try`: what a signal's handler raises may come right after it. And before arguments are
                    # asked for their values, which may do whatever they like, but not close what is called.
                    targets.append(owner)
                    try:
                        self._pack_into(self._buffer, 0, *arguments)
                    except _CONVERSION_ERRORS:
                        raise self._parameters.error(arguments) from None
                    # Announced above, looked here: see `linked_group`.
                    if group.attention:
                        status = THREAD_NOT_PREPARED
                    else:
                        status = self._enter(self._code, self._context, self._address)
                        if status == 0:
                            values = self._unpack_from(self._buffer)
                            return values[0] if self._single else (values or None)
                        if status != THREAD_NOT_PREPARED:
                            raise_exit(status, group)
                except ctypes.ArgumentError as error:
                    raise _entry_error(error) from None
                finally:
                    targets.pop()
                    if group.attention:
                        group.review()
        return single(self.call(arguments))

    def call(self, arguments: Sequence[Any], stoppable: Stoppable | None = None) -> tuple[Any, ...]:
        """Call with a sequence of arguments; the results as a tuple.

        Parameters:
            stoppable: what another thread may stop.

        Raises:
            As calling does, and TerminatedError where `stoppable` has been stopped.
        """
        owner = self.owner
        assert owner is not None
        native_runtime().ensure_thread()
        self._parameters.link(arguments, owner)
        with self._turn(stoppable) as group:
            content = self._parameters.pack(arguments, owner)
            # References among the results are sure to be valid only as long as the turn lasts.
            return self._results.unpack(self._call_slots(content, group))

    def call_bits(self, arguments: Sequence[int], stoppable: Stoppable | None = None) -> tuple[int, ...]:
        """Call with arguments and results as bit patterns: unsigned 64-bit ints, exact for every NaN.

        Vectors take two slots. A reference can only be null, which is 0: whatever else the bits said would be
        believed.

        Parameters:
            stoppable: what another thread may stop.

        Raises:
            As calling does.
        """
        content = self._pack_bits(arguments)
        native_runtime().ensure_thread()
        with self._turn(stoppable) as group:
            slots = self._call_slots(content, group)
        return struct.unpack(f"<{len(slots) // layout.SLOT_SIZE}Q", slots)

    def _pack_bits(self, arguments: Sequence[int]) -> bytes:
        wanted = self._parameters.size // layout.SLOT_SIZE
        if len(arguments) != wanted:
            raise ArgumentError(
                f"{len(arguments)} slots given where {wanted} are wanted",
                None,
                f"{wanted}",
                f"{len(arguments)}",
            )
        try:
            bits = [as_index(argument) for argument in arguments]
        except TypeError:
            raise ArgumentError(
                f"slots are wanted as unsigned ints, given {arguments!r}",
                None,
                "unsigned ints",
                repr(arguments),
            ) from None
        for position, value in enumerate(bits):
            if not 0 <= value < 1 << 64:
                raise ArgumentError(
                    f"argument {position}: a slot holds 0 to {2**64 - 1}, given {value}",
                    position,
                    "an unsigned 64-bit int",
                    str(value),
                )
        self._refuse_reference_bits(bits)
        return struct.pack(f"<{wanted}Q", *bits)

    def _refuse_reference_bits(self, bits: Sequence[int]) -> None:
        position = 0
        for index, value_type in enumerate(self._parameters.types):
            if value_type.is_reference and bits[position]:
                raise ArgumentError(
                    f"argument {index}: the bits of a {value_type.name} can only be 0, which is null",
                    index,
                    value_type.name,
                    hex(bits[position]),
                )
            position += max(value_type.size, layout.SLOT_SIZE) // layout.SLOT_SIZE

    def call_many(
        self, rows: Sequence[Sequence[Any]], stoppable: Stoppable | None = None
    ) -> list[tuple[Any, ...] | Exception]:
        """Call once for each row of arguments, in order, in one turn.

        Returns:
            For each row its results, or the error that calling raises. A failing call does not keep the next from
            running, but once stopped, all that are left have a TerminatedError.

        Raises:
            ClosedError: the instance is closed.
            TerminatedError: `stoppable` was stopped before the first call.
        """
        native_runtime().ensure_thread()
        outcomes: list[tuple[Any, ...] | Exception] = []
        with self._turn(stoppable) as group:
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                if group.attention and group.stop_reason is not None:
                    break
                outcomes += self._row_outcomes(rows[first : first + _ROWS_AT_ONCE], group)
            left = len(rows) - len(outcomes)
            if left:
                # One for all of them: making a million errors takes longer than a caller waits who asked for a stop.
                outcomes += [TerminatedError(group.stop_reason or "stopped")] * left
        return outcomes

    def _row_outcomes(
        self, rows: Sequence[Sequence[Any]], group: LinkedGroup
    ) -> list[tuple[Any, ...] | Exception]:
        batch = self.batch
        slots = None if batch is None else batch.pack_rows(rows)
        if batch is None or slots is None:
            return self._call_each(rows, group)
        failures = batch.run(self._code, self._context, slots, group)
        outcomes: list[tuple[Any, ...] | Exception] = [*batch.result_rows(slots)]
        for position, error in failures.items():
            outcomes[position] = error
        return outcomes

    def call_columns(
        self, columns: Sequence[Sequence[Any]], count: int, stoppable: Stoppable | None = None
    ) -> tuple[list[list[Any]], dict[int, Exception]]:
        """Call `count` times, in order, in one turn, with arguments in columns: what costs least for many calls.

        Parameters:
            columns: one a parameter, with a number for each call.
            count: how many calls.
            stoppable: what another thread may stop.

        Returns:
            A column of numbers for each result, and the errors of the calls that failed, by position; what the
            columns hold there is 0.

        Raises:
            ArgumentError: a column does not fit, or the function takes or returns what is no number.
            ClosedError: the instance is closed.
            TerminatedError: `stoppable` was stopped before the first call.
        """
        batch = self.batch
        if batch is None:
            raise ArgumentError(
                f"columns carry numbers, but the function is {self.type}", None, "numbers", str(self.type)
            )
        slots = batch.pack_columns(columns, count)
        if slots is None:
            slots = self._pack_each(columns, count)
        native_runtime().ensure_thread()
        with self._turn(stoppable) as group:
            failures = batch.run(self._code, self._context, slots, group)
        results = batch.result_columns(slots)
        for position in failures:
            for column in results:
                column[position] = 0
        return results, failures

    @property
    def batch(self) -> Batch | None:
        """How many calls of it are made at once; None where its arguments and results are not all numbers."""
        if self._batch is None and Batch.fits(self.type):
            self._batch = Batch(self.type)
        return self._batch

    def _pack_each(self, columns: Sequence[Sequence[Any]], count: int) -> bytearray:
        """The slots, call by call, for columns that are not plain numbers. Raises ArgumentError for the first."""
        if len(columns) != len(self.type.parameters) or any(len(column) != count for column in columns):
            wanted = f"{len(self.type.parameters)} columns of {count} values"
            given = f"columns of {[len(column) for column in columns]}"
            raise ArgumentError(f"{wanted} are wanted, given {given}", None, wanted, given)
        assert self.batch is not None
        stride = self.batch.stride
        slots = bytearray(count * stride)
        for position, row in enumerate(zip(*columns, strict=True)):
            try:
                self._pack_into(slots, position * stride, *row)
            except _CONVERSION_ERRORS:
                raise self._parameters.error(row) from None
        return slots

    def _call_each(
        self, rows: Sequence[Sequence[Any]], group: LinkedGroup
    ) -> list[tuple[Any, ...] | Exception]:
        """Call for each row by itself, until a stop is asked for."""
        outcomes: list[tuple[Any, ...] | Exception] = []
        for row in rows:
            # A function without loops and calls never looks whether it is to stop.
            if group.attention and group.stop_reason is not None:
                break
            outcomes.append(self._row_outcome(row, group))
        return outcomes

    def _row_outcome(self, row: Sequence[Any], group: LinkedGroup) -> tuple[Any, ...] | Exception:
        try:
            content = self._pack_row(row)
            return self._results.unpack(self._call_slots(content, group))
        except Exception as error:
            return error

    def _pack_row(self, row: Sequence[Any]) -> bytes:
        assert self.owner is not None
        try:
            arguments = tuple(row)
        except TypeError:
            raise self._parameters.error(row) from None
        self._parameters.link(arguments, self.owner)
        return self._parameters.pack(arguments, self.owner)

    def _call_slots(self, content: bytes, group: LinkedGroup) -> bytes:
        """Call with the slots' content; what the slots hold afterwards. The turn is held."""
        ctypes.memmove(self._address, content, len(content))
        try:
            status = self._enter(self._code, self._context, self._address)
        except ctypes.ArgumentError as error:
            raise _entry_error(error) from None
        if status:
            raise_exit(status, group)
        return ctypes.string_at(self._address, self._results.size)

    @contextmanager
    def _turn(self, stoppable: Stoppable | None) -> Iterator[LinkedGroup]:
        """Hold the group's lock and be known as running, if it is open."""
        owner = self.owner
        assert owner is not None
        with turn_of(owner, stoppable) as group:
            owner.check_open()
            if stoppable is not None:
                with stoppable.running_in(group, owner):
                    yield group
                return
            with group.running(owner, None):
                yield group

    def invocation(self, arguments: Sequence[Any]) -> Invocation:
        """A call with these arguments that another thread can stop; `run` makes it."""
        return Invocation(self, arguments)


class Invocation(Stoppable):
    """One call, which another thread can stop by `terminate`."""

    def __init__(self, function: Function, arguments: Sequence[Any]) -> None:
        super().__init__()
        self._function = function
        self._arguments = arguments

    def run(self) -> tuple[Any, ...]:
        """Make the call; its results. Raises as calling the function does, and TerminatedError once stopped."""
        return self._function.call(self._arguments, self)


def single(values: tuple[Any, ...]) -> Any:
    """Results as Python callers want them: None, the one value, or the tuple."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def _first_entry(reference: weakref.ref[Function]) -> Entry:
    """In place of a function's entry, whose machine code is made at its first call."""

    def enter(code: int, context: int, slots: int) -> int:
        function = reference()
        if function is None:
            raise EngineBug("a function is called that is gone")
        return function.make_entry()(code, context, slots)

    return enter


def _entry_error(error: ctypes.ArgumentError) -> Exception:
    """What ctypes says when it cannot even convert an address: Python's own stack is at its end."""
    return RecursionError(f"maximum recursion depth exceeded while a guest is entered ({error})")
