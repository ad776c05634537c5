"""Functions: guests' and hosts', callable from Python."""

from __future__ import annotations

import ctypes
import itertools
import struct
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from farcall.engine.abi import layout
from farcall.engine.errors import ArgumentError, ClosedError, EngineBug, TerminatedError
from farcall.engine.runtime.exits import raise_exit
from farcall.engine.runtime.linked_group import LinkedGroup, Member, acquire_group
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.native.trampolines import HOST_CONTEXT_SIZE, THREAD_NOT_PREPARED
from farcall.engine.runtime.stoppable import Stoppable
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.types import FunctionType

if TYPE_CHECKING:
    from farcall.engine.runtime.references import References

_CONVERSION_ERRORS = (struct.error, OverflowError, TypeError)


class Function:
    """A function, called like a Python function.

    Attributes:
        type: parameters and results.
        name: for messages; the export's name or the name section's.
        owner: the member of a linked group whose code it is; None for host functions.
        references: of the function's store.
        reference: the funcref, as compiled code holds it.
    """

    __slots__ = (
        "_address",
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
        "name",
        "owner",
        "reference",
        "references",
        "type",
    )

    def __init__(
        self,
        type: FunctionType,
        name: str | None,
        owner: Member | None,
        references: References,
        code: int,
        context: int,
        reference: int,
    ) -> None:
        self.type = type
        self.name = name
        self.owner = owner
        self.references = references
        self.reference = reference
        self._code = code
        self._context = context
        self._parameters = ValueConverter(type.parameters, references)
        self._results = ValueConverter(type.results, references)
        self._enter = native_runtime().entry(type)
        self._buffer = ctypes.create_string_buffer(max(self._parameters.size, self._results.size, 16))
        self._address = ctypes.addressof(self._buffer)
        self._pack_into = self._parameters.layout.pack_into
        self._unpack_from = self._results.layout.unpack_from
        self._single = len(type.results) == 1
        self._fast = not (self._parameters.has_references or self._results.has_references)

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
        lock = group.lock
        lock.acquire()
        try:
            if self._fast and owner.group is group and not owner.closed:
                try:
                    self._pack_into(self._buffer, 0, *arguments)
                except _CONVERSION_ERRORS:
                    raise self._parameters.error(arguments) from None
                group.depth += 1
                try:
                    status = self._enter(self._code, self._context, self._address)
                finally:
                    group.depth -= 1
                if status == 0:
                    values = self._unpack_from(self._buffer)
                    return values[0] if self._single else (values or None)
                if status != THREAD_NOT_PREPARED:
                    raise_exit(status, group)
        finally:
            lock.release()
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
        content = self._parameters.pack(arguments, owner)
        return self._results.unpack(self._call_slots(content, stoppable))

    def call_bits(self, arguments: Sequence[int], stoppable: Stoppable | None = None) -> tuple[int, ...]:
        """Call with arguments and results as bit patterns: unsigned 64-bit ints, exact for every NaN.

        Vectors take two slots. Raises as `call` does.
        """
        wanted = self._parameters.size // layout.SLOT_SIZE
        if len(arguments) != wanted:
            raise ArgumentError(
                f"{len(arguments)} slots given where {wanted} are wanted",
                None,
                f"{wanted}",
                f"{len(arguments)}",
            )
        slots = self._call_slots(struct.pack(f"<{wanted}Q", *arguments), stoppable)
        return struct.unpack(f"<{len(slots) // layout.SLOT_SIZE}Q", slots)

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
        if not self._fast:
            return [self._outcome(row, stoppable) for row in rows]
        native_runtime().ensure_thread()
        outcomes: list[tuple[Any, ...] | Exception] = []
        add = outcomes.append
        pack, unpack, enter = self._pack_into, self._unpack_from, self._enter
        buffer, code, context, address = self._buffer, self._code, self._context, self._address
        with self._turn(stoppable) as group:
            for row in rows:
                try:
                    pack(buffer, 0, *row)
                except _CONVERSION_ERRORS:
                    add(self._parameters.error(row))
                    continue
                status = enter(code, context, address)
                if status == 0:
                    add(unpack(buffer))
                    continue
                add(_exit_error(status, group))
                if stoppable is not None and stoppable.reason is not None:
                    break
        if stoppable is not None and stoppable.reason is not None:
            outcomes += [TerminatedError(stoppable.reason) for _ in range(len(rows) - len(outcomes))]
        return outcomes

    def _outcome(self, row: Sequence[Any], stoppable: Stoppable | None) -> tuple[Any, ...] | Exception:
        try:
            return self.call(row, stoppable)
        except Exception as error:
            return error

    def _call_slots(self, content: bytes, stoppable: Stoppable | None) -> bytes:
        """Call with the slots' content; what the slots hold afterwards."""
        native_runtime().ensure_thread()
        with self._turn(stoppable) as group:
            ctypes.memmove(self._address, content, len(content))
            status = self._enter(self._code, self._context, self._address)
            if status:
                raise_exit(status, group)
            return ctypes.string_at(self._address, self._results.size)

    @contextmanager
    def _turn(self, stoppable: Stoppable | None) -> Iterator[LinkedGroup]:
        """Hold the group's lock and be known as running, if it is open."""
        owner = self.owner
        assert owner is not None
        group = acquire_group(owner, stoppable)
        try:
            if owner.closed:
                raise ClosedError(f"{owner.title} is closed")
            group.depth += 1
            try:
                if stoppable is None:
                    yield group
                else:
                    with stoppable.running_in(group):
                        yield group
            finally:
                group.depth -= 1
        finally:
            group.lock.release()

    def invocation(self, arguments: Sequence[Any]) -> Invocation:
        """A call with these arguments that another thread can stop; `run` makes it."""
        return Invocation(self, arguments)


