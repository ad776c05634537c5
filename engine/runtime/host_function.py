"""Host functions: Python functions that guests call."""

from __future__ import annotations

import ctypes
import itertools
import struct
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from farcall.engine.abi import layout
from farcall.engine.errors import ArgumentError, EngineBug, TerminatedError, WasmException
from farcall.engine.runtime.exception_arena import throw_on_return
from farcall.engine.runtime.function import Function, single
from farcall.engine.runtime.linked_group import Member
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.native.trampolines import DIRECT_PARAMETERS, HOST_CONTEXT_SIZE
from farcall.engine.runtime.stoppable import Stoppable
from farcall.engine.structure.types import I32, I64, FunctionType

if TYPE_CHECKING:
    from farcall.engine.runtime.references import References
    from farcall.engine.runtime.type_registry import TypeId


class HostFunction(Function):
    """A Python function that guests can import, of one store.

    Attributes:
        on_failure: makes of what the implementation raised what the caller gets; None passes it on as it is.
    """

    __slots__ = (
        "_host_context",
        "_identity",
        "_implementation",
        "_machine_code",
        "_record",
        "_type_id",
        "on_failure",
    )

    def __init__(
        self,
        implementation: Callable[..., Any],
        name: str | None,
        references: References,
        type_id: TypeId,
        *,
        direct: bool = False,
    ) -> None:
        self._implementation = implementation
        self.on_failure: Callable[[BaseException], BaseException] | None = None
        self._identity = next(_identities)
        signature = type_id.type.function
        runtime = native_runtime()
        self._machine_code = None if direct else runtime.host_call(signature)
        self._host_context = ctypes.create_string_buffer(HOST_CONTEXT_SIZE)
        self._record = ctypes.create_string_buffer(layout.FUNCTION_RECORD_SIZE)
        self._type_id = type_id  # for its life, so that no other type gets it
        code = runtime.direct_host_call if self._machine_code is None else self._machine_code.address
        context = ctypes.addressof(self._host_context)
        write_words(context, [self._identity, id(implementation), *(_masks(signature) if direct else ())])
        write_words(ctypes.addressof(self._record), [code, context, type_id.number, 0, type_id.descriptor])
        record = ctypes.addressof(self._record)
        super().__init__(type_id.type, name, None, references, code, context, record)
        _host_functions[self._identity] = weakref.ref(self)
        weakref.finalize(self, _host_functions.pop, self._identity, None).atexit = False
        references.add_host_function(self)

    def __call__(self, *arguments: Any) -> Any:
        """Call the Python function, with arguments and results checked and converted as for a guest's call."""
        return single(self.call(arguments))

    def call(self, arguments: Sequence[Any], stoppable: Stoppable | None = None) -> tuple[Any, ...]:
        """Call the Python function; its results as a tuple. `stoppable` can keep it from starting only."""
        if stoppable is not None and stoppable.reason is not None:
            raise TerminatedError(stoppable.reason)
        values = self._parameters.check(arguments)
        if self.on_failure is None:
            return self._checked_run(values)
        try:
            return self._checked_run(values)
        except BaseException as error:
            self.fail(error)

    def _checked_run(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        results = self._run(arguments)
        try:
            return self._results.check(results)
        except ArgumentError as error:
            raise self._result_error(error) from None

    def fail(self, error: BaseException) -> NoReturn:
        """Raise what the caller gets for what the implementation raised."""
        told = error if self.on_failure is None else self.on_failure(error)
        if told is error:
            raise error
        raise told from error

    def call_bits(self, arguments: Sequence[int], stoppable: Stoppable | None = None) -> tuple[int, ...]:
        """As a guest's function, but that references among the results are refused."""
        values = self._parameters.unpack(self._pack_bits(arguments))
        slots = self._results.pack_numbers(self.call(values, stoppable))
        return struct.unpack(f"<{len(slots) // layout.SLOT_SIZE}Q", slots)

    def call_many(
        self, rows: Sequence[Sequence[Any]], stoppable: Stoppable | None = None
    ) -> list[tuple[Any, ...] | Exception]:
        """As a guest's function; stopping takes effect between two calls."""
        outcomes: list[tuple[Any, ...] | Exception] = []
        for row in rows:
            try:
                outcomes.append(self.call(row, stoppable))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def _run(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Call the implementation; its results as a tuple of the right length."""
        result = self._implementation(*arguments)
        wanted = len(self.type.results)
        if wanted == 1:
            return (result,)
        if wanted == 0:
            if result is None:
                return ()
        elif isinstance(result, Sequence) and not isinstance(result, str | bytes) and len(result) == wanted:
            return tuple(result)
        expected = f"a sequence of {wanted} results" if wanted else "None, for it has no results,"
        given = f"{result!r} ({type(result).__name__})"
        message = f"the host function {self.name or '?'} should return {expected} but returned {given}"
        raise ArgumentError(message, None, expected, given)

    def _result_error(self, error: ArgumentError) -> ArgumentError:
        message = f"result of the host function {self.name or '?'}: {error}"
        return ArgumentError(message, error.index, error.wanted, error.given)

    def run(self, slots: int) -> None:
        """Call the Python function for a guest: arguments from the slots, results into them."""
        parameters, results = self._parameters, self._results
        caller = native_runtime().caller_context() if results.has_references else 0
        values = self._run(parameters.unpack(ctypes.string_at(slots, parameters.size)))
        try:
            if caller:
                keeper = self.references.source(caller)
                assert isinstance(keeper, Member)
                results.link(values, keeper)
                content = results.pack(values, keeper)
            else:
                content = results.pack_numbers(values)
        except ArgumentError as error:
            raise self._result_error(error) from None
        ctypes.memmove(slots, content, len(content))


def _masks(signature: FunctionType) -> list[int]:
    """How many parameters there are, and which bits of 64 each has."""
    return [len(signature.parameters), *((1 << 8 * kind.size) - 1 for kind in signature.parameters)]


class DirectHostFunction(HostFunction):
    """A host function for what guests call often: it gets and returns plain unsigned ints.

    Machine code calls the Python function itself, with nothing of ours in between. So it has integers for parameters,
    and an integer or nothing for a result; it gets them as unsigned ints, and of what it returns the lowest bits count.
    """

    __slots__ = ()

    def __init__(
        self,
        implementation: Callable[..., int | None],
        name: str | None,
        references: References,
        type_id: TypeId,
    ) -> None:
        """Make one. Raises ValueError for a type with anything but integers, or too many."""
        signature = type_id.type.function
        few = len(signature.results) <= 1 and len(signature.parameters) <= DIRECT_PARAMETERS
        if not few or not {*signature.parameters, *signature.results} <= {I32, I64}:
            raise ValueError(
                f"a function called directly has integers, at most {DIRECT_PARAMETERS} and one result, not {signature}"
            )
        super().__init__(implementation, name, references, type_id, direct=True)

    def _run(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Call the implementation for Python, which has signed ints."""
        unsigned = (
            argument & (1 << 8 * value_type.size) - 1
            for argument, value_type in zip(arguments, self.type.parameters, strict=True)
        )
        result = self._implementation(*unsigned)
        if not self.type.results:
            return ()
        width = 8 * self.type.results[0].size
        bits = 0 if result is None else result & (1 << width) - 1
        return (bits - (bits >> width - 1 << width),)


_identities = itertools.count(1)
_host_functions: dict[int, weakref.ref[HostFunction]] = {}


def _call_host(identity: int, _index: int, slots: int) -> None:
    function = _host_functions[identity]()
    if function is None:
        raise EngineBug("a guest called a host function that is gone")
    try:
        function.run(slots)
    except WasmException as error:
        if not function.references.has_tag(error):
            raise
        throw_on_return(error)
    except BaseException as error:
        function.fail(error)


def install() -> None:
    """Connect guests' calls of host functions to this module."""
    native_runtime().handle("host", _call_host)
