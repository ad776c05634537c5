"""Streams of calls of the asyncio client."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from farcall.client.aio.connection import Connection
from farcall.client.calls.invocations import Outcome, read_stream_outcome
from farcall.client.errors import CancelledError, ClosedError, FarcallError, ServerError, UnavailableError
from farcall.client.handles import Exports, FunctionHandle, function_of
from farcall.client.status import error_from_call
from farcall.client.types import Argument, Results
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages


class Pending:
    """A call that has been sent on a stream."""

    __slots__ = ("_outcome",)

    def __init__(self) -> None:
        # An error is kept as a result: asyncio complains of exceptions in futures that nobody asks for.
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def done(self) -> bool:
        """Whether the answer has been read; `result` does not wait then."""
        return self._outcome.done()

    async def result(self) -> Results:
        """Waits for the answer; gives what the function returned, or raises as a call does."""
        outcome = await self.outcome()
        if isinstance(outcome, FarcallError):
            raise outcome
        return outcome

    async def outcome(self) -> Outcome:
        """Waits for the answer; gives what the function returned, or the error."""
        return await asyncio.shield(self._outcome)

    def _resolve(self, outcome: Outcome) -> None:
        self._outcome.set_result(outcome)


class Stream:
    """A stream of calls, made in the order in which they are sent; several can be under way.

    ::

        async with instance.stream() as stream:
            pending = [await stream.send("add", number, 1) for number in range(1000)]
            results = [await call.result() for call in pending]
            same = [result async for result in stream.map("add", ((number, 1) for number in range(1000)))]

    Calls into one instance, or into linked ones, run in the order in which they were sent. At the end of the
    `async with` block the stream waits for the answers; leaving it by an exception cancels what is under way.
    Tasks may share a stream; one that is cancelled does not harm the others.
    """

    def __init__(
        self, connection: Connection, exports: Exports[Any] | None, window: int, timeout: float | None
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, but is {window}")
        self._connection = connection
        self._exports = exports
        self._window = window
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._room = asyncio.Semaphore(window)
        self._requests: asyncio.Queue[messages.StreamInvokeRequest | None] = asyncio.Queue()
        self._pending: dict[int, Pending] = {}
        self._failure: FarcallError | None = None  # what `send` raises from then on
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def send(
        self, function: FunctionHandle | str, *arguments: Argument, timeout: float | None = None
    ) -> Pending:
        """Sends a call, and does not wait for the answer unless `window` calls are under way.

        Args:
            function: the function; its name, if the stream is one of an instance.
            arguments: one a parameter.
            timeout: seconds after which the guest is stopped, counted from when the server has the call.

        Raises:
            ArgumentError: the arguments do not fit.
            ClosedError: the stream has been closed.
            FarcallError: the stream has failed, as this error says.
        """
        calls = function_of(function, self._exports).calls
        number = next(self._numbers)
        request = calls.stream_request(number, arguments, timeout)
        await self._room.acquire()
        if self._failure is not None:
            self._room.release()
            raise self._failure
        if self._reader is None:
            self._call = self._connection.stream("StreamInvoke", self._sent_requests(), self._timeout)
            self._reader = asyncio.create_task(self._read_answers())
        pending = self._pending[number] = Pending()
        self._requests.put_nowait(request)
        return pending

    async def map(
        self,
        function: FunctionHandle | str,
        calls: Iterable[Sequence[Argument]] | AsyncIterable[Sequence[Argument]],
        *,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> AsyncIterator[Outcome]:
        """Calls a function with one list of arguments after the other; gives the results in the same order.

        Up to `window` calls are under way at a time; `calls` is read as far as that, also while results are
        awaited.

        Args:
            function: the function; its name, if the stream is one of an instance.
            calls: the arguments of each call.
            timeout: of each call, in seconds.
            return_exceptions: whether a failed call's error is given at its place; else it is raised there.
        """
        take = Pending.outcome if return_exceptions else Pending.result
        under_way: asyncio.Queue[Pending | Exception | None] = asyncio.Queue(self._window)

        async def send_all() -> None:
            end: Exception | None = None
            try:
                async for arguments in _asynchronous(calls):
                    await under_way.put(await self.send(function, *arguments, timeout=timeout))
            except Exception as error:
                end = error
            await under_way.put(end)

        # In a task of its own, so that an answer is given also while `calls` does not know what comes next.
        sender = asyncio.create_task(send_all())
        try:
            while (pending := await under_way.get()) is not None:
                if isinstance(pending, Exception):
                    raise pending
                yield await take(pending)
        finally:
            sender.cancel()

    async def _sent_requests(self) -> AsyncIterator[messages.StreamInvokeRequest]:
        while (request := await self._requests.get()) is not None:
            yield request

    async def _read_answers(self) -> None:
        try:
            async for response in self._call:
                pending = self._pending.pop(response.correlation_id, None)
                if pending is not None:
                    pending._resolve(read_stream_outcome(response))
                    self._room.release()
        except grpc.RpcError as error:
            self._fail(self._reason(error))
        except asyncio.CancelledError:
            self._fail(CancelledError("the stream was cancelled"))
        else:
            self._fail(ServerError("the server ended the stream before it had answered every call"))

    def _reason(self, error: grpc.RpcError) -> FarcallError:
        """Why the stream failed.

        Where gRPC was sending while the server ended the stream, it forgets the server's reason and gives one
        of its own.
        """
        if error.code() is grpc.StatusCode.INTERNAL and error.details() == "Internal error from Core":
            address = self._connection.address
            return UnavailableError(f"the server at {address} ended the stream while a call was being sent")
        return error_from_call(error, self._connection.address)

    def _fail(self, error: FarcallError) -> None:
        if self._failure is None:
            self._failure = error
        self._requests.put_nowait(None)  # ends the iterator that gRPC waits for
        for pending in self._pending.values():
            pending._resolve(error)
            self._room.release()
        self._pending.clear()

    async def cancel(self) -> None:
        """Stops what is under way, and closes the stream; calls without an answer raise CancelledError."""
        self._fail(CancelledError("the stream was cancelled"))
        if self._reader is not None:
            self._call.cancel()
            await asyncio.wait([self._reader])

    async def close(self) -> None:
        """Waits for the answers of all calls, and closes the stream."""
        if self._failure is None:
            self._failure = ClosedError("the stream has been closed")
            self._requests.put_nowait(None)
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.cancel()


async def _asynchronous(
    calls: Iterable[Sequence[Argument]] | AsyncIterable[Sequence[Argument]],
) -> AsyncIterator[Sequence[Argument]]:
    if isinstance(calls, AsyncIterable):
        async for arguments in calls:
            yield arguments
    else:
        for arguments in calls:
            yield arguments
