"""One `ProvideImports`: calls of guests on their way to the client, outcomes on their way back."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import grpc

from farcall.engine import FunctionType, ImportFailedError, LinkError, Module, Stoppable
from farcall.engine import Import as ModuleImport
from farcall.proto.farcall.v1 import import_service_pb2 as messages
from farcall.proto.farcall.v1 import value_pb2
from farcall.server.errors import RequestError, bad_request, shutting_down
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.call_site import CallSite
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import running_stoppable
from farcall.server.messages.types import function_type_message
from farcall.server.messages.values import read_value, write_value
from farcall.server.store_registry import InstanceRecord, StoreRecord

MAX_NESTED_CALLS = 64
"""Calls of one session that may wait, each in the middle of the one before."""

GONE = "the client that provides it is gone"
_DRAINING_POLL = 0.05
"""Seconds between two looks at whether an instance is idle, while the server shuts down."""

_Context = grpc.aio.ServicerContext[messages.ProvideImportsRequest, messages.ProvideImportsResponse]
_Site = CallSite[messages.ImportOutcome]


class ImportSession:
    """The state of one stream. Made and run by the event loop's thread; workers call `call`."""

    def __init__(self, context: _Context, executor: Executor, sites: dict[str, CallSite[Any]]) -> None:
        """Make the state of a stream.

        Parameters:
            sites: all calls of all sessions that wait, by token.
        """
        self._context = context
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Task[Any] | None = None
        self._all_sites = sites
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, _Site] = {}  # guarded by _lock
        self._end_reason: str | None = None  # why no call is passed on any more; guarded by _lock
        self._responses: deque[messages.ProvideImportsResponse] = deque()
        self._response_there = asyncio.Event()
        self._drained = False
        self._over = False
        self.record: InstanceRecord | None = None

    # -- In a worker: a guest calls --------------------------------------------------------------------------------

    def call(self, function: ProvidedFunction, arguments: Sequence[Any]) -> Any:
        """Pass a guest's call on, and wait for what the client makes of it.

        Raises:
            ImportFailedError: the client's function failed, its results do not fit, or the client is gone.
            TerminatedError: the guest was stopped.
        """
        stoppable = running_stoppable()
        if (
            stoppable is None
        ):  # a call in the event loop's thread cannot reach an import: see `FunctionBinding`
            raise function.failure("it was called outside of a job")
        message = messages.ImportCall(call_id=next(self._numbers), function_index=function.index)
        for value_type, value in zip(function.type.parameters, arguments, strict=True):
            write_value(value_type, value, message.arguments.add(), function.store)
        outcome = self._outcome(function, message, stoppable)
        if outcome.WhichOneof("outcome") == "results":
            return function.results(outcome.results.values)
        raise function.failure(outcome.error.message or "the client gave no reason")

    def _outcome(
        self, function: ProvidedFunction, message: messages.ImportCall, stoppable: Stoppable
    ) -> messages.ImportOutcome:
        site: _Site = self._executor.new_site(function.queue)
        message.token = site.token
        with self._lock:
            if self._end_reason is not None:
                raise function.failure(self._end_reason)
            if len(self._waiting) >= MAX_NESTED_CALLS:
                raise function.failure(f"{MAX_NESTED_CALLS} calls wait, each in the middle of the one before")
            self._waiting[message.call_id] = site
        self._all_sites[site.token] = site
        response = messages.ProvideImportsResponse(call=message)
        self._loop.call_soon_threadsafe(self._respond, response)
        try:
            return site.wait(stoppable)
        except BaseException:
            abandoned = messages.ProvideImportsResponse(abandoned_call_id=message.call_id)
            self._loop.call_soon_threadsafe(self._respond, abandoned)
            raise
        finally:
            del self._all_sites[site.token]
            with self._lock:
                self._waiting.pop(message.call_id, None)

    # -- On the event loop's thread --------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Pass calls and outcomes on until the client sends no more, or is gone.

        Raises:
            RequestError: a message is none, or the server is shutting down.
        """
        self._reader = asyncio.current_task()
        writer = asyncio.create_task(self._write_all())
        reason = GONE
        try:
            while isinstance(request := await self._context.read(), messages.ProvideImportsRequest):
                self._take(request)
        except asyncio.CancelledError:
            if self._drained and self._reader is not None and self._reader.uncancel() == 0:
                reason = "the server is shutting down"
                raise shutting_down() from None
            if self._over and self._reader is not None and self._reader.uncancel() == 0:
                return
            raise
        finally:
            writer.cancel()
            self.end(reason)

    def _take(self, request: messages.ProvideImportsRequest) -> None:
        if request.WhichOneof("request") != "outcome":
            raise bad_request("request", "must be `outcome`: only the first request is `provision`")
        if request.outcome.WhichOneof("outcome") is None:
            raise bad_request("outcome.outcome", "must be set: `results` or `error`")
        with self._lock:
            # Of a call that has been stopped nobody wants to know.
            site = self._waiting.pop(request.outcome.call_id, None)
        if site is not None:
            site.answer(request.outcome)

    def created(self, response: messages.ProvideImportsResponse, record: InstanceRecord) -> None:
        """Tell the client of the instance."""
        self.record = record
        self._respond(response)

    def _respond(self, response: messages.ProvideImportsResponse) -> None:
        self._responses.append(response)
        self._response_there.set()

    async def _write_all(self) -> None:
        while True:
            await self._response_there.wait()
            self._response_there.clear()
            while self._responses:
                await self._context.write(self._responses.popleft())

    def end(self, reason: str) -> None:
        """No call is passed on any more; those that wait fail."""
        with self._lock:
            if self._end_reason is not None:
                return
            self._end_reason = reason
            waiting = list(self._waiting.items())
            self._waiting.clear()
        for call_id, site in waiting:
            outcome = messages.ImportOutcome(call_id=call_id)
            outcome.error.message = reason
            site.answer(outcome)

    def store_closed(self) -> None:
        """The instance's store is closed, and with it all that could call: end the stream."""
        self._over = True
        if self._reader is not None:
            self._reader.cancel()

    def forget(self) -> None:
        """The stream has ended."""
        if self.record is not None:
            self.record.store.when_closed.discard(self.store_closed)

    async def drain(self) -> None:
        """The server is shutting down: end the stream once nothing waits for, or runs in, its instance."""
        while self._waiting or (self.record is not None and self.record.pending):
            await asyncio.sleep(_DRAINING_POLL)
        self._drained = True
        if self._reader is not None:
            self._reader.cancel()


