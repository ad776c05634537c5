"""The one table of errors: every error of the engine has a code, a reason, and its detail."""

import inspect

import grpc
import pytest
from farcall_service import Failure

from farcall import engine
from farcall.engine import errors as engine_errors
from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.server.errors import CallStoppedError, StopReason
from farcall.server.status import CODES, status_of

FRAMES = [engine.Frame(3, "inner", "guest"), engine.Frame(1, None, None)]


class TroubleTag:
    name = "trouble"
    type = engine.TagType(engine.FunctionType((engine.I32, engine.FUNCREF, engine.F64), ()))

    def check(self, values):
        return tuple(values)


EXAMPLES = {
    engine.WasmException: (
        engine.WasmException(TroubleTag(), (7, None, 2.5), FRAMES),
        "ABORTED",
        "UNCAUGHT_EXCEPTION",
    ),
    engine.MalformedModuleError: (
        engine.MalformedModuleError("bad magic", 0),
        "INVALID_ARGUMENT",
        "MALFORMED_MODULE",
    ),
    engine.InvalidModuleError: (
        engine.InvalidModuleError("type mismatch", 9, 2),
        "INVALID_ARGUMENT",
        "INVALID_MODULE",
    ),
    engine_errors.ModuleLimitError: (
        engine_errors.ModuleLimitError("too many types", 9),
        "INVALID_ARGUMENT",
        "INVALID_MODULE",
    ),
    engine.UnsupportedFeatureError: (
        engine.UnsupportedFeatureError("simd", 7),
        "INVALID_ARGUMENT",
        "UNSUPPORTED_FEATURE",
    ),
    engine.LinkError: (engine.LinkError("m", "n", "wanted", None), "FAILED_PRECONDITION", "LINK_FAILURE"),
    engine.Trap: (engine.Trap(engine.TrapKind.UNREACHABLE, FRAMES), "ABORTED", "TRAP"),
    engine.AbortTrap: (engine.AbortTrap("the guest gave up", FRAMES), "ABORTED", "TRAP"),
    engine.HostFailure: (engine.HostFailure("no more", FRAMES), "ABORTED", "IMPORT_FAILURE"),
    engine.ProgramExit: (engine.ProgramExit(3), "ABORTED", "PROGRAM_EXIT"),
    engine.TerminatedError: (engine.TerminatedError("closing", FRAMES), "CANCELLED", "CANCELLED"),
    engine.ExhaustionError: (engine.ExhaustionError("no slot"), "RESOURCE_EXHAUSTED", "LIMIT_REACHED"),
    engine.CompileLimitError: (
        engine.CompileLimitError([7, 3, 5], "time", 9),
        "RESOURCE_EXHAUSTED",
        "LIMIT_REACHED",
    ),
    engine.QueueFullError: (engine.QueueFullError(20), "RESOURCE_EXHAUSTED", "LIMIT_REACHED"),
    engine.CompilerCrashError: (engine.CompilerCrashError([4], "it crashed"), "INTERNAL", "INTERNAL"),
    engine.ArtifactError: (engine.ArtifactError("is damaged"), "INTERNAL", "INTERNAL"),
    engine.CompileCancelledError: (engine.CompileCancelledError(), "CANCELLED", "CANCELLED"),
    engine.ArgumentError: (
        engine.ArgumentError("no", 1, "i32", "'x'"),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    engine.ImportFailedError: (
        engine.ImportFailedError("env", "log", "ValueError: no"),
        "ABORTED",
        "IMPORT_FAILURE",
    ),
    engine.HostModuleError: (engine.HostModuleError("is none"), "INTERNAL", "INTERNAL"),
    engine.MountError: (engine.MountError("no archive"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    engine.RangeError: (engine.RangeError("past the end"), "OUT_OF_RANGE", "OUT_OF_RANGE"),
    engine.ExportNotFoundError: (engine.ExportNotFoundError("none"), "NOT_FOUND", "EXPORT_NOT_FOUND"),
    engine.FunctionNotFoundError: (
        engine.FunctionNotFoundError("none"),
        "NOT_FOUND",
        "RESOURCE_NOT_FOUND",
    ),
    engine.ClosedError: (engine.ClosedError("closed"), "FAILED_PRECONDITION", "CLOSED"),
    engine.NameTakenError: (engine.NameTakenError("taken"), "ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS"),
    engine.ReentrancyError: (engine.ReentrancyError("inside"), "FAILED_PRECONDITION", "FAILED_PRECONDITION"),
    engine.EngineBug: (engine.EngineBug("impossible"), "INTERNAL", "INTERNAL"),
}


def leaves(kind):
    children = [child for child in kind.__subclasses__() if child.__module__ == engine_errors.__name__]
    return (
        {kind}
        if not children
        else set().union(*map(leaves, children)) | ({kind} if kind in EXAMPLES else set())
    )


def test_the_examples_are_all_errors_of_the_engine():
    assert leaves(engine.FarcallError) - set(EXAMPLES) == set()


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_every_error_of_the_engine_has_its_code_and_reason(kind):
    error, code, reason = EXAMPLES[kind]
    told = Failure(status_of(error))

    assert told.code is grpc.StatusCode[code]
    assert told.reason == reason
    assert told.message
    assert "\n" not in told.message


def test_every_reason_has_a_code():
    reasons = set(details.ErrorReason.values()) - {details.ERROR_REASON_UNSPECIFIED}
    assert set(CODES) == reasons


def test_every_trap_kind_has_its_name_in_the_api():
    names = {name.removeprefix("TRAP_KIND_") for name in details.TrapKind.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert names == set(engine.TrapKind.__members__)


def test_details_carry_what_the_errors_know():
    trap = Failure(status_of(EXAMPLES[engine.Trap][0]))
    assert trap.message == "unreachable in guest!inner"
    assert trap.detail.frames[0] == details.Frame(
        function_index=3, function_name="inner", module_name="guest"
    )
    assert not trap.detail.frames[1].HasField("function_name")

    thrown = Failure(status_of(EXAMPLES[engine.WasmException][0])).detail
    assert (thrown.tag, thrown.frames) == ("trouble", trap.detail.frames)
    assert [value.WhichOneof("kind") for value in thrown.values] == ["i32", None, "f64"]
    assert (thrown.values[0].i32, thrown.values[2].f64) == (7, 2.5)

    module = Failure(status_of(EXAMPLES[engine.InvalidModuleError][0])).detail
    assert (module.reason, module.offset, module.function_index) == ("type mismatch", 9, 2)
    assert Failure(status_of(EXAMPLES[engine.UnsupportedFeatureError][0])).detail.feature == "simd"

    argument = Failure(status_of(EXAMPLES[engine.ArgumentError][0])).detail
    assert (argument.index, argument.wanted, argument.given) == (1, "i32", "'x'")


def test_what_could_not_be_compiled_is_told():
    limit = Failure(status_of(EXAMPLES[engine.CompileLimitError][0]))
    assert (
        limit.message == "functions 3 to 7 could not be compiled: that takes more than 9 s of processor time"
    )
    assert limit.info.metadata == {
        "first_function": "3",
        "last_function": "7",
        "resource": "time",
        "limit": "9",
    }
    assert limit.detail.violations[0].description == limit.message
    queue = Failure(status_of(EXAMPLES[engine.QueueFullError][0]))
    assert (queue.info.metadata["limit"], queue.detail.violations[0].subject) == ("20", "engine")
    crash = Failure(status_of(EXAMPLES[engine.CompilerCrashError][0]))
    assert crash.message == "function 4 could not be compiled: it crashed"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (StopReason.DEADLINE, grpc.StatusCode.DEADLINE_EXCEEDED),
        (StopReason.CANCELLED, grpc.StatusCode.CANCELLED),
        (StopReason.CLOSED, grpc.StatusCode.CANCELLED),
        (StopReason.SHUTDOWN, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_every_reason_to_stop_has_its_code(reason, code):
    told = Failure(status_of(CallStoppedError(reason, FRAMES)))

    assert told.code is code
    assert told.detail.reason == reason.value
    assert len(told.detail.frames) == 2


def test_a_defect_is_told_without_its_inside():
    told = Failure(status_of(ValueError("a secret")))

    assert told.code is grpc.StatusCode.INTERNAL
    assert "secret" not in told.message
    assert "ValueError" in told.message


def test_the_tree_of_the_engine_s_errors_is_complete():
    classes = {
        entry
        for _, entry in inspect.getmembers(engine_errors, inspect.isclass)
        if issubclass(entry, engine.FarcallError) and not entry.__name__.startswith("_")
    }
    assert classes - set(EXAMPLES) == {engine.FarcallError, engine.ModuleError}
