"""Streams of calls of the synchronous client."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from farcall.client.calls.invocations import Outcome, read_stream_outcome
from farcall.client.connection import Connection
from farcall.client.errors import CancelledError, ClosedError, FarcallError, ServerError
from farcall.client.handles import Exports, FunctionHandle, function_of
from farcall.client.status import error_from_call
from farcall.client.types import Argument, Results
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages


class Pending:
    """A call that has been sent on a stream."""

    __slots__ = ("_answered", "_outcome", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._outcome: Outcome = None
        self._answered = False

    def done(self) -> bool:
        """Whether the answer has been read; `result` does not wait then."""
        return self._answered

    def result(self) -> Results:
        """Waits for the answer; gives what the function returned, or raises as a call does."""
        outcome = self.outcome()
        if isinstance(outcome, FarcallError):
            raise outcome
        return outcome

    def outcome(self) -> Outcome:
        """Waits for the answer; gives what the function returned, or the error."""
        while not self._answered:
            self._stream._read_answer(self)
        return self._outcome

    def _resolve(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._answered = True


class Stream:
    """A stream of calls, made in the order in which they are sent; several can be under way.

    ::

        with instance.stream() as stream:
            pending = [stream.send("add", number, 1) for number in range(1000)]
            results = [call.result() for call in pending]
            same = list(stream.map("add", ((number, 1) for number in range(1000))))

    Calls into one instance, or into linked ones, run in the order in which they were sent. At the end of the
    `with` block the stream waits for the answers; leaving it by an exception cancels what is under way.
    Threads may share a stream.
    """

    def __init__(
        self,
        connection: Connection,
        exports: Exports[Any] | None,
        window: int,
        timeout: float | None,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, but is {window}")
        self._connection = connection
        self._exports = exports
        self._window = window
        self._numbers = itertools.count(1)
        self._requests: queue.SimpleQueue[messages.StreamInvokeRequest | None] = queue.SimpleQueue()
        self._pending: dict[int, Pending] = {}  # guarded by _state
        self._failure: FarcallError | None = None  # guarded by _state; what `send` raises from then on
        self._state = threading.Lock()
        self._reading = threading.Lock()  # held by the thread that waits for the next answer
        self._call = connection.stream("StreamInvoke", iter(self._requests.get, None), timeout)

    def send(
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
        pending = Pending(self)
        while not self._add(number, pending, request):
            self._read_answer(None)
        return pending

    def _add(self, number: int, pending: Pending, request: messages.StreamInvokeRequest) -> bool:
        """Sends the request, if the window has room."""
        with self._state:
            if self._failure is not None:
                raise self._failure
            if len(self._pending) >= self._window:
                return False
            self._pending[number] = pending
            self._requests.put(request)
            return True

    def map(
        self,
        function: FunctionHandle | str,
        calls: Iterable[Sequence[Argument]],
        *,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> Iterator[Outcome]:
        """Calls a function with one list of arguments after the other; gives the results in the same order.

        Up to `window` calls are under way at a time; `calls` is read as far as that.

        Args:
            function: the function; its name, if the stream is one of an instance.
            calls: the arguments of each call.
            timeout: of each call, in seconds.
            return_exceptions: whether a failed call's error is given at its place; else it is raised there.
        """
        take = Pending.outcome if return_exceptions else Pending.result
        under_way: deque[Pending] = deque()
        for arguments in calls:
            if len(under_way) >= self._window:
                yield take(under_way.popleft())
            under_way.append(self.send(function, *arguments, timeout=timeout))
        while under_way:
            yield take(under_way.popleft())

    def _read_answer(self, wanted: Pending | None) -> None:
        """Reads one answer, unless `wanted` has been answered or, for None, there is room in the window."""
        with self._reading:
            with self._state:
                enough = len(self._pending) < self._window if wanted is None else wanted._answered
                if enough or (wanted is None and self._failure is not None):
                    return
            try:
                response = next(self._call)
            except StopIteration:
                self._fail(ServerError("the server ended the stream before it had answered every call"))
            except grpc.RpcError as error:
                self._fail(error_from_call(error, self._connection.address))
            else:
                with self._state:
                    pending = self._pending.pop(response.correlation_id, None)
                if pending is not None:
                    pending._resolve(read_stream_outcome(response))

    def _fail(self, error: FarcallError) -> None:
        with self._state:
            self._failure = error
            unanswered = list(self._pending.values())
            self._pending.clear()
            self._requests.put(None)  # ends gRPC's thread that waits for requests
        for pending in unanswered:
            pending._resolve(error)

    def cancel(self) -> None:
        """Stops what is under way, and closes the stream; calls without an answer raise CancelledError."""
        self._call.cancel()
        self._fail(CancelledError("the stream was cancelled"))

    def close(self) -> None:
        """Waits for the answers of all calls, and closes the stream."""
        with self._state:
            if self._failure is None:
                self._failure = ClosedError("the stream has been closed")
                self._requests.put(None)
        while True:
            with self._state:
                pending = next(iter(self._pending.values()), None)
            if pending is None:
                return
            self._read_answer(pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.cancel()