class Invocation(Stoppable):
    """One call, which another thread can stop by `terminate`."""

    def __init__(self, function: Function, arguments: Sequence[Any]) -> None:
        super().__init__(function.owner)
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


def _exit_error(status: int, group: LinkedGroup) -> Exception:
    try:
        raise_exit(status, group)
    except Exception as error:
        return error


class HostFunction(Function):
    """A Python function that guests can import, of one store.

    Guests reach it through bindings (`HostBinding`), each with a context of its own, so that the runtime knows for
    whom it is called.
    """

    __slots__ = ("_binding", "_implementation")

    def __init__(
        self,
        type: FunctionType,
        implementation: Callable[..., Any],
        name: str | None,
        references: References,
        type_id: int,
    ) -> None:
        self._implementation = implementation
        self._binding = HostBinding(self, type, references, None)
        record = ctypes.create_string_buffer(layout.FUNCTION_RECORD_SIZE)
        self._binding.record = record
        code, context = self._binding.code, self._binding.context
        write_words(ctypes.addressof(record), [code, context, type_id])
        super().__init__(type, name, None, references, code, context, ctypes.addressof(record))
        references.add_source(context, self._binding)

    def __call__(self, *arguments: Any) -> Any:
        """Call the Python function itself."""
        return self._implementation(*arguments)

    def call(self, arguments: Sequence[Any], stoppable: Stoppable | None = None) -> tuple[Any, ...]:
        """Call the Python function itself; its results as a tuple."""
        return result_tuple(self.type, self._implementation(*arguments))

    def bind(self, keeper: Member) -> HostBinding:
        """A binding for an instance that imports the function."""
        binding = HostBinding(self, self.type, self.references, keeper)
        self.references.add_source(binding.context, binding)
        return binding


def result_tuple(type: FunctionType, result: Any) -> tuple[Any, ...]:
    """What a host function returned, as a tuple of its results."""
    match len(type.results):
        case 0:
            if result is not None:
                raise ArgumentError(
                    "the host function has no results but returned one", None, "None", repr(result)
                )
            return ()
        case 1:
            return (result,)
        case _:
            return tuple(result)


class HostBinding:
    """A host function as one importer reaches it.

    Attributes:
        code: address of the machine code.
        context: address of the context to call it with.
    """

    def __init__(
        self, function: HostFunction, type: FunctionType, references: References, keeper: Member | None
    ) -> None:
        self._function = function
        self._parameters = ValueConverter(type.parameters, references)
        self._results = ValueConverter(type.results, references)
        self._keeper = keeper
        self._type = type
        self._identity = next(_identities)
        self._buffer = ctypes.create_string_buffer(max(HOST_CONTEXT_SIZE, 16))
        self.context = ctypes.addressof(self._buffer)
        write_words(self.context, [self._identity])
        self.code = native_runtime().host_call(type)
        self.record: ctypes.Array[ctypes.c_char] | None = None
        _bindings[self._identity] = weakref.ref(self)
        weakref.finalize(self, _bindings.pop, self._identity, None).atexit = False

    def new_function(self, index: int) -> Function:
        """The host function."""
        return self._function

    def run(self, slots: int) -> None:
        """Call the Python function for a guest: arguments from the slots, results into them."""
        arguments = self._parameters.unpack(ctypes.string_at(slots, self._parameters.size))
        values = result_tuple(self._type, HostFunction.__call__(self._function, *arguments))
        try:
            content = self._results.pack(values, self._keeper)
        except ArgumentError as error:
            raise ArgumentError(
                f"result of the host function {self._function.name or '?'}: {error}",
                error.index,
                error.wanted,
                error.given,
            ) from None
        ctypes.memmove(slots, content, len(content))


_identities = itertools.count(1)
_bindings: dict[int, weakref.ref[HostBinding]] = {}


def _call_host(identity: int, _index: int, slots: int) -> None:
    binding = _bindings[identity]()
    if binding is None:
        raise EngineBug("a guest called a host function that is gone")
    binding.run(slots)


def install() -> None:
    """Connect guests' calls of host functions to this module."""
    native_runtime().handle("host", _call_host)
