"""`farcall run` with a server and without one: the same exit status, the same output, the same messages."""

import os
import signal
import subprocess

import pytest
from command_line_support import in_a_process
from real_server import FARCALL, running_server

EXIT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))"""
RAISE = """(module (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const {signal})))))"""
WRITE = """(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00ready\\n")
  (func $ready (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))"""
TRAP = f'(module $it {WRITE} (func $inner unreachable) (func (export "_start") (call $ready) (call $inner)))'
DIVIDE = '(module $it (func (export "_start") (drop (i32.div_u (i32.const 1) (i32.const 0)))))'
DEEP = '(module $it (func $deep (export "_start") (call $deep) (call $deep)))'
THROW = """(module $it (tag $trouble (export "trouble") (param i32))
  (func (export "_start") (throw $trouble (i32.const 7))))"""
START = '(module $it (func $start unreachable) (start $start) (func (export "_start")))'
JUMP = """(module $it (import "env" "longjmp" (func $jump (param i32 i32)))
  (func (export "_start") (call $jump (i32.const 0) (i32.const 1))))"""
ABORT = """(module $it (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "env" "console.log" (func $log (param i32)))
  (memory (export "memory") 1) (data (i32.const 4) "\\06\\00\\00\\00w\\00h\\00y\\00")
  (func (export "_start") (call $log (i32.const 8))
    (call $abort (i32.const 8) (i32.const 0) (i32.const 3) (i32.const 4))))"""
NO_MEMORY = """(module $it (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (func (export "_start") (drop (call $random (i32.const 0) (i32.const 1)))))"""
LOOP = f'(module {WRITE} (func (export "_start") (call $ready) (loop (br 0))))'
READ = f"""(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  {WRITE} (func (export "_start") (call $ready)
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))))"""
SLEEP = f"""(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  {WRITE} (func (export "_start") (call $ready)
    (i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const 1000000000000000))
    (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 16)))))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(params=["local", "remote"])
def way(request):
    """The beginning of the command."""
    if request.param == "local":
        return ["run", "--local"]
    return ["--server", request.getfixturevalue("server").address, "run"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((code, code) for code in (0, 1, 2, 126, 127, 130, 134, 255)),
        *((code, code & 255) for code in (256, 257, (1 << 31) + 5, (1 << 32) - 1)),  # as of any process
    ],
)
def test_the_exit_status_is_the_programs(way, program, code, status):
    ended = in_a_process(*way, program(EXIT.format(code=code)))
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, b"", b"")


@pytest.mark.parametrize(("number", "status"), [(6, 134), (15, 143), (0, 0)])
def test_signals_that_a_program_sends_itself(way, program, number, status):
    ended = in_a_process(*way, program(RAISE.format(signal=number)))
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, b"", b"")


@pytest.mark.parametrize(
    ("source", "out", "errors"),
    [
        (TRAP, b"ready\n", ["trap: unreachable", "  0: it!inner", "  1: it!_start"]),
        (DIVIDE, b"", ["trap: integer divide by zero", "  0: it!_start"]),
        (DEEP, b"", ["trap: call stack exhausted", *(f"  {depth}: it!deep" for depth in range(64))]),
        (THROW, b"", ["error: uncaught exception: tag trouble (i32 7)", "  0: it!_start"]),
        (START, b"", ["trap: unreachable", "  0: it!start"]),
        (JUMP, b"", ["trap: a longjmp that no setjmp was there for", "  0: it!_start"]),
        (ABORT, b"", ["why", "trap: abort: why in (unknown file):3:4", "  0: it!_start"]),
    ],
    ids=["trap", "divide", "deep", "throw", "start", "jump", "abort"],
)
def test_a_program_that_traps_has_aborted(way, program, source, out, errors):
    ended = in_a_process(*way, program(source))
    assert (ended.returncode, ended.stdout) == (134, out)
    assert ended.stderr.decode().splitlines() == errors


def test_a_trap_as_json(way, program):
    ended = in_a_process(*way, "--json", program(TRAP))
    assert ended.returncode == 134
    assert b'"type": "Trap"' in ended.stderr


@pytest.mark.parametrize("source", [LOOP, READ, SLEEP], ids=["working", "reading", "sleeping"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_stops_the_program(way, program, source, number, status):
    command = [*FARCALL, *way, str(program(source))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(60) == status
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


@pytest.mark.parametrize("source", [LOOP, READ, SLEEP], ids=["working", "reading", "sleeping"])
def test_a_timeout_stops_the_program(way, program, source):
    reading, writing = os.pipe()  # of which nothing comes
    try:
        ended = in_a_process(*way, "--timeout", "1.5", program(source), stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert (ended.returncode, ended.stdout) == (1, b"ready\n")
    assert ended.stderr.decode().splitlines()[0] == "error: stopped after 1.5 seconds"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(module)", "is no command: it exports no function '_start'"),
        (
            '(module (memory (export "_start") 1))',
            "is no command: its '_start' is memory i32 1 pages, not () -> ()",
        ),
        (
            '(module (func (export "_start") (param i32)))',
            "is no command: its '_start' is (i32) -> (), not () -> ()",
        ),
        ('(module (import "x" "y" (func)) (func (export "_start")))', 'unknown import: "x" "y"'),
        (NO_MEMORY, "exports no memory named 'memory'"),
    ],
)
def test_what_cannot_be_run_is_told(way, program, source, message):
    ended = in_a_process(*way, program(source))
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert message in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def test_closed_streams_are_no_obstacle(way, program):
    """A process that is started without them has no standard streams."""
    arguments = [*FARCALL, *way, str(program(TRAP))]
    script = 'exec "$@" <&- >&-'
    ended = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *arguments], stderr=subprocess.PIPE, timeout=120, check=False
    )
    assert ended.returncode == 134
    assert ended.stderr.startswith(b"trap: unreachable\n")


def test_arguments_that_are_not_unicode(server, program):
    """They reach a program here as they are; messages to a server cannot carry them."""
    file = program(
        """(module (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "_start") (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $get (i32.const 1024) (i32.const 4096)))
            (i32.store (i32.const 8) (i32.const 4096)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
            (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"""
    )
    ended = in_a_process("run", "--local", file, "\udcff")
    assert (ended.returncode, ended.stdout) == (0, b"program.wasm\0\xff\0")
    ended = in_a_process("--server", server.address, "run", file, "\udcff")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"is not Unicode, and a server takes nothing else; with --local it can be passed" in ended.stderr
