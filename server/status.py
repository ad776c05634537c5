"""The one place where errors become a `google.rpc.Status`.

A trap, or an exception that nothing in the guest caught, is ABORTED: the call was understood, began, and ended
without a result for a reason that lies in the guest.
INTERNAL and UNKNOWN would count as failures of the server, FAILED_PRECONDITION stands for what the caller can set right
before trying again, and no client library repeats ABORTED by itself, which would run the guest twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as rpc_details
from google.rpc.status_pb2 import Status

from farcall import engine
from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.server.errors import RequestError, frame_messages
from farcall.server.messages.types import value_type_by_name
from farcall.server.messages.values import number_messages
from farcall.server.status_size import MAX_STATUS_BYTES, fitting

DOMAIN = "farcall.dev"
"""Of every `google.rpc.ErrorInfo`."""

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata that carries the serialised Status, by convention of all gRPC libraries."""

_logger = structlog.get_logger(__name__)

CODES: dict[details.ErrorReason.ValueType, grpc.StatusCode] = {
    details.ERROR_REASON_MALFORMED_MODULE: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_INVALID_MODULE: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_UNSUPPORTED_FEATURE: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_UPLOAD_MISMATCH: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    details.ERROR_REASON_LINK_FAILURE: grpc.StatusCode.FAILED_PRECONDITION,
    details.ERROR_REASON_FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    details.ERROR_REASON_CLOSED: grpc.StatusCode.FAILED_PRECONDITION,
    details.ERROR_REASON_TRAP: grpc.StatusCode.ABORTED,
    details.ERROR_REASON_IMPORT_FAILURE: grpc.StatusCode.ABORTED,
    details.ERROR_REASON_PROGRAM_EXIT: grpc.StatusCode.ABORTED,
    details.ERROR_REASON_DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    details.ERROR_REASON_CANCELLED: grpc.StatusCode.CANCELLED,
    details.ERROR_REASON_SHUTTING_DOWN: grpc.StatusCode.UNAVAILABLE,
    details.ERROR_REASON_RESOURCE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    details.ERROR_REASON_EXPORT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    details.ERROR_REASON_RESOURCE_ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    details.ERROR_REASON_LIMIT_REACHED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    details.ERROR_REASON_OUT_OF_RANGE: grpc.StatusCode.OUT_OF_RANGE,
    details.ERROR_REASON_INTERNAL: grpc.StatusCode.INTERNAL,
    details.ERROR_REASON_UNCAUGHT_EXCEPTION: grpc.StatusCode.ABORTED,
}
"""The gRPC code of every reason."""

GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
"""gRPC codes by their number."""


@dataclass(frozen=True, slots=True)
class _Row:
    """How one class of the engine's errors is told: its reason, its typed detail, and what varies in the message."""

    reason: details.ErrorReason.ValueType
    detail: Callable[[Any], Message | None]
    metadata: Callable[[Any], dict[str, str]]


def _invalid_module(error: engine.ModuleError) -> details.InvalidModule:
    feature = error.feature if isinstance(error, engine.UnsupportedFeatureError) else None
    return details.InvalidModule(
        reason=error.reason, offset=error.offset, function_index=error.function_index, feature=feature
    )


def _module_metadata(error: engine.ModuleError) -> dict[str, str]:
    return {"reason": error.reason, "offset": str(error.offset)}


def _link_failure(error: engine.LinkError) -> details.LinkFailure:
    return details.LinkFailure(module=error.module, name=error.name, wanted=error.wanted, found=error.found)


def _link_metadata(error: engine.LinkError) -> dict[str, str]:
    metadata = {"module": error.module, "name": error.name, "wanted": error.wanted}
    return metadata if error.found is None else {**metadata, "found": error.found}


def _trap(error: engine.Trap) -> details.Trap:
    return details.Trap(
        kind=details.TrapKind.Value(f"TRAP_KIND_{error.kind.name}"),
        message=error.message,
        frames=frame_messages(error.backtrace),
    )


def _uncaught_exception(error: engine.WasmException) -> details.UncaughtException:
    return details.UncaughtException(
        tag=error.tag.name,
        values=number_messages(error.tag.type.type.parameters, error.values),
        message=error.message,
        frames=frame_messages(error.backtrace),
    )


def _import_failure(error: engine.ImportFailedError) -> details.ImportFailure:
    return details.ImportFailure(
        module=error.module, name=error.name, message=error.message, frames=frame_messages(error.backtrace)
    )


def _termination(error: engine.TerminatedError) -> details.Termination:
    return details.Termination(reason=error.reason, frames=frame_messages(error.backtrace))


def _argument_failure(error: engine.ArgumentError) -> details.ArgumentFailure:
    return details.ArgumentFailure(
        index=error.index,
        wanted_type=value_type_by_name(error.wanted) if error.index is not None else None,
        wanted=error.wanted,
        given=error.given,
    )


def _argument_metadata(error: engine.ArgumentError) -> dict[str, str]:
    metadata = {"wanted": error.wanted, "given": error.given}
    return metadata if error.index is None else {**metadata, "index": str(error.index)}


def _limit(error: engine.ExhaustionError) -> rpc_details.QuotaFailure:
    violation = rpc_details.QuotaFailure.Violation(subject="engine", description=str(error))
    return rpc_details.QuotaFailure(violations=[violation])


def _compile_limit_metadata(error: engine.CompileLimitError) -> dict[str, str]:
    return {**_functions(error), "resource": error.resource, "limit": str(error.limit)}


def _functions(error: engine.CompileLimitError | engine.CompilerCrashError) -> dict[str, str]:
    """The first and the last function of those that could not be compiled."""
    return {"first_function": str(min(error.functions)), "last_function": str(max(error.functions))}


