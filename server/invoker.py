"""Makes calls: the way from a request's fields to a result, for all forms of invocation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.rpc.status_pb2 import Status

from farcall.engine import FarcallError, Stoppable, TerminatedError
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.proto.farcall.v1 import value_pb2
from farcall.server.counters import CallCounters
from farcall.server.errors import RequestError, limit_reached
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import Job
from farcall.server.function_binding import FunctionBinding
from farcall.server.status import status_of
from farcall.server.status_size import share
from farcall.server.store_registry import InstanceRecord, StoreRegistry

T = TypeVar("T")

MAX_CALLS_PER_MESSAGE = 100_000
"""A row of Python objects is made for each, so a small message must not ask for millions."""


@dataclass(slots=True)
class PreparedCall:
    """A call whose instance, function and arguments have been found to be right."""

    record: InstanceRecord
    binding: FunctionBinding
    arguments: list[Any]


class Invoker:
    """Makes calls of exported functions. Used by the event loop's thread only."""

    def __init__(
        self,
        registry: StoreRegistry,
        executor: Executor,
        counters: CallCounters,
        *,
        max_pending: int,
        max_message_bytes: int,
    ) -> None:
        self._registry = registry
        self.executor = executor
        self._counters = counters
        self._max_pending = max_pending
        self.max_message_bytes = max_message_bytes

    def prepare(
        self, instance: str, function: str, arguments: RepeatedCompositeFieldContainer[value_pb2.Value]
    ) -> PreparedCall:
        """Find what is to be called. Raises RequestError that says which field is wrong."""
        record = self._registry.instance(instance, "instance")
        binding = record.function(function)
        return PreparedCall(record, binding, binding.read_arguments(arguments))

    def admit(self, record: InstanceRecord) -> None:
        """Raise RequestError if too many requests wait for the instance."""
        if len(record.pending) >= self._max_pending:
            raise limit_reached(
                record.name, f"{self._max_pending} requests wait for {record.name!r}, which is the limit"
            )

    def new_job(self, record: InstanceRecord, work: Callable[[Stoppable], T]) -> Job[T]:
        """A job on an instance, if not too many wait for it. Raises RequestError."""
        self.admit(record)
        return Job(work, record.pending)

    def call_at_once(self, call: PreparedCall) -> tuple[Any, ...] | None:
        """The results of a call that is known to be short, made here and now; None if it has to be a job.

        Raises what the engine raises.
        """
        binding = call.binding
        if not binding.is_short:
            return None
        queue = call.record.queue
        if not queue.enter():
            return None
        self.executor.workers.deliver()
        try:
            results = binding.call_at_once(call.arguments)
        except FarcallError as error:
            self._counters.calls += 1
            self._counters.failed(error)
            raise
        finally:
            queue.leave()
        if results is not None:
            self._counters.calls += 1
        return results

    def call_job(self, call: PreparedCall) -> Job[tuple[Any, ...]]:
        """A job that makes one call. Raises RequestError if too many wait."""
        return self.new_job(call.record, partial(call.binding.call, call.arguments))

    def ended(self, binding: FunctionBinding, job: Job[Any], calls: int = 1) -> None:
        """Learn and count: a job that made `calls` calls has ended."""
        if job.started:
            binding.took(job.seconds / max(calls, 1))
            binding.called()
        self._counters.calls += calls

    def failed(self, error: BaseException) -> None:
        """Count: a call failed."""
        self._counters.failed(error)

    async def call(self, call: PreparedCall, limit: Callable[[], float]) -> tuple[Any, ...]:
        """Make one call to its end.

        Raises:
            RequestError: it was stopped, or too many wait.
            FarcallError: it failed.
        """
        results = self.call_at_once(call)
        if results is not None:
            return results
        job = self.call_job(call)
        try:
            return await self.executor.run(call.record.queue, job, limit, call.binding.expected_seconds)
        except (RequestError, FarcallError) as error:
            self._counters.failed(error)
            raise
        except asyncio.CancelledError:
            self._counters.terminated += 1
            raise
        finally:
            self.ended(call.binding, job)

    # -- Many calls of one function --------------------------------------------------------------------------------

    def columns_job(self, columns: messages.CallColumns) -> ColumnsJob:
        """A job that makes the calls of columns.

        Raises:
            RequestError: instance or function are wrong, or too many wait; a wrong column is found by the job.
        """
        if columns.call_count > MAX_CALLS_PER_MESSAGE:
            raise too_many_calls(columns.call_count)
        record = self._registry.instance(columns.instance, "instance")
        binding = record.function(columns.function)
        binding.check_columns()
        return ColumnsJob(self, record, binding, columns)

    async def call_columns(
        self, columns: messages.CallColumns, limit: Callable[[], float]
    ) -> messages.ResultColumns:
        """Make the calls of columns. Raises RequestError for what is wrong with all of them, or if stopped."""
        work = self.columns_job(columns)
        try:
            return await self.executor.run(work.record.queue, work.job, limit, work.expected_seconds)
        except (RequestError, FarcallError) as error:
            self._counters.failed(error)
            raise
        finally:
            work.ended()

    # -- Lists of calls --------------------------------------------------------------------------------------------

    async def call_list(
        self, calls: Sequence[messages.Call], limit: Callable[[], float]
    ) -> messages.CallOutcomeList:
        """Make calls in their order; those of one instance that follow each other are one job.

        Raises:
            RequestError: they were stopped, or there are too many.
        """
        if len(calls) > MAX_CALLS_PER_MESSAGE:
            raise too_many_calls(len(calls))
        status_bytes = share(self.max_message_bytes, len(calls))
        outcomes: list[PreparedCall | tuple[Any, ...] | Status] = [
            self._prepare_or_status(call, status_bytes) for call in calls
        ]
        runs = groupby(
            (position for position, call in enumerate(outcomes) if isinstance(call, PreparedCall)),
            key=lambda position: outcomes[position].record,  # type: ignore[union-attr]
        )
        response = messages.CallOutcomeList()
        bindings = [call.binding if isinstance(call, PreparedCall) else None for call in outcomes]
        for record, positions in runs:
            await self._run(record, list(positions), outcomes, limit, status_bytes)
        for outcome, binding in zip(outcomes, bindings, strict=True):
            message = response.outcomes.add()
            if isinstance(outcome, Status):
                message.error.CopyFrom(outcome)
            else:
                message.results.SetInParent()
                assert binding is not None
                assert isinstance(outcome, tuple)
                binding.write_results(outcome, message.results.values)
        return response

    def _prepare_or_status(self, call: messages.Call, status_bytes: int) -> PreparedCall | Status:
        try:
            return self.prepare(call.instance, call.function, call.arguments)
        except (RequestError, FarcallError) as error:
            return status_of(error, status_bytes)

    async def _run(
        self,
        record: InstanceRecord,
        positions: Sequence[int],
        outcomes: list[PreparedCall | tuple[Any, ...] | Status],
        limit: Callable[[], float],
        status_bytes: int,
    ) -> None:
        """Make the calls at `positions`, all of one instance, and put their outcomes in their places."""
        calls = [call for position in positions if isinstance(call := outcomes[position], PreparedCall)]
        try:
            job = self.new_job(record, partial(_call_each, calls))
        except RequestError as error:  # too many wait for this instance; other calls of the list go on
            for position in positions:
                outcomes[position] = status_of(error, status_bytes)
            return
        expected = sum(call.binding.expected_seconds for call in calls)
        try:
            results = await self.executor.run(record.queue, job, limit, expected)
        finally:
            self._counters.calls += len(calls)
        for call in calls:
            call.binding.took(job.seconds / len(calls))
        for position, result in zip(positions, results, strict=True):
            if isinstance(result, BaseException):
                self._counters.failed(result)
                outcomes[position] = status_of(result, status_bytes)
            else:
                outcomes[position] = result


