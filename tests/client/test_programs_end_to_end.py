"""Programs by both clients and by `farcall run`, against the real server in a process of its own."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from command_line_support import CommandLine, in_a_process
from real_server import FARCALL, running_server, wait_until
from wasmtime import wat2wasm

from farcall.client import (
    ArchiveMount,
    AsyncClient,
    CancelledError,
    Client,
    DeadlineExceededError,
    FailedPreconditionError,
    FarcallError,
    HostDirectory,
    InvalidRequestError,
    NotFoundError,
    OutputStream,
    ProgramExitError,
    ProgramResult,
    ResourceExhaustedError,
    TemporaryDirectory,
    Trap,
    Wasi,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "server"))

from wasi_guests import ARGUMENTS, BOTH, CAT, FLOOD, REACTOR, SPIN, TRAP, WRITE_FILE

WORD_COUNT = Path(__file__).resolve().parents[2] / "examples" / "word_count.wasm"
NOSPC = 51


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shared")
    (directory / "poem.txt").write_text("one two\nthree\n")
    return directory


@pytest.fixture(scope="module")
def server(tmp_path_factory, shared_directory):
    options = ("--allow-dir", f"poems={shared_directory}:ro", "--allow-dir", f"work={shared_directory}")
    with running_server(tmp_path_factory.mktemp("server"), *options) as process:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


@pytest.fixture
async def async_client(server):
    async with AsyncClient(server.address) as client:
        yield client


@pytest.fixture
def farcall(server, capfd):
    return CommandLine(capfd, "--server", server.address)


def wasm(source):
    return bytes(wat2wasm(source))


def idle(client):
    wait_until(lambda: client.server_info().counters["programs_running"] == 0)


# -- The synchronous client --------------------------------------------------------------------------------------------


def test_run_to_end(client):
    module = client.upload(wasm(ARGUMENTS))
    result = client.run_to_end(module, arguments=["a", "b c"], environment={"KEY": "value"})
    assert result == ProgramResult(2, b"a\0b c\0", b"KEY=value\0")
    assert client.run_to_end(client.upload(wasm(CAT)).digest, stdin=b"all of it").stdout == b"all of it"


def test_output_comes_as_it_is_written(client):
    with client.run(client.upload(wasm(BOTH))) as program:
        outputs = list(program.output())
        assert program.exit_code == 0
        assert program.wait() == 0
    assert [(output.stream, output.data) for output in outputs] == [
        (OutputStream.STDOUT, b"out1"),
        (OutputStream.STDERR, b"err1"),
        (OutputStream.STDOUT, b"out2"),
        (OutputStream.STDERR, b"err2"),
    ]


def test_a_conversation_with_a_program(client):
    """Each piece of input is given only when the answer to the one before has come."""
    answers = []

    def questions():
        for number in range(10):
            while len(answers) < number:
                pass
            yield b"question %d" % number

    with client.run(client.upload(wasm(CAT)), stdin=questions()) as program:
        for output in program.output():
            answers.append(output.data)
    assert answers == [b"question %d" % number for number in range(10)]


def test_a_program_that_traps(client):
    with client.run(client.upload(wasm(TRAP))) as program:
        output = program.output()
        assert next(output).data == b"so far so good"
        with pytest.raises(Trap) as raised:
            next(output)
        assert raised.value.kind == "unreachable"
        assert [frame.function_name for frame in raised.value.backtrace] == ["fail", "_start"]
        with pytest.raises(Trap):
            program.wait()


def test_stopping_a_program(client):
    program = client.run(client.upload(wasm(SPIN)))
    assert next(program.output()).data == b"spinning"
    program.stop()
    with pytest.raises(CancelledError):
        program.wait()
    assert program.exit_code is None
    idle(client)
    with client.run(client.upload(wasm(FLOOD))) as flooding:
        assert next(flooding.output()).stream is OutputStream.STDOUT
    idle(client)


def test_a_program_out_of_time(client):
    with pytest.raises(DeadlineExceededError):
        client.run_to_end(client.upload(wasm(SPIN)), timeout=0.5)
    idle(client)


def tar_of(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{name}.txt")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_directories(client, tmp_path):
    zipped = tmp_path / "files.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zipped.txt", "a b\n" * 1000)
    module = client.upload(WORD_COUNT)
    mounts = {
        "/tar": ArchiveMount(tar_of(tarred=os.urandom(400_000).replace(b"\n", b" "))),
        "/zip": ArchiveMount(zipped),
        "/host": HostDirectory("poems"),
        "/tmp": TemporaryDirectory(),
    }
    names = ["/tar/tarred.txt", "/zip/zipped.txt", "/host/poem.txt", "/tmp/nothing"]
    result = client.run_to_end(module, arguments=["wc", *names], mounts=mounts)
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("0 ")
    assert lines[0].endswith(" 400000 /tar/tarred.txt")
    assert lines[1:] == ["1000 2000 4000 /zip/zipped.txt", "2 3 14 /host/poem.txt"]
    assert result.stderr == b"wc: /tmp/nothing: No such file or directory\n"
    assert result.exit_code == 1
    writing = client.upload(wasm(WRITE_FILE))
    assert client.run_to_end(writing, mounts={"/": TemporaryDirectory(100_000)}).exit_code == NOSPC


def test_what_cannot_be_run(client):
    module = client.upload(wasm(CAT))
    with pytest.raises(NotFoundError):
        client.run_to_end("0" * 64)
    with pytest.raises(FailedPreconditionError, match="is no command"):
        client.run_to_end(client.upload(wasm(REACTOR)))
    with pytest.raises(NotFoundError, match="there is no host directory 'etc'"):
        client.run_to_end(module, mounts={"/etc": HostDirectory("etc")})
    with pytest.raises(InvalidRequestError, match="neither a zip nor a tar archive"):
        client.run_to_end(module, mounts={"/a": ArchiveMount(b"no archive")})
    with pytest.raises(ResourceExhaustedError):
        client.run_to_end(module, max_memory_pages=1)
    with pytest.raises(OSError, match="nowhere"):
        client.run(module, mounts={"/a": ArchiveMount("/nowhere")})
    with pytest.raises(TypeError):
        client.run(module, mounts={"/a": "/tmp"})


def test_limits_are_told(client):
    limits = client.server_info().limits
    assert limits.host_directories == ("poems", "work")
    assert limits.max_programs >= 1


# -- Instances with WASI -----------------------------------------------------------------------------------------------


def test_a_reactor_is_initialised_and_its_output_kept(client):
    module = client.upload(wasm(REACTOR))
    with client.create_store() as store:
        reactor = store.instantiate(module, wasi=Wasi(max_output_bytes=100))
        assert reactor.exports.count() == 41
        output = reactor.take_output()
        assert (output.stdout, output.stderr) == (b"initialised", b"")
        reactor.exports.say(70)
        reactor.exports.say(70)
        output = reactor.take_output()
        assert (output.stdout, output.stderr) == (b"", bytes(100))
        assert (output.discarded_stdout, output.discarded_stderr) == (0, 40)
        reactor.exports.say(1)
        assert reactor.take_output().stderr == b"\0"
        with pytest.raises(ProgramExitError) as raised:
            reactor.exports.leave(7)
        assert raised.value.exit_code == 7
        discarding = store.instantiate(module, wasi=Wasi(max_output_bytes=0))
        assert discarding.take_output().discarded_stdout == 11


def test_instances_have_arguments_input_and_directories(client, shared_directory):
    with client.create_store() as store:
        wasi = Wasi(arguments=["x", "y"], environment={"K": "v"})
        instance = store.instantiate(client.upload(wasm(ARGUMENTS)), wasi=wasi)
        with pytest.raises(ProgramExitError) as raised:
            instance.exports["_start"]()
        assert raised.value.exit_code == 2
        output = instance.take_output()
        assert (output.stdout, output.stderr) == (b"x\0y\0", b"K=v\0")
        instance = store.instantiate(client.upload(wasm(CAT)), wasi=Wasi(stdin=b"given"))
        instance.exports["_start"]()
        assert instance.take_output().stdout == b"given"
        wasi = Wasi(mounts={"/": TemporaryDirectory(4096)})
        instance = store.instantiate(client.upload(wasm(WRITE_FILE)), wasi=wasi)
        with pytest.raises(ProgramExitError) as raised:
            instance.exports["_start"]()
        assert raised.value.exit_code == NOSPC
        plain = store.instantiate(client.upload(wasm("(module)")))
        with pytest.raises(FailedPreconditionError, match="without `wasi`"):
            plain.take_output()
        with pytest.raises(NotFoundError):
            store.instantiate(client.upload(wasm(CAT)), wasi=Wasi(mounts={"/": HostDirectory("etc")}))
        with pytest.raises(FarcallError, match="unknown import"):
            store.instantiate(client.upload(wasm(CAT)))


# -- The asyncio client ------------------------------------------------------------------------------------------------


async def test_asyncio_run_to_end(async_client):
    module = await async_client.upload(wasm(ARGUMENTS))
    result = await async_client.run_to_end(module, arguments=["a"], environment={"KEY": "value"})
    assert result == ProgramResult(1, b"a\0", b"KEY=value\0")


async def test_asyncio_conversation(async_client):
    answers = asyncio.Queue()

    async def questions():
        yield b"question 0"
        for number in range(1, 10):
            assert await answers.get() == b"question %d" % (number - 1)
            yield b"question %d" % number

    module = await async_client.upload(wasm(CAT))
    async with async_client.run(module, stdin=questions()) as program:
        async for output in program.output():
            answers.put_nowait(output.data)
        assert await program.wait() == 0
    assert answers.get_nowait() == b"question 9"


async def test_asyncio_traps_ends_and_deadlines(async_client):
    with pytest.raises(Trap):
        await async_client.run_to_end(await async_client.upload(wasm(TRAP)))
    module = await async_client.upload(wasm(SPIN))
    with pytest.raises(DeadlineExceededError):
        await async_client.run_to_end(module, timeout=0.5)
    program = async_client.run(module)
    assert (await anext(program.output())).data == b"spinning"
    waiting = asyncio.create_task(program.wait())
    await asyncio.sleep(0)
    await program.stop()
    with pytest.raises(CancelledError):
        await waiting
    with pytest.raises(NotFoundError):
        await async_client.run_to_end("0" * 64, stdin=bytes(1 << 20))


async def test_asyncio_instances_with_wasi(async_client):
    async with await async_client.create_store() as store:
        module = await async_client.upload(wasm(REACTOR))
        reactor = await store.instantiate(module, wasi=Wasi())
        assert (await reactor.take_output()).stdout == b"initialised"
        assert await reactor.exports.count() == 41


# -- farcall run -------------------------------------------------------------------------------------------------------


def run(server, *arguments, **options):
    return in_a_process("--server", server.address, "run", *arguments, **options)


def test_the_command_passes_everything_through(server, program):
    file = program(ARGUMENTS)
    ended = run(
        server, "--env", "KEY=value", file, "one", "--env", "-x", "--", env={**os.environ, "OTHER": "o"}
    )
    assert (ended.returncode, ended.stderr) == (5, b"KEY=value\0")
    assert ended.stdout == b"program.wasm\0one\0--env\0-x\0--\0"
    ended = run(server, file, "--env", "OTHER", "--", "--help", env={**os.environ, "OTHER": "o"})
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, b"OTHER=o\0", b"program.wasm\0--help\0")
    assert run(server, program(CAT), input=b"in\0put" * 100_000).stdout == b"in\0put" * 100_000


def test_a_module_by_its_digest(server, client):
    digest = client.upload(wasm(CAT)).digest
    assert run(server, digest[:20], input=b"x").stdout == b"x"


def test_input_and_output_stream_at_the_same_time(server, program):
    command = [*FARCALL, "--server", server.address, "run", program(CAT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(5):
            line = b"line %d\n" % number
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        process.stdin.close()
        assert process.wait(60) == 0


def test_an_interrupt_stops_the_program(server, client, program):
    command = [*FARCALL, "--server", server.address, "run", program(SPIN)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(8) == b"spinning"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == b""
    idle(client)


def test_a_reader_that_goes_away_stops_the_program(server, client, program):
    command = [*FARCALL, "--server", server.address, "run", program(FLOOD)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 1
    idle(client)


def test_a_trap_is_told(server, program):
    ended = run(server, program(TRAP))
    assert (ended.returncode, ended.stdout) == (134, b"so far so good")
    assert ended.stderr == b"trap: unreachable\n  0: program!fail\n  1: program!_start\n"


def test_directories_of_the_command(server, tmp_path, shared_directory):
    directory = tmp_path / "directory"
    (directory / "inner").mkdir(parents=True)
    (directory / "inner" / "file.txt").write_text("a b c\n")
    (directory / "link.txt").symlink_to("inner/file.txt")
    archive = tmp_path / "files.tar"
    archive.write_bytes(tar_of(tarred=b"x\n"))
    ended = run(
        server,
        WORD_COUNT,
        *("--dir", f"{directory}::/up:ro"),
        *("--mount", "poems::/poems"),
        *("--tmp", "/tmp=1M"),
        *("--archive", f"{archive}::/tar"),
        *("--", "/up/link.txt", "/poems/poem.txt", "/tmp/none", "/tar/tarred.txt"),
    )
    assert ended.stdout == b"1 3 6 /up/link.txt\n2 3 14 /poems/poem.txt\n1 1 2 /tar/tarred.txt\n"
    assert ended.stderr == b"word_count.wasm: /tmp/none: No such file or directory\n"
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dir", "{directory}::/x", WORD_COUNT], "`--tmp GUEST[=SIZE]` is an empty directory"),
        (["--dir", "/nowhere::/x:ro", WORD_COUNT], "there is no directory '/nowhere'"),
        (["--tmp", "/tmp=lots", WORD_COUNT], "is not of the form GUEST or GUEST=SIZE"),
        (["--mount", "poems", WORD_COUNT], "is not of the form NAME::GUEST"),
        (["--archive", "nothing", WORD_COUNT], "is not of the form FILE::GUEST"),
        (["--env", "=x", WORD_COUNT], "is not of the form NAME=VALUE"),
        (["--env", "NOT_THERE_AT_ALL", WORD_COUNT], "has no value"),
        (
            ["--tmp", "/a", "--tmp", "/b", "--mount", "poems::/a", WORD_COUNT],
            "two directories are to be found at '/a'",
        ),
        ([], "Missing argument 'FILE|MODULE'"),
    ],
)
def test_wrong_usage(farcall, tmp_path, arguments, message):
    arguments = [str(argument).format(directory=tmp_path) for argument in arguments]
    assert message in " ".join(farcall("run", *arguments, status=2).err.split())


def test_what_is_not_there(farcall):
    ended = farcall("run", "nothing", status=1)
    assert ended.err.startswith("error: 'nothing' is neither a file nor a module of the server's")
    assert (
        "there is no host directory 'etc'" in farcall("run", "--mount", "etc::/x", WORD_COUNT, status=1).err
    )
