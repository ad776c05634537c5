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
from farcall.server.execution.job import Job
from farcall.server.function_binding import FunctionBinding
from farcall.server.invoker import Invoker
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
        self._streams = streams
        self._reader = asyncio.current_task()
        self._reading_since = 0.0  # 0: it is not reading
        self._jobs: set[Job[Any]] = set()
        self._responses: deque[messages.StreamInvokeResponse] = deque()
        self._writing = False
        self._writer: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()
        self._draining = False
        self._closed = False

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
            self._closed = True
            for job in list(self._jobs):
                self._invoker.executor.stop(job, StopReason.CANCELLED)
            if self._writer is not None:
                self._writer.cancel()

    def drain(self) -> None:
        """The server is shutting down: end the stream as soon as nothing is under way on it."""
        self._draining = True
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        busy = self._jobs or self._responses or self._writing
        if self._draining and self._reading_since and not busy and self._reader is not None:
            self._reading_since = 0.0
            self._reader.cancel()

    # -- Reading and writing ---------------------------------------------------------------------------------------

    async def _read_all(self) -> None:
        # What happens for each message of a short call stands here and in `_answer`: it is the service's fastest way.
        read, write = self._context.read, self._context.write
        while True:
            self._reading_since = time.perf_counter()
            if self._draining:
                self._end_if_drained()
            request = await read()
            waited, self._reading_since = time.perf_counter() - self._reading_since, 0.0
            if not isinstance(request, messages.StreamInvokeRequest):
                break  # grpc.aio.EOF: the caller sends no more
            response = self._answer(request, waited > _PROMPT)
            if response is not None:
                if self._writing or self._responses:
                    self._responses.append(response)
                else:
                    self._writing = True
                    await write(response)
                    self._writing = False
            if self._responses and not self._writing:
                self._writing = True
                await self._write()
            while len(self._jobs) + len(self._responses) >= WINDOW:
                await self._wait_for_progress()
        while self._jobs or self._responses or self._writing:
            await self._wait_for_progress()

    async def _wait_for_progress(self) -> None:
        self._progress.clear()
        await self._progress.wait()

    async def _write(self) -> None:
        """Write all responses that are there; one task at a time does."""
        try:
            while self._responses:
                await self._context.write(self._responses.popleft())
        finally:
            self._writing = False
            self._progress.set()
        self._end_if_drained()

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

    def _answer(
        self, request: messages.StreamInvokeRequest, prompted: bool
    ) -> messages.StreamInvokeResponse | None:
        """The response to a request, if there is one already; else what it asks for is under way.

        Parameters:
            prompted: whether the caller seems to wait for each answer before the next request.
        """
        response = messages.StreamInvokeResponse(correlation_id=request.correlation_id)
        try:
            if self._draining:
                raise shutting_down()
            match request.WhichOneof("request"):
                case "call":
                    call = request.call
                    binding = self._invoker.find(call.instance, call.function)
                    arguments = binding.read_arguments(call.arguments)
                    results = self._invoker.call_at_once(binding, arguments)
                    if results is None:
                        return self._begin_call(binding, arguments, request, response, prompted)
                    _write_results(binding, results, response)
                case "columns":
                    return self._begin_columns(request, response, prompted)
                case _:
                    raise bad_request("request", "must be set: `call` or `columns`")
        except (RequestError, FarcallError) as error:
            response.error.CopyFrom(status_of(error))
        return response

    def _begin_call(
        self,
        binding: FunctionBinding,
        arguments: list[Any],
        request: messages.StreamInvokeRequest,
        response: messages.StreamInvokeResponse,
        prompted: bool,
    ) -> messages.StreamInvokeResponse | None:
        job = self._invoker.call_job(binding, arguments)

        def end(job: Job[tuple[Any, ...]]) -> None:
            self._invoker.ended(binding, job)
            _write_results(binding, job.outcome(), response)

        return self._begin(job, binding, binding.expected_seconds, end, request, response, prompted)

    def _begin_columns(
        self,
        request: messages.StreamInvokeRequest,
        response: messages.StreamInvokeResponse,
        prompted: bool,
    ) -> messages.StreamInvokeResponse | None:
        work = self._invoker.columns_job(request.columns)

        def end(job: Job[messages.ResultColumns]) -> None:
            work.ended()
            response.columns.CopyFrom(job.outcome())

        return self._begin(work.job, work.binding, work.expected_seconds, end, request, response, prompted)

    def _begin(
        self,
        job: Job[Any],
        binding: FunctionBinding,
        expected_seconds: float,
        end: Callable[[Job[Any]], None],
        request: messages.StreamInvokeRequest,
        response: messages.StreamInvokeResponse,
        prompted: bool,
    ) -> messages.StreamInvokeResponse | None:
        """Start a job; the response if it is done at once.

        Parameters:
            end: puts the job's outcome into the response, or raises it.
        """
        executor, queue = self._invoker.executor, binding.record.queue

        def finish(job: Job[Any]) -> None:
            try:
                end(job)
            except Exception as error:  # whatever it is, it is this request's outcome
                self._invoker.failed(error)
                response.error.CopyFrom(status_of(error))

        def deliver(job: Job[Any]) -> None:
            self._jobs.discard(job)
            finish(job)
            self._respond(response)

        # Waiting for a job holds up what else could be read: right for who waits for each answer, not for others.
        patient = prompted and len(self._streams) == 1
        if executor.try_now(queue, job, expected_seconds if patient else math.inf):
            finish(job)
            return response
        wanted = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else None
        self._jobs.add(job)
        executor.attend(queue, job, self._limits.seconds_or(self._context, wanted), deliver)
        return None


def _write_results(
    binding: FunctionBinding, results: tuple[Any, ...], response: messages.StreamInvokeResponse
) -> None:
    response.results.SetInParent()
    binding.write_results(results, response.results.values)


def _forget(task: asyncio.Task[None]) -> None:
    """A write that fails means that the caller is gone, which the reader is told, too."""
    if not task.cancelled():
        task.exception()
