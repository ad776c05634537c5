"""`farcall exec` and `farcall inspect FILE`: the engine in the command's own process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from calculator_module import APPLICATION, CALCULATOR
from command_line_support import CommandLine, in_a_process
from wasmtime import wat2wasm


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "calculator.wasm"
    path.write_bytes(CALCULATOR)
    return path


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "application.wasm"
    path.write_bytes(APPLICATION)
    return path


@pytest.fixture
def farcall(capfd):
    return CommandLine(capfd)


@pytest.mark.parametrize(
    ("function", "arguments", "lines"),
    [
        ("add", ["1", "2"], ["3"]),
        ("add", ["-1", "-2"], ["-3"]),
        ("add", ["-0x80000000", "0x7fffffff"], ["-1"]),
        ("add64", ["-9223372036854775808", "9223372036854775807"], ["-1"]),
        ("same_f32", ["0.1"], ["0.1"]),
        ("same_f32", ["-0.0"], ["-0.0"]),
        ("same_f32", ["-inf"], ["-inf"]),
        ("same_f32", ["-nan:0x1"], ["-nan:0x1"]),
        ("same_f32", ["3.4028235e38"], ["3.4028235e+38"]),
        ("half", ["16777217"], ["8388608.0"]),
        ("same_f64", ["nan:0x123"], ["nan:0x123"]),
        ("same_f64", ["-.5"], ["-0.5"]),
        ("same_f64", ["5e-324"], ["5e-324"]),
        ("same_f64", ["Inf"], ["inf"]),
        ("divide_f64", ["1", "-0"], ["-inf"]),
        ("nothing", [], []),
        ("three", [], ["-1", "0.1", "9223372036854775807"]),
        ("same_reference", ["null", "null"], ["null", "null"]),
        ("itself", [], ["instance-1!divide"]),
    ],
)
def test_each_result_is_a_line_and_nothing_else_is_printed(farcall, file, function, arguments, lines):
    ended = farcall("exec", file, function, *arguments)
    assert ended.out == "".join(f"{line}\n" for line in lines)
    assert ended.err == ""


def test_options_may_stand_behind_negative_numbers(farcall, file):
    assert json.loads(farcall("exec", file, "add", "-1", "-2", "--json").out) == {
        "results": [-3],
        "types": ["i32"],
    }
    assert farcall("exec", "--timeout", "10", file, "add", "--", "-1", "-2").out == "-3\n"
    assert json.loads(farcall("--json", "exec", file, "add", "1", "2").out)["results"] == [3]


def test_json_keeps_what_json_has_no_number_for_as_text(farcall, file):
    def results(*arguments):
        return json.loads(farcall("exec", "--json", file, *arguments).out)["results"]

    assert results("same_f64", "nan") == ["nan"]
    assert results("same_f64", "-inf") == ["-inf"]
    assert results("same_f32", "nan:0x1") == ["nan:0x1"]
    assert results("same_f32", "0.1") == [0.1]
    assert results("three") == [-1, 0.1, 2**63 - 1]
    assert results("nothing") == []
    assert results("same_reference", "null", "null") == [None, None]


def test_a_trap_prints_the_backtrace(farcall, file):
    ended = farcall("exec", file, "divide_by_zero", "7", status=1)
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert lines[0] == "trap: integer divide by zero"
    assert [line.rpartition("!")[2] for line in lines[1:]] == ["divide", "outer"]
    ended = farcall("--json", "exec", file, "divide_by_zero", "7", status=1)
    error = json.loads(ended.err)["error"]
    assert (error["type"], error["code"], error["kind"]) == ("Trap", "ABORTED", "integer_divide_by_zero")
    assert [frame["function_name"] for frame in error["backtrace"]] == ["divide", "outer"]


def test_endless_recursion_is_a_trap(farcall, file):
    assert farcall("exec", file, "recurse", status=1).err.startswith("trap: call stack exhausted\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "1"], "wanted 2 arguments (i32, i32), given 1 argument"),
        (["nothing", "1"], "wanted 0 arguments, given 1 argument"),
        (
            ["add", "1", "2147483648"],
            "argument 1: out of range for i32 (-2147483648 to 2147483647): '2147483648'",
        ),
        (["add", "1", "x"], "argument 1: not an integer, which i32 wants: 'x'"),
        (["add", "1", "1.5"], "argument 1: not an integer, which i32 wants: '1.5'"),
        (["same_f32", "1e39"], "argument 0: out of range for f32: '1e39'"),
        (["missing"], "missing"),
        (["memory"], "memory"),
    ],
)
def test_what_does_not_fit_the_function_fails(farcall, file, arguments, message):
    ended = farcall("exec", file, *arguments, status=1)
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_timeout_stops_the_guest(farcall, file):
    ended = farcall("exec", "--timeout", "0.3", file, "spin", status=1)
    assert ended.err.startswith("error: stopped after 0.3 seconds\n  0: ")
    error = json.loads(farcall("exec", "--json", "--timeout", "0.2", file, "spin", status=1).err)["error"]
    assert (error["type"], error["code"]) == ("DeadlineExceededError", "DEADLINE_EXCEEDED")
    assert len(error["backtrace"]) == 1


def wait_until_a_thread_is_busy(pid, seconds=0.5):
    """Until a thread that is not the main one has used the processor for so long: then the guest runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            if stat.parent.name == str(pid):
                continue
            with contextlib.suppress(FileNotFoundError):  # a thread that has ended
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[11]) / os.sysconf("SC_CLK_TCK") > seconds:
                    return
        time.sleep(0.05)
    raise AssertionError("no thread became busy")