class ProvidedFunction:
    """A function of the client's as the Python function that guests call.

    Attributes:
        index: its position among those that the client provides.
        store: of the instance that imports it.
        queue: of that instance.
        type: parameters and results.
    """

    def __init__(
        self,
        session: ImportSession,
        index: int,
        names: tuple[str, str],
        function_type: FunctionType,
        store: StoreRecord,
        queue: CallQueue,
    ) -> None:
        self._session = session
        self._names = names
        self.index = index
        self.type = function_type
        self.store = store
        self.queue = queue

    def __call__(self, *arguments: Any) -> Any:
        """Have the client called. Raises as `ImportSession.call`."""
        return self._session.call(self, arguments)

    def failure(self, reason: str) -> ImportFailedError:
        """The error for a call that failed."""
        return ImportFailedError(*self._names, reason)

    def results(self, values: Sequence[value_pb2.Value]) -> Any:
        """What the client's function returned, as a host function returns it. Raises ImportFailedError."""
        wanted = self.type.results
        if len(values) != len(wanted):
            raise self.failure(f"the client's function has {len(wanted)} results, but gave {len(values)}")
        found = []
        for position, (value, value_type) in enumerate(zip(values, wanted, strict=True)):
            try:
                found.append(read_value(value, value_type, None, self.store))
            except RequestError as error:
                raise self.failure(f"result {position}: {error.message}") from None
        if not found:
            return None
        return found[0] if len(found) == 1 else found


def provided_imports(
    session: ImportSession,
    provided: Sequence[messages.ProvidedFunction],
    module: Module,
    store: StoreRecord,
    queue: CallQueue,
) -> dict[tuple[str, str], Any]:
    """What the module imports and the client provides, as the engine wants its imports.

    Raises:
        LinkError: a provided function has another type than the import, or the import is no function.
    """
    wanted = {(entry.module, entry.name): entry for entry in module.imports}
    imports: dict[tuple[str, str], Any] = {}
    for index, entry in enumerate(provided):
        names = (entry.import_module, entry.import_name)
        declared = wanted.get(names)
        if declared is None:
            continue
        function_type = _checked_type(entry, declared)
        function = ProvidedFunction(session, index, names, function_type, store, queue)
        imports[names] = store.store.host_function(function_type, function, ".".join(names))
    return imports


def _checked_type(entry: messages.ProvidedFunction, declared: ModuleImport) -> FunctionType:
    found = "a function that a client provides"
    if not isinstance(declared.type, FunctionType):
        raise LinkError(declared.module, declared.name, str(declared.type), found)
    if entry.HasField("type") and entry.type != function_type_message(declared.type):
        found = f"{found}, {_type_text(entry.type)}"
        raise LinkError(declared.module, declared.name, f"function {declared.type}", found)
    return declared.type


def _type_text(message: value_pb2.FunctionType) -> str:
    parameters = _names(message.parameters, message.parameter_names)
    return f"({', '.join(parameters)}) -> ({', '.join(_names(message.results, message.result_names))})"


def _names(codes: Sequence[value_pb2.ValueType.ValueType], names: Sequence[str]) -> list[str]:
    if names:
        return list(names)
    known = value_pb2.ValueType.values()
    return [
        value_pb2.ValueType.Name(code).removeprefix("VALUE_TYPE_").lower() if code in known else "?"
        for code in codes
    ]
