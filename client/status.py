"""The one place where an answer's status becomes a typed exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2
from google.rpc.status_pb2 import Status

from farcall.client import errors
from farcall.client.values import decode_number
from farcall.proto.farcall.v1 import error_details_pb2 as details

_MessageT = TypeVar("_MessageT", bound=Message)

_CONNECT_PREFIX = "failed to connect to all addresses; last error: "
_STATUS_METADATA = "grpc-status-details-bin"

_BY_CODE: dict[str, type[errors.FarcallError]] = {
    "INVALID_ARGUMENT": errors.InvalidRequestError,
    "OUT_OF_RANGE": errors.RangeError,
    "NOT_FOUND": errors.NotFoundError,
    "ALREADY_EXISTS": errors.AlreadyExistsError,
    "FAILED_PRECONDITION": errors.FailedPreconditionError,
    "RESOURCE_EXHAUSTED": errors.ResourceExhaustedError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceededError,
    "CANCELLED": errors.CancelledError,
    "UNAVAILABLE": errors.UnavailableError,
}
"""What a status becomes that carries no detail of farcall's; other codes have two classes, below."""


_REASON_CLOSED = details.ErrorReason.Name(details.ERROR_REASON_CLOSED).removeprefix("ERROR_REASON_")
_REASON_EXPORT_NOT_FOUND = details.ErrorReason.Name(details.ERROR_REASON_EXPORT_NOT_FOUND).removeprefix(
    "ERROR_REASON_"
)


def error_from_call(error: grpc.RpcError, address: str) -> errors.FarcallError:
    """The exception for a call that failed, of either client; `address` is the server's."""
    code = error.code()
    message = error.details() or ""
    for key, value in cast(Iterable[tuple[str, bytes]], error.trailing_metadata() or ()):
        if key == _STATUS_METADATA:
            status = _status(value)
            if status is not None:
                return error_from_status(status)
    if code is grpc.StatusCode.UNAVAILABLE:
        message = f"the server at {address} is unavailable: {message.removeprefix(_CONNECT_PREFIX)}"
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"the time ran out while waiting for the server at {address}"
    return _plain_error(code.name, message)


def _status(serialized: bytes) -> Status | None:
    try:
        return Status.FromString(serialized)
    except DecodeError:
        return None


def error_from_status(status: Status) -> errors.FarcallError:
    """The exception for a status: that of a call, or of one call of many in a message."""
    reason = ""
    for detail in status.details:
        name = detail.type_url.rpartition("/")[2]
        if name == error_details_pb2.ErrorInfo.DESCRIPTOR.full_name:
            reason = _unpack(detail, error_details_pb2.ErrorInfo).reason
    for detail in status.details:
        read = _BY_DETAIL.get(detail.type_url.rpartition("/")[2])
        if read is not None:
            return read(status, detail, reason)
    if reason == _REASON_CLOSED:
        return errors.ClosedError(status.message)
    if reason == _REASON_EXPORT_NOT_FOUND:
        return errors.ExportNotFoundError(status.message)
    return _plain_error(_code_name(status), status.message)


def _plain_error(code: str, message: str) -> errors.FarcallError:
    known = _BY_CODE.get(code)
    if known is not None:
        return known(message)
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return errors.AccessError(message, code=code)
    return errors.ServerError(message, code=code)


def _code_name(status: Status) -> str:
    return code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "UNKNOWN"


def _unpack(detail: AnyMessage, kind: type[_MessageT]) -> _MessageT:
    message = kind()
    detail.Unpack(message)
    return message