def _no_detail(_error: Exception) -> None:
    return None


def _no_metadata(_error: Exception) -> dict[str, str]:
    return {}


_ROWS: dict[type[engine.FarcallError], _Row] = {
    engine.MalformedModuleError: _Row(
        details.ERROR_REASON_MALFORMED_MODULE, _invalid_module, _module_metadata
    ),
    engine.UnsupportedFeatureError: _Row(
        details.ERROR_REASON_UNSUPPORTED_FEATURE, _invalid_module, _module_metadata
    ),
    engine.ModuleError: _Row(details.ERROR_REASON_INVALID_MODULE, _invalid_module, _module_metadata),
    engine.LinkError: _Row(details.ERROR_REASON_LINK_FAILURE, _link_failure, _link_metadata),
    engine.Trap: _Row(details.ERROR_REASON_TRAP, _trap, lambda error: {"kind": error.kind.name}),
    engine.WasmException: _Row(
        details.ERROR_REASON_UNCAUGHT_EXCEPTION,
        _uncaught_exception,
        lambda error: {} if error.tag.name is None else {"tag": error.tag.name},
    ),
    engine.HostFailure: _Row(
        details.ERROR_REASON_IMPORT_FAILURE,
        lambda error: details.ImportFailure(message=error.message, frames=frame_messages(error.backtrace)),
        _no_metadata,
    ),
    engine.ImportFailedError: _Row(
        details.ERROR_REASON_IMPORT_FAILURE,
        _import_failure,
        lambda error: {"module": error.module, "name": error.name},
    ),
    engine.ProgramExit: _Row(
        details.ERROR_REASON_PROGRAM_EXIT,
        lambda error: details.ProgramExit(exit_code=error.code),
        lambda error: {"exit_code": str(error.code)},
    ),
    # Calls that the server stops are told as CallStoppedError; what is left was stopped by closing.
    engine.TerminatedError: _Row(
        details.ERROR_REASON_CANCELLED, _termination, lambda error: {"reason": error.reason}
    ),
    engine.ExhaustionError: _Row(details.ERROR_REASON_LIMIT_REACHED, _limit, _no_metadata),
    engine.CompileLimitError: _Row(details.ERROR_REASON_LIMIT_REACHED, _limit, _compile_limit_metadata),
    engine.QueueFullError: _Row(
        details.ERROR_REASON_LIMIT_REACHED, _limit, lambda error: {"limit": str(error.limit)}
    ),
    engine.CompilerCrashError: _Row(details.ERROR_REASON_INTERNAL, _no_detail, _functions),
    engine.CompileCancelledError: _Row(details.ERROR_REASON_CANCELLED, _no_detail, _no_metadata),
    engine.ArgumentError: _Row(details.ERROR_REASON_INVALID_ARGUMENT, _argument_failure, _argument_metadata),
    engine.MountError: _Row(details.ERROR_REASON_INVALID_ARGUMENT, _no_detail, _no_metadata),
    engine.RangeError: _Row(details.ERROR_REASON_OUT_OF_RANGE, _no_detail, _no_metadata),
    engine.ExportNotFoundError: _Row(details.ERROR_REASON_EXPORT_NOT_FOUND, _no_detail, _no_metadata),
    engine.FunctionNotFoundError: _Row(details.ERROR_REASON_RESOURCE_NOT_FOUND, _no_detail, _no_metadata),
    engine.ClosedError: _Row(details.ERROR_REASON_CLOSED, _no_detail, _no_metadata),
    engine.NameTakenError: _Row(details.ERROR_REASON_RESOURCE_ALREADY_EXISTS, _no_detail, _no_metadata),
    engine.ReentrancyError: _Row(details.ERROR_REASON_FAILED_PRECONDITION, _no_detail, _no_metadata),
}
"""How the engine's errors are told; a class without a row is told as its nearest parent that has one."""


def status_of(error: BaseException, limit: int = MAX_STATUS_BYTES) -> Status:
    """What the caller is told of an error.

    A defect of farcall is logged with its traceback, and told as INTERNAL without anything of its inside.

    Parameters:
        limit: about how many bytes it may take.
    """
    if isinstance(error, RequestError):
        return _status(error.reason, error.message, error.detail, error.metadata, limit)
    row = next((_ROWS[parent] for parent in type(error).__mro__ if parent in _ROWS), None)
    if row is None:
        _logger.error("internal error", exc_info=error)
        message = f"farcall failed by a defect of its own ({type(error).__name__}); the server's log has more"
        return _status(details.ERROR_REASON_INTERNAL, message, None, {}, limit)
    return _status(row.reason, _message(error), row.detail(error), row.metadata(error), limit)


def _message(error: BaseException) -> str:
    """The error's own words; of a guest's end without the backtrace, which the detail has."""
    if isinstance(error, engine.Trap | engine.WasmException | engine.TerminatedError | engine.HostFailure):
        innermost = next(iter(error.backtrace), None)
        return error.message if innermost is None else f"{error.message} in {innermost}"
    return str(error)


def _status(
    reason: details.ErrorReason.ValueType,
    message: str,
    detail: Message | None,
    metadata: dict[str, str],
    limit: int,
) -> Status:
    name = details.ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
    info = rpc_details.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)
    message, entries = fitting(message, (info,) if detail is None else (info, detail), limit)
    status = Status(code=CODES[reason].value[0], message=message)
    for entry in entries:
        packed = AnyMessage()
        packed.Pack(entry)
        status.details.append(packed)
    return status


def trailing_metadata(status: Status) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that carries a Status."""
    return ((DETAILS_KEY, status.SerializeToString()),)
