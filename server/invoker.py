"""Makes calls: the way from a request's fields to a result, for all forms of invocation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from farcall.engine import FarcallError, Stoppable, TerminatedError
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.server.counters import CallCounters
from farcall.server.errors import RequestError, limit_reached
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import Job
from farcall.server.function_binding import FunctionBinding
from farcall.server.status import status_of
from farcall.server.store_registry import InstanceRecord, StoreRegistry

T = TypeVar("T")

MAX_CALLS_PER_MESSAGE = 100_000
"""A row of Python objects is made for each, so a small message must not ask for millions."""


class Invoker:
    """Makes calls of exported functions. Used by the event loop's thread only."""

    def __init__(
        self, registry: StoreRegistry, executor: Executor, counters: CallCounters, max_pending: int
    ) -> None:
        self._registry = registry
        self._instances = registry.instances
        self.executor = executor
        self._counters = counters
        self._max_pending = max_pending

    def find(self, instance: str, function: str) -> FunctionBinding:
        """The function that is to be called. Raises RequestError that says which of the two names is wrong."""
        record = self._instances.get(instance)
        if record is not None:
            binding = record.functions.get(function)
            if binding is not None:
                return binding
        return self._registry.instance(instance, "instance").function(function)

    def new_job(self, record: InstanceRecord, work: Callable[[Stoppable], T]) -> Job[T]:
        """A job on an instance. Raises RequestError if too many wait for it."""
        if len(record.pending) >= self._max_pending:
            raise limit_reached(
                record.name, f"{self._max_pending} requests wait for {record.name!r}, which is the limit"
            )
        return Job(work, record.pending)

    def ended(self, binding: FunctionBinding, job: Job[Any], calls: int = 1, others: int = 0) -> None:
        """Learn and count: a job has ended that made `calls` calls of a function, beside others."""
        if job.started and calls:
            binding.took(job.seconds / (calls + others))
        self._counters.calls += calls

    def failed(self, error: BaseException) -> None:
        """Count: a call failed."""
        self._counters.failed(error)

    # -- One call --------------------------------------------------------------------------------------------------

    def call_at_once(self, binding: FunctionBinding, arguments: Sequence[Any]) -> tuple[Any, ...] | None:
        """The results of a call that is known to be short, made here and now; None if it has to be a job.

        Raises what the engine raises.
        """
        if not binding.is_short:
            return None
        queue = binding.record.queue
        if not queue.enter():
            return None
        self.executor.deliver()
        try:
            results = binding.call_at_once(arguments)
        except FarcallError as error:
            self._counters.calls += 1
            self._counters.failed(error)
            raise
        finally:
            queue.leave()
        if results is not None:
            self._counters.calls += 1
        return results

    def call_job(self, binding: FunctionBinding, arguments: Sequence[Any]) -> Job[tuple[Any, ...]]:
        """A job that makes one call. Raises RequestError if too many wait."""
        return self.new_job(binding.record, partial(binding.call, arguments))

    async def call(
        self, binding: FunctionBinding, arguments: Sequence[Any], limit: Callable[[], float]
    ) -> tuple[Any, ...]:
        """Make one call, as a job, to its end.

        Raises:
            RequestError: it was stopped, or too many wait.
            FarcallError: it failed.
        """
        job = self.call_job(binding, arguments)
        try:
            return await self.executor.run(binding.record.queue, job, limit, binding.expected_seconds)
        except (RequestError, FarcallError) as error:
            self._counters.failed(error)
            raise
        except asyncio.CancelledError:
            self._counters.terminated += 1
            raise
        finally:
            self.ended(binding, job)

    # -- Many calls of one function --------------------------------------------------------------------------------

    def columns_job(self, columns: messages.CallColumns) -> ColumnsJob:
        """A job that makes the calls of columns.

        Raises:
            RequestError: instance or function are wrong, or too many wait; a wrong column is found by the job.
        """
        check_call_count(columns.call_count)
        binding = self.find(columns.instance, columns.function)
        binding.check_columns()
        return ColumnsJob(self, binding, columns)

    async def call_columns(
        self, columns: messages.CallColumns, limit: Callable[[], float]
    ) -> messages.ResultColumns:
        """Make the calls of columns. Raises RequestError for what is wrong with all of them, or if stopped."""
        work = self.columns_job(columns)
        try:
            return await self.executor.run(work.binding.record.queue, work.job, limit, work.expected_seconds)
        except (RequestError, FarcallError) as error:
            self._counters.failed(error)
            raise
        finally:
            work.ended()


class ColumnsJob:
    """The calls of a `CallColumns` as one job.

    Attributes:
        binding: the function.
        job: the job.
    """

    def __init__(self, invoker: Invoker, binding: FunctionBinding, columns: messages.CallColumns) -> None:
        self._invoker = invoker
        self.binding = binding
        self._columns = columns
        self._failures: list[Exception] = []
        self.job = invoker.new_job(binding.record, self._work)

    @property
    def expected_seconds(self) -> float:
        """How long it is likely to take."""
        return self.binding.expected_seconds * self._columns.call_count

    def _work(self, stoppable: Stoppable) -> messages.ResultColumns:
        rows = self.binding.read_rows(self._columns)
        outcomes = self.binding.function.call_many(rows, stoppable)
        response = messages.ResultColumns()
        for index, error in self.binding.write_rows(outcomes, response):
            if isinstance(error, TerminatedError):
                raise error
            self._failures.append(error)
            response.failures.add(call_index=index, error=status_of(error))
        return response

    def ended(self) -> None:
        """Learn and count, on the event loop's thread."""
        self._invoker.ended(self.binding, self.job, self._columns.call_count)
        for error in self._failures:
            self._invoker.failed(error)


def check_call_count(count: int) -> None:
    """Raise RequestError if a message asks for too many calls."""
    if count > MAX_CALLS_PER_MESSAGE:
        raise limit_reached(
            "message", f"{count} calls in one message, at most {MAX_CALLS_PER_MESSAGE} are possible"
        )