def _call_each(calls: Sequence[PreparedCall], stoppable: Stoppable) -> list[tuple[Any, ...] | Exception]:
    """In a worker: make calls one after the other. Raises TerminatedError once stopped."""
    results: list[tuple[Any, ...] | Exception] = []
    for call in calls:
        try:
            results.append(call.binding.call(call.arguments, stoppable))
        except TerminatedError:
            if stoppable.reason is not None:
                raise
            results.append(TerminatedError("the instance was closed"))
        except FarcallError as error:
            results.append(error)
    return results


class ColumnsJob:
    """The calls of a `CallColumns` as one job."""

    def __init__(
        self,
        invoker: Invoker,
        record: InstanceRecord,
        binding: FunctionBinding,
        columns: messages.CallColumns,
    ) -> None:
        self._invoker = invoker
        self.record = record
        self._binding = binding
        self._columns = columns
        self._failures: list[Exception] = []
        self.job = invoker.new_job(record, self._work)

    @property
    def expected_seconds(self) -> float:
        """How long it is likely to take."""
        return self._binding.expected_seconds * self._columns.call_count

    def _work(self, stoppable: Stoppable) -> messages.ResultColumns:
        results, failures = self._binding.call_columns(self._columns, stoppable)
        response = messages.ResultColumns()
        self._binding.write_columns(results, response)
        status_bytes = share(self._invoker.max_message_bytes, self._columns.call_count)
        for index, error in failures.items():
            if isinstance(error, TerminatedError):
                raise error
            self._failures.append(error)
            response.failures.add(call_index=index, error=status_of(error, status_bytes))
        return response

    def ended(self) -> None:
        """Learn and count, on the event loop's thread."""
        self._invoker.ended(self._binding, self.job, self._columns.call_count)
        for error in self._failures:
            self._invoker.failed(error)


def too_many_calls(count: int) -> RequestError:
    """A message asks for too many calls."""
    return limit_reached(
        "message", f"{count} calls in one message, at most {MAX_CALLS_PER_MESSAGE} are possible"
    )
