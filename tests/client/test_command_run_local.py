"""`farcall run --local`: a program in the command's own process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line_support import CommandLine, in_a_process

FILES = Path(__file__).parents[1] / "engine" / "host" / "wasi" / "programs" / "files.wasm"

EXIT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))"""
RETURN = '(module (memory (export "memory") 1) (func (export "_start")))'
TRAP = '(module (func $inner unreachable) (func (export "_start") (call $inner)))'
LOOP = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00ready\\n")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (loop (br 0))))"""
ARGUMENTS = """(module (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 4096)))
    (i32.store (i32.const 8) (i32.const 4096)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"""


def run(*arguments, **options):
    return in_a_process("run", "--local", *arguments, **options)


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_programs_and_nothing_is_printed(program, code):
    ended = run(program(EXIT.replace("{code}", str(code))))
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


def test_a_program_that_returns_has_succeeded(program):
    ended = run(program(RETURN))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_trap_is_printed_with_its_backtrace(program):
    ended = run(program(TRAP))
    assert (ended.returncode, ended.stdout) == (134, b"")
    assert ended.stderr.decode().splitlines() == [
        "trap: unreachable",
        "  0: <module>!inner",
        "  1: <module>!_start",
    ]


def test_a_script_says_why_it_gave_up(program):
    ended = run(
        program(
            """(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
          (import "env" "console.log" (func $log (param i32)))
          (memory (export "memory") 1) (data (i32.const 4) "\\06\\00\\00\\00w\\00h\\00y\\00")
          (func (export "_start") (call $log (i32.const 8))
            (call $abort (i32.const 8) (i32.const 0) (i32.const 3) (i32.const 4))))"""
        )
    )
    assert ended.returncode == 134
    assert ended.stderr.decode().splitlines() == [
        "why",
        "trap: abort: why in (unknown file):3:4",
        "  0: <module>!_start",
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], []),
        (["one", "two words", ""], ["one", "two words", ""]),
        (["-x", "--env", "A=1"], ["-x", "--env", "A=1"]),
        (["--", "--env", "A=1"], ["--env", "A=1"]),
        (["--env", "A=1", "--", "--", "-1"], ["--", "-1"]),
        (["--version"], ["--version"]),
        (["ä", "🦊"], ["ä", "🦊"]),
    ],
)
def test_arguments_reach_the_program_as_they_are(capfd, program, arguments, wanted):
    path = program(ARGUMENTS)
    ended = CommandLine(capfd)("run", "--local", path, *arguments)
    assert ended.out.split("\0")[:-1] == [path.name, *wanted]


def test_directories_input_output_and_environment(tmp_path, program):
    directory = tmp_path / "shared"
    directory.mkdir()
    ended = run("--env", "GREETING=hi", "--dir", f"{directory}::/data", FILES, "one", input=b"first\n")
    assert ended.stdout == b"argument one\ngreeting hi\nread first\n. .. linked moved symbolic\nend\n"
    assert (ended.returncode, ended.stderr) == (42, b"0 failures\n")
    ended = run("--dir", f"{directory}::/data:ro", FILES)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert ended.stdout == b"greeting none\nfailed: fopen (Read-only file system)\n"
    assert list(directory.iterdir()) == []


def test_wrong_usage_is_told(tmp_path, program):
    for arguments, message in (
        ([tmp_path / "missing.wasm"], b"there is no file"),
        (["--dir", "/no/such::/x", program(RETURN)], b"there is no directory"),
        (["--env", "=1", program(RETURN)], b"NAME=VALUE"),
        (["--bogus", program(RETURN)], b"No such option"),
        ([], b"Missing argument"),
    ):
        ended = run(*arguments)
        assert ended.returncode == 2, ended
        assert message in ended.stderr


def test_what_is_no_program_is_told(tmp_path, program):
    path = tmp_path / "text.wasm"
    path.write_text("no module")
    assert b"malformed module" in run(path).stderr
    ended = run(program("(module)"))
    assert ended.returncode == 1
    assert b"exports no function '_start'" in ended.stderr
    ended = run(program('(module (import "x" "y" (func)) (func (export "_start")))'))
    assert ended.returncode == 1
    assert b'unknown import: "x" "y"' in ended.stderr


def test_an_interrupt_stops_the_program(program):
    command = [sys.executable, "-c", "from farcall.client.command_line import main; main()", "run", "--local"]
    with subprocess.Popen(
        [*command, str(program(LOOP))], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_timeout_stops_the_program(program):
    ended = run("--timeout", "0.5", program(LOOP))
    assert ended.returncode == 1
    assert b"stopped after 0.5 seconds" in ended.stderr


def test_without_a_server_there_is_no_grpc(program):
    check = (
        "import sys\nfrom farcall.client.command_line.program import run\n"
        f"status = run(['run', '--local', {str(program(RETURN))!r}])\n"
        "assert status == 0\nassert 'grpc' not in sys.modules\nassert 'asyncio' not in sys.modules\n"
    )
    environment = {**os.environ}
    subprocess.run([sys.executable, "-c", check], check=True, env=environment, timeout=120)
