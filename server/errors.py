"""Errors that the service itself finds; those of the engine are mapped in `status.py`.

::

    RequestError                    refused; carries the reason (which fixes the gRPC code), a message and a detail
    └── CallStoppedError                     a call was stopped from outside, or never started
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from google.rpc import error_details_pb2 as rpc_details

from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.proto.farcall.v1 import value_pb2

if TYPE_CHECKING:
    from farcall.engine import Frame


class RequestError(Exception):
    """A request is refused.

    Attributes:
        reason: why; `status.CODES` gives the gRPC code for it.
        message: one sentence for people.
        detail: the typed detail, if there is one.
        metadata: what varies in the message, for programs (AIP-193).
    """

    def __init__(
        self,
        reason: details.ErrorReason.ValueType,
        message: str,
        detail: Message | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.detail = detail
        self.metadata = metadata


class StopReason(Enum):
    """Why the server stops a call; the values are what the engine and the caller are told."""

    DEADLINE = "the time for the call is over"
    CANCELLED = "the caller cancelled the call or went away"
    CLOSED = "the instance or its store was closed"
    SHUTDOWN = "the server is shutting down"


_STOP_REASONS = {
    StopReason.DEADLINE: details.ERROR_REASON_DEADLINE_EXCEEDED,
    StopReason.CANCELLED: details.ERROR_REASON_CANCELLED,
    StopReason.CLOSED: details.ERROR_REASON_CANCELLED,
    StopReason.SHUTDOWN: details.ERROR_REASON_SHUTTING_DOWN,
}


def frame_messages(frames: Sequence[Frame]) -> list[details.Frame]:
    """A backtrace as messages, innermost frame first."""
    return [
        details.Frame(
            function_index=frame.function_index,
            function_name=frame.function_name,
            module_name=frame.module_name,
        )
        for frame in frames
    ]


class CallStoppedError(RequestError):
    """A call was stopped, or never started."""

    def __init__(self, reason: StopReason, frames: Sequence[Frame] = (), started: bool = True) -> None:
        what = "the call was stopped" if started else "the call was not started"
        super().__init__(
            _STOP_REASONS[reason],
            f"{what}: {reason.value}",
            details.Termination(reason=reason.value, frames=frame_messages(frames)),
        )


def upload_stalled(seconds: float) -> RequestError:
    """The next message of an upload did not come."""
    return RequestError(
        details.ERROR_REASON_DEADLINE_EXCEEDED,
        f"the upload was given up, since no message of it came for {seconds:g} seconds; nothing of it is kept",
    )


def bad_request(field: str, description: str) -> RequestError:
    """A field of the request is wrong."""
    violation = rpc_details.BadRequest.FieldViolation(field=field, description=description)
    return RequestError(
        details.ERROR_REASON_BAD_REQUEST,
        f"{field}: {description}",
        rpc_details.BadRequest(field_violations=[violation]),
        field=field,
    )


def not_found(resource_type: str, name: str) -> RequestError:
    """There is no such module, store or instance."""
    return RequestError(
        details.ERROR_REASON_RESOURCE_NOT_FOUND,
        f"there is no {resource_type} {name!r}",
        rpc_details.ResourceInfo(
            resource_type=f"farcall.dev/{resource_type.capitalize()}", resource_name=name
        ),
        resource=name,
    )


def export_not_found(instance: str, kind: str, name: str, found: str | None) -> RequestError:
    """An instance does not export that, or it is of another kind."""
    otherwise = f"; {name!r} is a {found}" if found is not None else ""
    return RequestError(
        details.ERROR_REASON_EXPORT_NOT_FOUND,
        f"{instance!r} exports no {kind} {name!r}{otherwise}",
        rpc_details.ResourceInfo(resource_type=f"exported {kind}", resource_name=name, owner=instance),
        instance=instance,
        export=name,
    )


def already_exists(resource_type: str, name: str) -> RequestError:
    """The name is taken."""
    return RequestError(
        details.ERROR_REASON_RESOURCE_ALREADY_EXISTS,
        f"{resource_type} {name!r} exists already",
        rpc_details.ResourceInfo(
            resource_type=f"farcall.dev/{resource_type.capitalize()}", resource_name=name
        ),
        resource=name,
    )


def limit_reached(subject: str, description: str) -> RequestError:
    """A limit was reached.

    Parameters:
        subject: what it limits: a resource name or `server`.
    """
    violation = rpc_details.QuotaFailure.Violation(subject=subject, description=description)
    return RequestError(
        details.ERROR_REASON_LIMIT_REACHED,
        description,
        rpc_details.QuotaFailure(violations=[violation]),
        subject=subject,
    )


def failed_precondition(message: str) -> RequestError:
    """What is asked for is not possible in this state."""
    return RequestError(details.ERROR_REASON_FAILED_PRECONDITION, message)


def shutting_down() -> RequestError:
    """The server takes no more calls."""
    return RequestError(details.ERROR_REASON_SHUTTING_DOWN, "the server is shutting down")


def out_of_range(message: str, offset: int, length: int, size: int) -> RequestError:
    """Past the end of a memory or table."""
    return RequestError(
        details.ERROR_REASON_OUT_OF_RANGE,
        message,
        details.RangeFailure(offset=offset, length=length, size=size),
        offset=str(offset),
        length=str(length),
        size=str(size),
    )


def argument_failure(
    message: str,
    *,
    index: int | None,
    wanted_type: value_pb2.ValueType.ValueType | None,
    wanted: str,
    given: str,
) -> RequestError:
    """An argument, or a global's new value, does not fit."""
    metadata = {"wanted": wanted, "given": given}
    if index is not None:
        metadata["index"] = str(index)
    return RequestError(
        details.ERROR_REASON_INVALID_ARGUMENT,
        message,
        details.ArgumentFailure(index=index, wanted_type=wanted_type, wanted=wanted, given=given),
        **metadata,
    )