def _invalid_module(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    message = _unpack(detail, details.InvalidModule)
    return errors.InvalidModuleError(
        status.message,
        reason=message.reason,
        offset=message.offset,
        function_index=message.function_index if message.HasField("function_index") else None,
    )


def _link_failure(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    message = _unpack(detail, details.LinkFailure)
    return errors.LinkError(
        status.message,
        module=message.module,
        name=message.name,
        wanted=message.wanted,
        found=message.found if message.HasField("found") else None,
    )


def _trap(_: Status, detail: AnyMessage, __: str) -> errors.FarcallError:
    message = _unpack(detail, details.Trap)
    kinds = details.TrapKind
    name = kinds.Name(message.kind) if message.kind in kinds.values() else "UNSPECIFIED"
    return errors.Trap(
        message.message,
        kind=name.removeprefix("TRAP_KIND_").lower(),
        backtrace=_frames(message.frames),
    )


def _uncaught_exception(_: Status, detail: AnyMessage, __: str) -> errors.FarcallError:
    message = _unpack(detail, details.UncaughtException)
    return errors.WasmException(
        message.message,
        tag=message.tag if message.HasField("tag") else None,
        values=tuple(decode_number(value) for value in message.values),
        backtrace=_frames(message.frames),
    )


def _import_failure(_: Status, detail: AnyMessage, __: str) -> errors.FarcallError:
    message = _unpack(detail, details.ImportFailure)
    return errors.ImportFailedError(
        message.message, module=message.module, name=message.name, backtrace=_frames(message.frames)
    )


def _program_exit(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    return errors.ProgramExitError(status.message, exit_code=_unpack(detail, details.ProgramExit).exit_code)


def _termination(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    message = _unpack(detail, details.Termination)
    code = _code_name(status)
    if code == "DEADLINE_EXCEEDED":
        return errors.DeadlineExceededError(status.message, backtrace=_frames(message.frames))
    if code == "CANCELLED":
        return errors.CancelledError(status.message, backtrace=_frames(message.frames))
    return _plain_error(code, status.message)


def _frames(frames: Iterable[details.Frame]) -> tuple[errors.Frame, ...]:
    return tuple(
        errors.Frame(
            frame.function_index,
            frame.function_name if frame.HasField("function_name") else None,
            frame.module_name if frame.HasField("module_name") else None,
        )
        for frame in frames
    )


def _argument_failure(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    message = _unpack(detail, details.ArgumentFailure)
    return errors.ArgumentError(
        status.message,
        index=message.index if message.HasField("index") else None,
        wanted=message.wanted,
        given=message.given,
    )


def _range_failure(status: Status, detail: AnyMessage, _: str) -> errors.FarcallError:
    message = _unpack(detail, details.RangeFailure)
    return errors.RangeError(status.message, offset=message.offset, length=message.length, size=message.size)


def _resource_info(status: Status, detail: AnyMessage, reason: str) -> errors.FarcallError:
    resource = _unpack(detail, error_details_pb2.ResourceInfo).resource_name
    code = _code_name(status)
    if code == "ALREADY_EXISTS":
        return errors.AlreadyExistsError(status.message, resource=resource)
    if code == "NOT_FOUND":
        is_export = reason == _REASON_EXPORT_NOT_FOUND
        kind = errors.ExportNotFoundError if is_export else errors.NotFoundError
        return kind(status.message, resource=resource)
    return _plain_error(code, status.message)


_BY_DETAIL: dict[str, Callable[[Status, AnyMessage, str], errors.FarcallError]] = {
    details.InvalidModule.DESCRIPTOR.full_name: _invalid_module,
    details.LinkFailure.DESCRIPTOR.full_name: _link_failure,
    details.Trap.DESCRIPTOR.full_name: _trap,
    details.UncaughtException.DESCRIPTOR.full_name: _uncaught_exception,
    details.ImportFailure.DESCRIPTOR.full_name: _import_failure,
    details.ProgramExit.DESCRIPTOR.full_name: _program_exit,
    details.Termination.DESCRIPTOR.full_name: _termination,
    details.ArgumentFailure.DESCRIPTOR.full_name: _argument_failure,
    details.RangeFailure.DESCRIPTOR.full_name: _range_failure,
    error_details_pb2.ResourceInfo.DESCRIPTOR.full_name: _resource_info,
}
"""By the full name of a detail's message: reads it, given the status, the detail and the reason of
ErrorInfo."""