def test_an_interrupt_stops_the_guest(file):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from farcall.client.command_line import main; main()",
            "exec",
            str(file),
            "spin",
        ],
        stderr=subprocess.PIPE,
    )
    with process:
        wait_until_a_thread_is_busy(process.pid)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == b""


def test_libraries_provide_imports(farcall, file, application):
    assert farcall("exec", application, "twice", "21", "--link", f"math={file}").out == "42\n"
    ended = farcall("exec", application, "twice", "21", status=1)
    assert '"math" "add"' in ended.err
    error = json.loads(farcall("exec", application, "twice", "21", "--json", status=1).err)["error"]
    assert (error["type"], error["module"], error["name"]) == ("LinkError", "math", "add")
    assert error["found"] is None
    assert "IMPORT_MODULE=FILE" in farcall("exec", application, "twice", "1", "--link", "math", status=2).err
    assert "no file 'x'" in farcall("exec", application, "twice", "1", "--link", "math=x", status=2).err


def test_a_file_that_is_no_module(farcall, tmp_path, file):
    path = tmp_path / "bad.wasm"
    cases = (
        (b"", "malformed module"),
        (b"\0asm\1\0\0\0\x01", "malformed module"),
        (file.read_bytes()[:-3], "(at byte 0x"),
    )
    for content, message in cases:
        path.write_bytes(content)
        for command in (("exec", path, "add"), ("inspect", path)):
            ended = farcall(*command, status=1)
            assert ended.err.startswith("error: ")
            assert message in ended.err
            assert ended.out == ""
    path.write_bytes(
        wat2wasm("(module (func))").replace(b"\x0a\x04\x01\x02\x00\x0b", b"\x0a\x05\x01\x03\x00\x6a\x0b")
    )
    error = json.loads(farcall("inspect", path, "--json", status=1).err)["error"]
    assert error["type"] == "InvalidModuleError"
    assert error["function_index"] == 0
    assert error["offset"] > 20


def test_inspect_tells_what_is_in_a_file(farcall, file):
    lines = farcall("inspect", file).out.splitlines()
    assert lines[0].startswith("module 'calculator' ")
    assert lines[0].endswith(f", {file.stat().st_size} bytes")
    text = "\n".join(lines)
    assert "counter         global mut i64" in text
    assert "memory          memory i32 2..5 pages" in text
    assert "three           function () -> (i32, f64, i64)" in text
    assert "table           table 3 funcref" in text
    titles = [line for line in lines if line.endswith(")") and not line.startswith(" ") and "  " not in line]
    assert titles == ["sections (9)", "types (11)", "exports (19)", "custom sections (1)"]
    content = json.loads(farcall("inspect", file, "--json").out)
    assert content["module_name"] == "calculator"
    assert content["exports"][0] == {
        "name": "add",
        "type": {"kind": "function", "parameters": ["i32", "i32"], "results": ["i32"]},
    }
    memory = next(entry for entry in content["exports"] if entry["name"] == "memory")
    assert memory["type"]["limits"] == {"minimum": 2, "maximum": 5}
    source = file.read_bytes()
    type_section = content["sections"][0]
    assert (type_section["id"], type_section["name"]) == (1, "type")
    assert source[type_section["offset"] - 2] == 1
    assert content["custom_sections"][0]["name"] == "name"


def test_inspect_warns_of_custom_sections_that_are_wrong(farcall, file, tmp_path):
    assert farcall("inspect", file).err == ""
    path = tmp_path / "misnamed.wasm"
    path.write_bytes(wat2wasm("(module)") + b"\0\x0b\4name\1\4\1\7\1x")
    warning = "warning: @name annotation: unknown function 7 (at byte 0x12)\n"
    ended = farcall("inspect", path)
    assert ended.out.startswith("module ")
    assert ended.err == warning
    ended = farcall("inspect", path, "--json")
    assert json.loads(ended.out)["custom_sections"][0]["size"] == 6
    assert ended.err == warning


def test_inspect_reads_standard_input(file):
    with file.open("rb") as stream:
        ended = in_a_process("inspect", "-", stdin=stream)
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"module 'calculator' ")


def test_names_of_guests_do_not_command_the_terminal(farcall, tmp_path):
    path = tmp_path / "evil.wasm"
    path.write_bytes(wat2wasm('(module (func (export "\\1b[31m[bold]red\\07")))'))
    out = farcall("inspect", path).out
    assert "\\x1b[31m[bold]red\\x07" in out
    assert "\x1b" not in out


