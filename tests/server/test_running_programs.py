"""ProgramService: input and output as they come, flow control, ends, what is wrong, and that nothing is left behind."""

import asyncio
import contextlib
import io
import tarfile

import grpc
import pytest
from farcall_service import PATIENCE, Failure, running
from google.protobuf.empty_pb2 import Empty
from wasi_guests import ARGUMENTS, BOTH, CAT, FLOOD, REACTOR, READ_FILE, SPIN, TRAP, WRITE_FILE

from farcall.proto.farcall.v1 import error_details_pb2, program_service_pb2_grpc, wasi_pb2
from farcall.proto.farcall.v1.program_service_pb2 import (
    ArchiveData,
    Program,
    RunProgramRequest,
    RunProgramResponse,
)
from farcall.proto.farcall.v1.store_service_pb2 import StoreQuota
from farcall.proto.farcall.v1.wasi_pb2 import (
    Archive,
    EnvironmentVariable,
    HostDirectory,
    Mount,
    TemporaryDirectory,
    WasiConfiguration,
)
from farcall.server.configuration import allowed_directory
from farcall.server.programs import input as program_input
from farcall.server.programs import output as program_output

NOSPC, ROFS, NOENT = 51, 69, 44


class Run:
    """A program under way, and what came of it so far."""

    def __init__(self, call):
        self.call = call
        self.output = b""
        self.errors = b""

    async def send(self, **request):
        await self.call.write(RunProgramRequest(**request))

    async def read(self):
        response = await self.call.read()
        return response if isinstance(response, RunProgramResponse) else None

    async def end(self):
        """The last message."""
        last = None
        async with asyncio.timeout(PATIENCE):
            while (response := await self.read()) is not None:
                self.output += response.standard_output
                self.errors += response.standard_error
                last = response
        assert last is not None
        return last

    async def exit_code(self):
        last = await self.end()
        assert last.WhichOneof("response") == "exit_code", last
        return last.exit_code

    async def failure(self):
        last = await self.end()
        assert last.WhichOneof("response") == "error", last
        return Failure(last.error)


async def start(service, source, *, timeout=None, quota=None, channel=None, **wasi):
    module = (await service.upload(source)).module.name
    stub = program_service_pb2_grpc.ProgramServiceStub(channel or service.channel)
    run = Run(stub.RunProgram(timeout=timeout))
    await run.send(program=Program(module=module, wasi=WasiConfiguration(**wasi), quota=quota))
    return run


async def nothing_left(service):
    async with asyncio.timeout(PATIENCE):
        while True:
            counters = await service.counters()
            if not (counters.programs_running or counters.memories_live or counters.engine["instances"]):
                break
            await asyncio.sleep(0.01)
    assert counters.engine["stores"] == 1


async def test_arguments_environment_both_outputs_and_the_exit_code(service):
    run = await start(
        service,
        ARGUMENTS,
        arguments=["program", "", "ä b"],
        environment=[EnvironmentVariable(name="Ab", value="no"), EnvironmentVariable(name="Ab", value="C=")],
    )
    assert await run.exit_code() == 3
    assert run.output == "program\0\0ä b\0".encode()
    assert run.errors == b"Ab=C=\0"
    await nothing_left(service)
    counters = await service.counters()
    assert counters.programs_total == 1


async def test_outputs_keep_their_order(service):
    run = await start(service, BOTH)
    pieces = []
    while (response := await run.read()).WhichOneof("response") != "exit_code":
        pieces.append(response.standard_output + response.standard_error)
    assert pieces == [b"out1", b"err1", b"out2", b"err2"]
    assert response.exit_code == 0


async def test_input_and_output_flow_at_the_same_time(service):
    run = await start(service, CAT)
    for number in range(20):
        await run.send(standard_input=b"%d" % number)
        answer = await run.read()
        assert answer.standard_output == b"%d" % number
    await run.send(standard_input_end=Empty())
    assert await run.exit_code() == 0


async def test_a_caller_that_sends_no_more_ends_standard_input(service):
    run = await start(service, CAT)
    await run.send(standard_input=b"all")
    await run.call.done_writing()
    assert await run.exit_code() == 0
    assert run.output == b"all"


async def test_a_megabyte_goes_through(service):
    data = bytes(range(256)) * 5000
    run = await start(service, CAT)

    async def feed():
        for begin in range(0, len(data), 100_000):
            await run.send(standard_input=data[begin : begin + 100_000])
        await run.call.done_writing()

    feeding = asyncio.create_task(feed())
    assert await run.exit_code() == 0
    await feeding
    assert run.output == data


