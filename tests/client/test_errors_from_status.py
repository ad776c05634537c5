"""Every status of the API becomes its typed exception, whatever details it has."""

import pytest
from fake_farcall_server import StatusError
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from farcall.client import errors
from farcall.client.status import error_from_status
from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.proto.farcall.v1 import value_pb2


def error(code, reason=None, detail=None, message="a message"):
    return error_from_status(StatusError(code, message, reason, detail).status)


def test_invalid_module():
    detail = details.InvalidModule(reason="type mismatch", offset=77, function_index=3)
    found = error(StatusCode.INVALID_ARGUMENT, "INVALID_MODULE", detail)
    assert type(found) is errors.InvalidModuleError
    assert (found.reason, found.offset, found.function_index) == ("type mismatch", 77, 3)
    assert str(found) == "a message"
    found = error(StatusCode.INVALID_ARGUMENT, "INVALID_MODULE", details.InvalidModule(reason="x"))
    assert found.function_index is None


def test_link_failure():
    detail = details.LinkFailure(module="env", name="f", wanted="function () -> ()", found="memory")
    found = error(StatusCode.FAILED_PRECONDITION, "LINK_FAILURE", detail)
    assert type(found) is errors.LinkError
    assert (found.module, found.name, found.wanted, found.found) == (
        "env",
        "f",
        "function () -> ()",
        "memory",
    )
    detail = details.LinkFailure(module="env", name="f")
    assert error(StatusCode.FAILED_PRECONDITION, "LINK_FAILURE", detail).found is None


@pytest.mark.parametrize("kind", [kind for kind in details.TrapKind.values() if kind != 0])
def test_every_kind_of_trap(kind):
    name = details.TrapKind.Name(kind).removeprefix("TRAP_KIND_").lower()
    found = error(StatusCode.ABORTED, "TRAP", details.Trap(kind=kind, message="words"))
    assert type(found) is errors.Trap
    assert (found.kind, found.message, found.backtrace) == (name, "words", ())


def test_a_kind_of_trap_that_this_client_does_not_know():
    found = error(StatusCode.ABORTED, "TRAP", details.Trap(kind=999, message="words"))
    assert found.kind == "unspecified"


def test_an_uncaught_exception():
    values = [value_pb2.Value(i32=7), value_pb2.Value()]
    frames = [details.Frame(function_index=1, function_name="throw")]
    detail = details.UncaughtException(tag="trouble", values=values, message="words", frames=frames)
    found = error(StatusCode.ABORTED, "UNCAUGHT_EXCEPTION", detail)
    assert type(found) is errors.WasmException
    assert (found.message, found.tag, found.values) == ("words", "trouble", (7, None))
    assert found.backtrace == (errors.Frame(1, "throw"),)
    assert error(StatusCode.ABORTED, "UNCAUGHT_EXCEPTION", details.UncaughtException()).tag is None


def test_terminations():
    frames = [details.Frame(function_index=1, function_name="spin")]
    detail = details.Termination(reason="time", frames=frames)
    found = error(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", detail)
    assert type(found) is errors.DeadlineExceededError
    assert str(found) == "a message\n  0: <module>!spin"
    found = error(StatusCode.CANCELLED, "CANCELLED", detail)
    assert type(found) is errors.CancelledError
    assert found.backtrace == (errors.Frame(1, "spin"),)
    assert type(error(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", detail)) is errors.UnavailableError


def test_arguments_and_ranges():
    detail = details.ArgumentFailure(index=1, wanted="i32", given="f64 1.5")
    found = error(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", detail)
    assert type(found) is errors.ArgumentError
    assert (found.index, found.wanted, found.given) == (1, "i32", "f64 1.5")
    detail = details.ArgumentFailure(wanted="2 arguments", given="3 arguments")
    assert error(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", detail).index is None
    detail = details.RangeFailure(offset=1, length=2, size=3)
    found = error(StatusCode.OUT_OF_RANGE, "OUT_OF_RANGE", detail)
    assert type(found) is errors.RangeError
    assert (found.offset, found.length, found.size) == (1, 2, 3)


def test_resources():
    detail = error_details_pb2.ResourceInfo(resource_name="modules/x")
    found = error(StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", detail)
    assert (type(found), found.resource) == (errors.NotFoundError, "modules/x")
    found = error(StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND", detail)
    assert (type(found), found.resource) == (errors.ExportNotFoundError, "modules/x")
    assert type(error(StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND")) is errors.ExportNotFoundError
    found = error(StatusCode.ALREADY_EXISTS, "RESOURCE_ALREADY_EXISTS", detail)
    assert (type(found), found.resource) == (errors.AlreadyExistsError, "modules/x")


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (StatusCode.FAILED_PRECONDITION, "CLOSED", errors.ClosedError),
        (StatusCode.FAILED_PRECONDITION, "FAILED_PRECONDITION", errors.FailedPreconditionError),
        (StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", errors.ResourceExhaustedError),
        (StatusCode.RESOURCE_EXHAUSTED, None, errors.ResourceExhaustedError),
        (StatusCode.INVALID_ARGUMENT, "BAD_REQUEST", errors.InvalidRequestError),
        (StatusCode.INVALID_ARGUMENT, "UPLOAD_MISMATCH", errors.InvalidRequestError),
        (StatusCode.DEADLINE_EXCEEDED, None, errors.DeadlineExceededError),
        (StatusCode.UNAVAILABLE, None, errors.UnavailableError),
        (StatusCode.UNAUTHENTICATED, None, errors.AccessError),
        (StatusCode.PERMISSION_DENIED, None, errors.AccessError),
        (StatusCode.INTERNAL, "INTERNAL", errors.ServerError),
        (StatusCode.UNIMPLEMENTED, None, errors.ServerError),
    ],
)
def test_statuses_without_typed_details(code, reason, expected):
    found = error(code, reason)
    assert type(found) is expected
    assert (found.message, found.code) == ("a message", code.name)


def test_unknown_details_and_codes_do_no_harm():
    status = Status(code=123, message="from the future", details=[Any(type_url="x/y.Z", value=b"\xff")])
    found = error_from_status(status)
    assert (type(found), found.code, str(found)) == (errors.ServerError, "UNKNOWN", "from the future")