def test_inspect_tells_kinds_of_memories_and_tables(farcall, tmp_path):
    path = tmp_path / "kinds.wasm"
    path.write_bytes(
        wat2wasm(
            '(module (memory (export "wide") i64 1 2) (memory (export "bytes") 10 (pagesize 1))'
            ' (table (export "table") i64 1 2 funcref))'
        )
    )
    text = farcall("inspect", path).out
    assert "wide   memory i64 1..2 pages\n" in text
    assert "bytes  memory i32 10 pages of 1 byte\n" in text
    assert "table  table i64 1..2 funcref\n" in text
    content = {
        entry["name"]: entry["type"]
        for entry in json.loads(farcall("inspect", path, "--json").out)["exports"]
    }
    assert content["wide"]["index_type"] == content["table"]["index_type"] == "i64"
    assert content["bytes"]["page_size"] == 1


def test_serve_refuses_features_that_do_not_exist(farcall):
    ended = farcall("serve", "--disable-feature", "telepathy", status=2)
    assert "there is no feature 'telepathy'" in ended.err


ODD_NAMES = """
(module $"two\\nlines"
  (func (export "-1") (result i32) i32.const 1)
  (func (export "-0x10") (param i32) (result i32) local.get 0)
  (func (export "--help") (result i32) i32.const 2)
  (func (export "") (result i32) i32.const 3)
  (func (export "a/b c") (result i32) i32.const 4)
  (func (export "two\\nlines") unreachable)
  (func $"\\1b[31m\\n" (export "itself") (result funcref) ref.func 6))
"""


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "odd.wasm"
    path.write_bytes(bytes(wat2wasm(ODD_NAMES)))
    return path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-1"], "1"),
        (["-0x10", "-5"], "-5"),
        (["--", "--help"], "2"),
        ([""], "3"),
        (["a/b c"], "4"),
        (["itself"], r"instance-1!\x1b[31m\n"),
    ],
)
def test_functions_may_have_any_name(farcall, odd_names, arguments, line):
    assert farcall("exec", odd_names, *arguments).out == f"{line}\n"


def test_names_cannot_make_lines_of_their_own(farcall, odd_names):
    assert farcall("exec", odd_names, "two\nlines", status=1).err == (
        "trap: unreachable\n" + r"  0: two\nlines!two\nlines" + "\n"
    )
    lines = farcall("inspect", odd_names).out.splitlines()
    assert r"two\nlines  function () -> ()" in lines


def test_a_library_has_one_instance_for_all_that_it_provides(farcall, tmp_path):
    """Its functions and its memory belong together, whatever import modules they are asked from."""
    library, middle, application = (
        tmp_path / f"{name}.wasm" for name in ("library", "middle", "application")
    )
    library.write_bytes(
        bytes(
            wat2wasm("""(module (memory (export "memory") 1)
              (func (export "put") (i32.store (i32.const 0) (i32.const 42))))""")
        )
    )
    middle.write_bytes(
        bytes(
            wat2wasm("""(module (import "library" "put" (func $put))
              (func (export "put_twice") call $put call $put))""")
        )
    )
    application.write_bytes(
        bytes(
            wat2wasm("""(module (import "env" "memory" (memory 1)) (import "middle" "put_twice" (func $put))
              (func (export "get") (result i32) (call $put) (i32.load (i32.const 0))))""")
        )
    )
    links = [f"--link={name}={path}" for name, path in
             (("env", library), ("library", library), ("middle", middle))]  # fmt: skip
    assert farcall("exec", *links, application, "get").out == "42\n"


def test_custom_sections_are_shown_with_their_names(farcall, odd_names):
    lines = [line.split() for line in farcall("inspect", odd_names).out.splitlines()]
    assert ["0", "custom", "'name'"] in [line[:3] for line in lines]


@pytest.mark.parametrize("name", ["nosuch.wasm", "/no/such/file", "zz"])
def test_inspecting_what_is_neither_file_nor_digest_is_wrong_usage(farcall, name):
    ended = farcall("--server", "127.0.0.1:1", "inspect", name, status=2)
    assert f"there is no file {name!r}" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upload"], "Missing argument 'FILE'."),
        (["instantiate", "ab", "--link", "x"],
         "Invalid value for '--link': 'x' is not of the form IMPORT_MODULE=INSTANCE"),
        (["inspect", "zz"], "Invalid value for 'FILE|MODULE': there is no file 'zz', and it is no digest, "
         "which has hexadecimal digits only"),
    ],
)  # fmt: skip
def test_wrong_usage_as_json_tells_as_much_as_text(farcall, arguments, message):
    error = json.loads(farcall("--json", *arguments, status=2).err)["error"]
    assert error == {"type": "UsageError", "message": message}
    assert message in farcall(*arguments, status=2).err
