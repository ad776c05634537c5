"""Calls of guest functions: one, many in a message, many on a stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

from farcall.client.calls.call import Call
from farcall.client.errors import FarcallError
from farcall.client.status import error_from_status
from farcall.client.types import Argument, FunctionType, Results
from farcall.client.values import COLUMN_TYPES, ArgumentEncoder, decode_columns, decode_results
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages

Outcome = Results | FarcallError
"""How one call of many ended: what it returned, or why it failed."""

BATCH_CALLS = 8192
"""Calls in one message: enough to make gRPC's share of a call disappear, and far below the limit on
messages."""

DEFAULT_WINDOW = 128
"""Calls that may be under way on a stream: enough to keep the server busy, and within what it lets wait."""


class FunctionCalls:
    """The requests that call one function; what depends on the function only is worked out once.

    Attributes:
        instance: resource name of its instance.
        function: the name of the export.
    """

    __slots__ = ("_encoder", "_fits_columns", "function", "instance")

    def __init__(self, instance: str, function: str, type_: FunctionType) -> None:
        self.instance = instance
        self.function = function
        self._encoder = ArgumentEncoder(type_.parameters)
        self._fits_columns = COLUMN_TYPES.issuperset(type_.parameters + type_.results)

    def invoke(self, arguments: Sequence[Argument]) -> Call[Results]:
        """One call; ArgumentError for arguments that do not fit."""
        request = self._encoder.message(messages.InvokeRequest, arguments, self.instance, self.function)
        return Call("Invoke", request, _read_results, None)

    def batches(self, calls: Iterable[Sequence[Argument]]) -> list[Call[list[Outcome]]]:
        """Many calls, in order, in as many messages as they need.

        Raises:
            ArgumentError: an argument of any of them does not fit; the message names the call.
        """
        remaining, first, requests = iter(calls), 0, []
        while batch := list(islice(remaining, BATCH_CALLS)):
            requests.append(self._columns(batch, first) if self._fits_columns else self._list(batch, first))
            first += len(batch)
        return requests

    def _columns(self, calls: Sequence[Sequence[Argument]], first: int) -> Call[list[Outcome]]:
        columns = messages.CallColumns(
            instance=self.instance,
            function=self.function,
            call_count=len(calls),
            arguments=self._encoder.encode_columns(calls, first),
        )
        return Call(
            "BatchInvoke",
            messages.BatchInvokeRequest(columns=columns),
            partial(_read_columns, call_count=len(calls)),
            None,
        )

    def _list(self, calls: Sequence[Sequence[Argument]], first: int) -> Call[list[Outcome]]:
        call_list = messages.CallList()
        for position, arguments in enumerate(calls, first):
            self._encoder.check_call(arguments, position)
            call = self._encoder.message(messages.Call, arguments, self.instance, self.function)
            call_list.calls.append(call)
        return Call("BatchInvoke", messages.BatchInvokeRequest(list=call_list), _read_list, None)

    def stream_request(
        self, correlation_id: int, arguments: Sequence[Argument], timeout: float | None
    ) -> messages.StreamInvokeRequest:
        """One call on a stream; ArgumentError for arguments that do not fit."""
        call = self._encoder.message(messages.Call, arguments, self.instance, self.function)
        request = messages.StreamInvokeRequest(correlation_id=correlation_id, call=call)
        if timeout is not None:
            request.timeout.FromNanoseconds(round(timeout * 1e9))
        return request


def read_stream_outcome(response: messages.StreamInvokeResponse) -> Outcome:
    """How the call ended that a message of a stream answers."""
    if response.WhichOneof("outcome") == "error":
        return error_from_status(response.error)
    return decode_results(response.results.values)


def results_or_first_error(outcomes: Sequence[Outcome]) -> list[Results]:
    """The results, where no call failed; else raises the first error."""
    for outcome in outcomes:
        if isinstance(outcome, FarcallError):
            raise outcome
    return list(outcomes)


def _read_results(response: messages.InvokeResponse) -> Results:
    return decode_results(response.results)


def _read_columns(response: messages.BatchInvokeResponse, call_count: int) -> list[Outcome]:
    outcomes: list[Outcome] = decode_columns(response.columns, call_count)
    for failure in response.columns.failures:
        outcomes[failure.call_index] = error_from_status(failure.error)
    return outcomes


def _read_list(response: messages.BatchInvokeResponse) -> list[Outcome]:
    return [
        error_from_status(outcome.error)
        if outcome.WhichOneof("outcome") == "error"
        else decode_results(outcome.results.values)
        for outcome in response.list.outcomes
    ]
