"""Many calls of any functions in one message, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from google.rpc.status_pb2 import Status

from farcall.engine import FarcallError, Stoppable, TerminatedError
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.server.errors import CallStoppedError, RequestError
from farcall.server.function_binding import FunctionBinding
from farcall.server.invoker import Invoker, check_call_count
from farcall.server.status import status_of


@dataclass(slots=True)
class _Entry:
    """A call of the list: what is to be called with what, and how it ended."""

    binding: FunctionBinding
    arguments: list[Any]
    results: tuple[Any, ...] = ()
    error: Status | None = None


async def make_calls(
    invoker: Invoker, calls: Sequence[messages.Call], limit: Callable[[], float]
) -> messages.CallOutcomeList:
    """Make calls in their order; those of one instance that follow each other are one job.

    Parameters:
        limit: tells how many seconds are left for them.

    Raises:
        RequestError: they were stopped, or there are too many.
    """
    check_call_count(len(calls))
    entries = [_prepared(invoker, call) for call in calls]
    callable_entries = (entry for entry in entries if isinstance(entry, _Entry))
    for _, run in groupby(callable_entries, key=lambda entry: id(entry.binding.record)):
        await _run(invoker, list(run), limit)
    response = messages.CallOutcomeList()
    for entry in entries:
        message = response.outcomes.add()
        error = entry if isinstance(entry, Status) else entry.error
        if error is not None:
            message.error.CopyFrom(error)
        elif isinstance(entry, _Entry):
            message.results.SetInParent()
            entry.binding.write_results(entry.results, message.results.values)
    return response


def _prepared(invoker: Invoker, call: messages.Call) -> _Entry | Status:
    """The call, or what is wrong with it."""
    try:
        binding = invoker.find(call.instance, call.function)
        return _Entry(binding, binding.read_arguments(call.arguments))
    except (RequestError, FarcallError) as error:
        return status_of(error)


async def _run(invoker: Invoker, entries: Sequence[_Entry], limit: Callable[[], float]) -> None:
    """Make calls of one instance and keep how they ended. Raises CallStoppedError."""
    record = entries[0].binding.record
    try:
        job = invoker.new_job(record, partial(_call_each, entries))
        expected = sum(entry.binding.expected_seconds for entry in entries)
        results = await invoker.executor.run(record.queue, job, limit, expected)
    except CallStoppedError as error:
        invoker.failed(error)
        raise
    except RequestError as error:  # too many wait for this instance; other calls of the list go on
        for entry in entries:
            entry.error = status_of(error)
        return
    for entry, result in zip(entries, results, strict=True):
        invoker.ended(entry.binding, job, others=len(entries) - 1)
        if isinstance(result, Exception):
            invoker.failed(result)
            entry.error = status_of(result)
        else:
            entry.results = result


def _call_each(entries: Sequence[_Entry], stoppable: Stoppable) -> list[tuple[Any, ...] | Exception]:
    """In a worker: make calls one after the other. Raises TerminatedError once stopped."""
    results: list[tuple[Any, ...] | Exception] = []
    for entry in entries:
        try:
            results.append(entry.binding.call(entry.arguments, stoppable))
        except TerminatedError as error:
            if stoppable.reason is not None:
                raise
            results.append(error)
        except FarcallError as error:
            results.append(error)
    return results
