"""However long names are, a status stays within what gRPC carries as metadata."""

import grpc
import pytest
from farcall_service import Failure, failure
from google.rpc.status_pb2 import Status

from farcall import engine
from farcall.server.errors import bad_request
from farcall.server.status import status_of
from farcall.server.status_size import share

NAMES = ["f" * 250, "\N{CHECK MARK}" * 250, "g" * 100_000, "\n" * 5000]


def trap(name, count=64):
    return engine.Trap(
        engine.TrapKind.UNREACHABLE, [engine.Frame(number, name, name) for number in range(count)]
    )


@pytest.mark.parametrize("name", NAMES, ids=["long", "not ASCII", "very long", "control characters"])
@pytest.mark.parametrize(
    "error",
    [
        trap,
        lambda name: engine.LinkError(name, name, name, name),
        lambda name: engine.ArgumentError(name, 1, name, name),
        lambda name: bad_request(name, name),
    ],
    ids=["trap", "link", "argument", "request"],
)
def test_a_status_with_long_texts_is_shortened(error, name):
    status = status_of(error(name))

    assert status.ByteSize() + 3 * len(status.message.encode()) < 8000
    failed = Failure(status)
    assert failed.detail is not None
    assert failed.message.isprintable() or "\n" in name


def test_a_shortened_backtrace_keeps_its_innermost_frames():
    frames = Failure(status_of(trap("f" * 100))).detail.frames

    assert 15 < len(frames) < 64
    assert [frame.function_index for frame in frames] == list(range(len(frames)))
    assert frames[0].function_name == "f" * 100


def test_what_fits_is_left_as_it_is():
    frames = Failure(status_of(trap("middle_sized_name"))).detail.frames

    assert [frame.function_name for frame in frames] == ["middle_sized_name"] * 64


@pytest.mark.parametrize("calls", [1, 100, 8192, 100_000])
def test_all_calls_of_a_message_can_fail(calls):
    limit = share(16 << 20, calls)
    status = status_of(trap("a_name_of_a_usual_length"), limit)

    assert status.code == grpc.StatusCode.ABORTED.value[0]
    assert status.message
    assert (status.ByteSize() + 10) * calls < 16 << 20


def test_a_small_share_still_has_code_and_message():
    status = status_of(trap("f" * 1000), share(1, 1))

    assert status.ByteSize() <= 100
    assert Status.FromString(status.SerializeToString()).message.startswith("unreachable in f")


@pytest.mark.parametrize("length", [250, 1000, 20_000])
async def test_a_trap_in_functions_with_long_names_is_told(service, length):
    name = "f" * length
    guest = await service.instantiate(f"""(module (func ${name} (export "f") (call ${name})))""")

    error = await failure(service.invoke(guest, "f"))

    assert error.code is grpc.StatusCode.ABORTED
    assert error.detail.frames[0].function_name[:150] == "f" * 150


async def test_an_import_with_a_long_name_is_told(service):
    error = await failure(service.instantiate(f"""(module (import "{"m" * 20_000}" "f" (func)))"""))

    assert error.reason == "LINK_FAILURE"
    assert error.detail.module.startswith("mmm")