async def test_a_slow_reader_holds_the_guest_back(service):
    run = await start(service, FLOOD)
    first = await run.read()
    assert 0 < len(first.standard_output) <= program_output.MESSAGE_BYTES
    # What is not read is bounded by the queue, one message, and what HTTP/2 and the sockets take in.
    session = next(iter(service.server._programs.sessions))
    written = -1
    async with asyncio.timeout(PATIENCE):
        while written != session.output.total:
            written = session.output.total
            await asyncio.sleep(0.3)
    assert session.output.waiting <= program_output.CAPACITY
    assert written < 64 << 20
    run.call.cancel()
    await nothing_left(service)


async def test_standard_input_is_read_only_as_far_as_the_guest_reads_it(service):
    run = await start(service, SPIN)
    assert (await run.read()).standard_output == b"spinning"
    sent = 0

    async def flood():
        nonlocal sent
        while True:
            await run.send(standard_input=bytes(1 << 16))
            sent += 1 << 16

    flooding = asyncio.create_task(flood())
    last = -1
    async with asyncio.timeout(PATIENCE):
        while last != sent:
            last = sent
            await asyncio.sleep(0.3)
    session = next(iter(service.server._programs.sessions))
    assert session.standard_input.stream.available() <= program_input.CAPACITY + (1 << 16)
    assert sent < 64 << 20
    flooding.cancel()
    run.call.cancel()
    await nothing_left(service)


async def test_a_trap_comes_after_all_output_with_its_details(service):
    run = await start(service, TRAP)
    failure = await run.failure()
    assert run.output == b"so far so good"
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "TRAP")
    assert failure.detail.kind == error_details_pb2.TRAP_KIND_UNREACHABLE
    assert [frame.function_name for frame in failure.detail.frames] == ["fail", "_start"]
    await nothing_left(service)


@pytest.mark.parametrize("source", [SPIN, FLOOD, CAT], ids=["working", "writing", "reading"])
async def test_a_caller_that_goes_away_stops_the_guest(service, source):
    run = await start(service, source)
    async with asyncio.timeout(PATIENCE):
        while (await service.counters()).memories_live != 1:
            await asyncio.sleep(0.002)
    run.call.cancel()
    await nothing_left(service)


@pytest.mark.parametrize("source", [SPIN, FLOOD, CAT], ids=["working", "writing", "reading"])
async def test_the_servers_time_limit_stops_the_guest(source):
    async with running(max_program_timeout=0.3) as service:
        run = await start(service, source)
        failure = await run.failure()
        assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        await nothing_left(service)


async def test_the_callers_deadline_stops_the_guest(service):
    run = await start(service, SPIN, timeout=1.0)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await run.end()
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await nothing_left(service)


async def test_a_stopping_server_stops_programs():
    async with running() as service:
        run = await start(service, SPIN)
        assert (await run.read()).standard_output == b"spinning"
        stopping = asyncio.create_task(service.server.stop(0.1))
        failure = await run.failure()
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        await stopping


async def test_a_limited_number_of_programs_runs():
    async with running(max_programs=2) as service:
        runs = [await start(service, CAT) for _ in range(2)]
        async with asyncio.timeout(PATIENCE):
            while (await service.counters()).programs_running != 2:
                await asyncio.sleep(0.002)
        failure = await (await start(service, CAT)).failure()
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
        await runs[0].call.done_writing()
        assert await runs[0].exit_code() == 0
        third = await start(service, CAT)
        await third.call.done_writing()
        assert await third.exit_code() == 0
        runs[1].call.cancel()


async def test_the_quota_of_a_program(service):
    failure = await (await start(service, CAT, quota=StoreQuota(max_memory_pages=3))).failure()
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    failure = await (await start(service, CAT, quota=StoreQuota(max_memory_pages=-1))).failure()
    assert failure.message == "program.quota.max_memory_pages: must not be negative, but is -1"


# -- Directories -------------------------------------------------------------------------------------------------------


