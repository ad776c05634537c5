"""One `StreamInvoke`: calls as they come in, responses as they are done."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import grpc

from farcall.engine import FarcallError
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import RequestError, StopReason, bad_request, shutting_down
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.job import Job
from farcall.server.guards.size import answer_too_large
from farcall.server.invoker import ColumnsJob, Invoker, PreparedCall
from farcall.server.status import status_of

WINDOW = 256
"""Requests of a stream that may be under way. Beyond, the server stops reading, and HTTP/2 makes the sender wait."""

_PROMPT = 0.00015
"""Seconds: who sends the next request sooner than that after the last did not wait for its answer."""

_Context = grpc.aio.ServicerContext[messages.StreamInvokeRequest, messages.StreamInvokeResponse]


class InvocationStream:
    """The state of one stream. Used by the event loop's thread only."""

    def __init__(
        self, context: _Context, invoker: Invoker, limits: TimeLimits, streams: Collection[InvocationStream]
    ) -> None:
        """Make the state of a stream, in the task that serves it.

        Parameters:
            streams: all that are open.
        """
        self._context = context
        self._invoker = invoker
        self._limits = limits
        self._jobs: set[Job[Any]] = set()
        self._responses: deque[messages.StreamInvokeResponse] = deque()
        self._writing = False
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self._progress = asyncio.Event()
        self._reader = asyncio.current_task()
        self._draining = False
        self._is_reading = False
        self._streams = streams
        self._patient = True

    async def run(self) -> None:
        """Serve the stream to its end.

        Raises:
            RequestError: the server is shutting down.
        """
        try:
            await self._read_all()
        except asyncio.CancelledError:
            if self._draining and self._reader is not None and self._reader.uncancel() == 0:
                raise shutting_down() from None
            raise
        finally:
            for job in list(self._jobs):
                self._invoker.executor.stop(job, StopReason.CANCELLED)
            self._closed = True
            if self._writer is not None:
                self._writer.cancel()

    def drain(self) -> None:
        """The server is shutting down: end the stream as soon as nothing is under way on it."""
        self._draining = True
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        busy = self._jobs or self._responses or self._writing
        if self._draining and self._is_reading and not busy and self._reader is not None:
            self._is_reading = False
            self._reader.cancel()

    async def _read_all(self) -> None:
        while True:
            request = await self._next()
            if request is None:
                break
            self._begin(request)
            if self._responses and not self._writing:
                self._writing = True
                await self._write()
            while len(self._jobs) + len(self._responses) >= WINDOW:
                await self._wait_for_progress()
        while self._jobs or self._responses or self._writing:
            await self._wait_for_progress()

    async def _next(self) -> messages.StreamInvokeRequest | None:
        """The next request; None if the caller sends no more."""
        start = time.perf_counter()
        self._is_reading = True
        self._end_if_drained()
        request = await self._context.read()
        self._is_reading = False
        # Waiting for a job holds up what else could be read: right for who waits for each answer, not for others.
        self._patient = len(self._streams) == 1 and time.perf_counter() - start > _PROMPT
        return request if isinstance(request, messages.StreamInvokeRequest) else None  # else grpc.aio.EOF

    async def _wait_for_progress(self) -> None:
        self._progress.clear()
        await self._progress.wait()

    async def _write(self) -> None:
        """Write all responses that are there; one task at a time does."""
        try:
            while self._responses:
                await self._context.write(self._fitting(self._responses.popleft()))
        finally:
            self._writing = False
            self._progress.set()
        self._end_if_drained()

    def _fitting(self, response: messages.StreamInvokeResponse) -> messages.StreamInvokeResponse:
        """The response, or an error in its place: one that is too large to be sent would end the stream."""
        limit = self._invoker.max_message_bytes
        size = response.ByteSize()
        if size <= limit:
            return response
        return messages.StreamInvokeResponse(
            correlation_id=response.correlation_id, error=status_of(answer_too_large(size, limit))
        )

    def _respond(self, response: messages.StreamInvokeResponse) -> None:
        """A response has come while the reader waits for requests: have it written."""
        if self._closed:
            return
        self._responses.append(response)
        if not self._writing:
            self._writing = True
            self._writer = asyncio.create_task(self._write())
            self._writer.add_done_callback(_forget)

    # -- Requests --------------------------------------------------------------------------------------------------

    def _begin(self, request: messages.StreamInvokeRequest) -> None:
        """Do what a request asks for, or start it; what is wrong with it is its response."""
        response = messages.StreamInvokeResponse(correlation_id=request.correlation_id)
        try:
            if self._draining:
                raise shutting_down()
            match request.WhichOneof("request"):
                case "call":
                    done = self._begin_call(request, response)
                case "columns":
                    done = self._begin_columns(request, response)
                case _:
                    raise bad_request("request", "must be set: `call` or `columns`")
        except (RequestError, FarcallError) as error:
            response.error.CopyFrom(status_of(error))
            done = True
        if done:
            self._responses.append(response)

    def _begin_call(
        self, request: messages.StreamInvokeRequest, response: messages.StreamInvokeResponse
    ) -> bool:
        message = request.call
        call = self._invoker.prepare(message.instance, message.function, message.arguments)
        results = self._invoker.call_at_once(call)
        if results is not None:
            _write_results(call, results, response)
            return True
        job = self._invoker.call_job(call)
        executor = self._invoker.executor
        queue = call.record.queue

        def end(job: Job[tuple[Any, ...]]) -> None:
            self._invoker.ended(call.binding, job)
            try:
                _write_results(call, job.outcome(), response)
            except Exception as error:
                self._invoker.failed(error)
                response.error.CopyFrom(status_of(error))

        if executor.try_now(queue, job, call.binding.expected_seconds if self._patient else math.inf):
            end(job)
            return True
        self._attend(job, queue, request, response, end)
        return False

    def _begin_columns(
        self, request: messages.StreamInvokeRequest, response: messages.StreamInvokeResponse
    ) -> bool:
        work: ColumnsJob = self._invoker.columns_job(request.columns)
        job, queue = work.job, work.record.queue

        def end(job: Job[messages.ResultColumns]) -> None:
            work.ended()
            try:
                response.columns.CopyFrom(job.outcome())
            except Exception as error:
                self._invoker.failed(error)
                response.error.CopyFrom(status_of(error))

        if self._invoker.executor.try_now(queue, job, work.expected_seconds if self._patient else math.inf):
            end(job)
            return True
        self._attend(job, queue, request, response, end)
        return False

    def _attend(
        self,
        job: Job[Any],
        queue: CallQueue,
        request: messages.StreamInvokeRequest,
        response: messages.StreamInvokeResponse,
        end: Callable[[Job[Any]], None],
    ) -> None:
        """See a job through whose outcome `end` puts into the response."""
        # Without timedelta, which cannot hold all that a Duration can.
        wanted = (
            request.timeout.seconds + request.timeout.nanos / 1e9 if request.HasField("timeout") else None
        )
        self._jobs.add(job)

        def deliver(job: Job[Any]) -> None:
            self._jobs.discard(job)
            end(job)
            self._respond(response)

        self._invoker.executor.attend(queue, job, self._limits.seconds_or(self._context, wanted), deliver)


def _forget(task: asyncio.Task[None]) -> None:
    """A write that fails means that the caller is gone, which the reader is told, too."""
    if not task.cancelled():
        task.exception()


def _write_results(
    call: PreparedCall, results: tuple[Any, ...], response: messages.StreamInvokeResponse
) -> None:
    response.results.SetInParent()
    call.binding.write_results(results, response.results.values)