def tar(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_an_archive_in_pieces(service):
    data = tar(greeting_txt=b"hello from the archive")
    mount = Mount(guest_path="/", archive=Archive(size_bytes=len(data), data=data[:1000]))
    run = await start(service, READ_FILE, mounts=[mount])
    for begin in range(1000, len(data), 3000):
        await run.send(archive_data=ArchiveData(mount_index=0, data=data[begin : begin + 3000]))
    assert await run.exit_code() == 0
    assert run.output == b"hello from the archive"
    await nothing_left(service)


async def test_archives_are_read_only(service):
    mount = Mount(guest_path="/", archive=Archive(data=tar(greeting_txt=b"hello")))
    assert await (await start(service, WRITE_FILE, mounts=[mount])).exit_code() == ROFS


async def test_a_directory_in_memory_has_a_limit(service):
    mount = Mount(guest_path="/tmp", temporary_directory=TemporaryDirectory(max_bytes=1 << 20))
    assert await (await start(service, WRITE_FILE, mounts=[mount])).exit_code() == NOSPC
    await nothing_left(service)


async def test_directories_in_memory_share_the_servers_limit():
    async with running(max_mounted_bytes=1 << 20) as service:
        mount = Mount(guest_path="/tmp", temporary_directory=TemporaryDirectory(max_bytes=1 << 40))
        assert await (await start(service, WRITE_FILE, mounts=[mount])).exit_code() == NOSPC


async def test_directories_that_the_operator_has_listed(tmp_path):
    (tmp_path / "greeting.txt").write_bytes(b"hello from the host")
    listed = (allowed_directory(f"files={tmp_path}"), allowed_directory(f"fixed={tmp_path}:ro"))
    async with running(allowed_directories=listed) as service:
        for name, read_only, error in (("fixed", False, ROFS), ("files", True, ROFS)):
            mount = Mount(guest_path="/", read_only=read_only, host_directory=HostDirectory(name=name))
            run = await start(service, READ_FILE, mounts=[mount])
            assert await run.exit_code() == 0
            assert run.output == b"hello from the host"
            assert await (await start(service, WRITE_FILE, mounts=[mount])).exit_code() == error
            assert not (tmp_path / "new.txt").exists()
        mount = Mount(guest_path="/", host_directory=HostDirectory(name="files"))
        run = await start(service, WRITE_FILE, mounts=[mount])
        async with asyncio.timeout(PATIENCE):
            while not (tmp_path / "new.txt").exists():
                await asyncio.sleep(0.002)
        run.call.cancel()
        await nothing_left(service)


# -- What is wrong -----------------------------------------------------------------------------------------------------

NO_COMMAND = '(module (func (export "main")))'
OTHER_START = '(module (func (export "_start") (param i32)))'
NO_FUNCTION = '(module (memory (export "_start") 1))'
UNKNOWN_IMPORT = '(module (import "env" "f" (func)) (func (export "_start")))'


@pytest.mark.parametrize(
    ("source", "wasi", "code", "message"),
    [
        (NO_COMMAND, {}, "FAILED_PRECONDITION", "is no command: it exports no function '_start'"),
        (OTHER_START, {}, "FAILED_PRECONDITION", "is no command: its '_start' is (i32) -> (), not () -> ()"),
        (NO_FUNCTION, {}, "FAILED_PRECONDITION", "is no command: its '_start' is memory i32 1 pages"),
        (REACTOR, {}, "FAILED_PRECONDITION", "is no command: it exports no function '_start'"),
        (UNKNOWN_IMPORT, {}, "FAILED_PRECONDITION", 'unknown import: "env" "f"'),
        (CAT, {"arguments": ["a\0b"]}, "INVALID_ARGUMENT", "program.wasi.arguments[0]: must not have a NUL"),
        (
            CAT,
            {"arguments": ["x" * (1 << 20)]},
            "RESOURCE_EXHAUSTED",
            "arguments and environment take 1048577",
        ),
        (
            CAT,
            {"environment": [EnvironmentVariable(name="a=b")]},
            "INVALID_ARGUMENT",
            "program.wasi.environment[0].name: must not be empty, nor have a '=', but is 'a=b'",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/")]},
            "INVALID_ARGUMENT",
            "program.wasi.mounts[0].source: must be set",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="", temporary_directory=TemporaryDirectory())]},
            "INVALID_ARGUMENT",
            "program.wasi.mounts",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", temporary_directory=TemporaryDirectory())] * 2},
            "INVALID_ARGUMENT",
            "two mounts are to be at '/a'",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", temporary_directory=TemporaryDirectory(max_bytes=-1))]},
            "INVALID_ARGUMENT",
            "program.wasi.mounts[0].temporary_directory.max_bytes: must not be negative, but is -1",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", host_directory=HostDirectory(name="etc"))]},
            "NOT_FOUND",
            "there is no host directory 'etc'",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", archive=Archive(data=b"no archive"))]},
            "INVALID_ARGUMENT",
            "program.wasi.mounts[0].archive: ",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", archive=Archive(data=b"abc", size_bytes=2))]},
            "INVALID_ARGUMENT",
            "program.wasi.mounts[0].archive.size_bytes: is 2, but there are 3 bytes of data",
        ),
        (
            CAT,
            {"mounts": [Mount(guest_path="/a", archive=Archive(size_bytes=1 << 40))]},
            "RESOURCE_EXHAUSTED",
            "the archives have 1099511627776 bytes, at most 268435456 are accepted",
        ),
    ],
)
async def test_what_cannot_be_run(service, source, wasi, code, message):
    failure = await (await start(service, source, **wasi)).failure()
    assert failure.code is grpc.StatusCode[code]
    assert message in failure.message
    await nothing_left(service)


async def test_messages_out_of_order(service):
    stub = program_service_pb2_grpc.ProgramServiceStub(service.channel)
    run = Run(stub.RunProgram())
    await run.send(standard_input=b"x")
    assert (await run.failure()).message == "request: must be `program` in the first message"
    run = Run(stub.RunProgram())
    await run.call.done_writing()
    assert (await run.failure()).message == "request: is missing: the stream ended without a message"
    run = await start(service, SPIN)
    await run.send(archive_data=ArchiveData(data=b"x"))
    failure = await run.failure()
    assert failure.message == "request: must be `standard_input` or `standard_input_end`"
    mounts = [Mount(guest_path="/a", archive=Archive(size_bytes=10))]
    run = await start(service, CAT, mounts=mounts)
    await run.send(archive_data=ArchiveData(mount_index=1, data=b"x"))
    assert "must be 0, whose archive is not complete, but is 1" in (await run.failure()).message
    run = await start(service, CAT, mounts=mounts)
    await run.send(archive_data=ArchiveData(data=b"x" * 11))
    assert "has 11 bytes, but the archive of mount 0 lacks only 10" in (await run.failure()).message
    run = await start(service, CAT, mounts=mounts)
    await run.send(standard_input=b"x")
    assert "must be `archive_data` until all archives are complete" in (await run.failure()).message
    run = await start(service, CAT, mounts=mounts)
    await run.call.done_writing()
    assert "10 bytes of the archive of mount 0 are missing" in (await run.failure()).message
    run = Run(stub.RunProgram())
    await run.send(program=Program(module="modules/" + "0" * 64))
    assert (await run.failure()).reason == "RESOURCE_NOT_FOUND"
    await nothing_left(service)


async def test_an_archive_that_stalls_is_given_up():
    async with running(upload_idle_timeout=0.2) as service:
        run = await start(service, CAT, mounts=[Mount(guest_path="/a", archive=Archive(size_bytes=10))])
        assert (await run.failure()).code is grpc.StatusCode.DEADLINE_EXCEEDED
        await nothing_left(service)


async def test_many_programs_leave_nothing_behind(service):
    module = (await service.upload(CAT)).module.name
    stub = program_service_pb2_grpc.ProgramServiceStub(service.channel)

    async def one(number):
        run = Run(stub.RunProgram())
        await run.send(
            program=Program(
                module=module,
                wasi=wasi_pb2.WasiConfiguration(
                    mounts=[Mount(guest_path="/tmp", temporary_directory=TemporaryDirectory())]
                ),
            )
        )
        await run.send(standard_input=b"%d" % number)
        await run.call.done_writing()
        assert await run.exit_code() == 0
        assert run.output == b"%d" % number

    for begin in range(0, 100, 10):
        await asyncio.gather(*(one(begin + number) for number in range(10)))
    await nothing_left(service)


# -- Callers that do not read ------------------------------------------------------------------------------------------

BURST = FLOOD.replace(
    "(loop $again (call $write (i32.const 1) (i32.const 65536) (i32.const 65536)) (br $again))",
    """(local $count i32) (loop $again
        (call $write (i32.const 1) (i32.const 65536) (i32.const 65536))
        (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 16))))""",
)
"""Writes a mebibyte, as much as waits in the server while nobody reads, and ends."""


@contextlib.asynccontextmanager
async def hesitant(service):
    """A channel that takes no more of a stream than 64 KiB before it is read."""
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(service.address, options=options) as channel:
        yield channel


async def ended(service, total, unread):
    """Wait until that many programs have run in all, and have ended, of so many of which the output is not read."""
    async with asyncio.timeout(PATIENCE):
        while True:
            counters = await service.counters()
            found = (
                counters.programs_total,
                counters.programs_running,
                len(service.server._programs.undelivered),
            )
            if found == (total, 0, unread):
                return
            await asyncio.sleep(0.002)


async def test_a_program_that_has_ended_gives_its_place_back_before_its_output_is_read():
    async with running(max_programs=1) as service, hesitant(service) as channel:
        first = await start(service, BURST, channel=channel)
        await ended(service, 1, 1)
        assert await (await start(service, ARGUMENTS, arguments=["x"])).exit_code() == 1
        assert list(service.server._programs.undelivered)
        assert await first.exit_code() == 0
        assert len(first.output) == 1 << 20
        await nothing_left(service)
        assert not service.server._programs.undelivered


async def test_output_that_is_never_read_is_kept_of_a_limited_number_of_programs(caplog):
    async with running(max_programs=2) as service, hesitant(service) as channel:
        runs = []
        for unread in (1, 2, 3, 3, 3):
            runs.append(await start(service, BURST, channel=channel))
            await ended(service, len(runs), unread)
        for run in runs[:2]:
            failure = await run.failure()
            assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
            assert "as it was not read" in failure.message
            assert len(run.output) < 1 << 20
        for run in runs[2:]:
            assert await run.exit_code() == 0
            assert len(run.output) == 1 << 20
        await nothing_left(service)
    assert caplog.records == []
