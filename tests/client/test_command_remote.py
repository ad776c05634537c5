"""The commands that talk to a server, against one without an engine."""

import json
import os
import pty
import socket
import subprocess
import sys
import threading

import grpc
import pytest
from command_line_support import CommandLine, in_a_process
from fake_farcall_server import StatusError
from grpc_health.v1 import health_pb2

from farcall.client import Client
from farcall.client.command_line.program import run
from farcall.proto.farcall.v1 import error_details_pb2 as details


@pytest.fixture
def farcall(capfd, fake_server, monkeypatch):
    monkeypatch.setenv("FARCALL_SERVER", fake_server.address)
    return CommandLine(capfd)


@pytest.fixture
def file(tmp_path, module_bytes):
    path = tmp_path / "module.wasm"
    path.write_bytes(module_bytes)
    return path


@pytest.fixture
def digest(farcall, file):
    return farcall("upload", file).out.strip()


@pytest.fixture
def instance(farcall, digest):
    return farcall("instantiate", digest, "--name", "app").out.strip()


def test_upload_prints_the_digest_and_nothing_else(farcall, file, fake_server):
    ended = farcall("upload", file)
    assert ended.out == f"{next(iter(fake_server.modules))}\n"
    assert ended.err == ""
    module = json.loads(farcall("upload", file, "--json").out)
    assert (module["digest"], module["created"], module["compiled"]) == (ended.out.strip(), False, False)
    assert module["compile_seconds"] == 1.5


def test_upload_waits_and_tells_how_far_it_is(farcall, file, fake_server):
    ended = farcall("upload", "--wait", file)
    assert ended.out == f"{next(iter(fake_server.modules))}\n"
    lines = ended.err.splitlines()
    assert lines[0] == "compiled 0 of 40 functions"
    assert lines[-1] == "compiled 40 of 40 functions"
    assert len(lines) == 11
    assert fake_server.deferred == {ended.out.strip(): True}
    ended = farcall("upload", "--wait", "--json", file)
    assert ended.err == ""
    module = json.loads(ended.out)
    assert module["digest"] in fake_server.modules
    assert module["compilation"] == {
        "functions": 40,
        "functions_done": 40,
        "optimized": 30,
        "fast": 10,
        "code_size": 4000,
        "code_size_done": 4000,
        "done": True,
    }
    farcall("upload", file)
    assert fake_server.deferred == {module["digest"]: False}


def test_upload_shows_a_bar_of_functions_on_a_terminal(fake_server, file):
    primary, secondary = pty.openpty()
    original, started = fake_server.CompileModule, threading.Event()

    def slow(request):
        answers = original(request)
        yield next(answers)
        yield next(answers)
        started.wait(60)
        yield from answers

    fake_server.CompileModule = slow
    command = [sys.executable, "-c", "from farcall.client.command_line import main; main()"]
    command += ["--server", fake_server.address, "upload", "--wait", str(file)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=secondary, env=environment)
    os.close(secondary)
    with process:
        shown = b""
        while b"2/40" not in shown:
            shown += os.read(primary, 4096)
        started.set()
        assert process.stdout.read().decode().strip() in fake_server.modules
        assert process.wait(60) == 0
    assert b"compiling" in shown
    assert b"functions" in shown
    os.close(primary)


def test_upload_reads_standard_input(fake_server, module_bytes):
    ended = in_a_process("--server", fake_server.address, "upload", "-", input=module_bytes)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode().strip() in fake_server.modules


def test_upload_of_what_is_no_module(farcall, tmp_path):
    path = tmp_path / "bad.wasm"
    path.write_bytes(b"hello")
    ended = farcall("upload", path, status=1)
    assert (ended.out, ended.err) == (
        "",
        "error: malformed module: magic header not detected (at byte 0x0)\n",
    )
    error = json.loads(farcall("upload", "--json", path, status=1).err)["error"]
    assert error == {
        "type": "InvalidModuleError",
        "code": "INVALID_ARGUMENT",
        "message": "malformed module: magic header not detected (at byte 0x0)",
        "reason": "magic header not detected",
        "offset": 0,
        "function_index": None,
    }


def test_progress_is_shown_on_a_terminal_after_a_second(fake_server, file):
    """A terminal sees a bar, which is gone at the end; a pipe sees nothing."""
    original, started = fake_server.UploadModule, threading.Event()

    def slow_upload(requests):
        started.wait(1.8)
        return original(requests)

    fake_server.UploadModule = slow_upload
    command = [sys.executable, "-c", "from farcall.client.command_line import main; main()"]
    command += ["--server", fake_server.address, "upload", str(file)]
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=inside, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(inside)
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0
        assert process.stdout.read().decode().strip() in fake_server.modules
    os.close(terminal)
    assert b"compiling" in shown or b"uploading" in shown
    piped = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert piped.stderr == b""


def test_modules_are_listed(farcall, digest):
    assert farcall("modules").out.splitlines()[0].split() == ["MODULE", "SIZE", "UPLOADED"]
    assert digest in farcall("modules").out
    assert [entry["digest"] for entry in json.loads(farcall("modules", "--json").out)] == [digest]


def test_inspect_asks_the_server_for_a_module(farcall, digest):
    for name in (digest, digest[:8]):
        ended = farcall("inspect", name)
        assert ended.out.startswith(f"module 'fake' {digest}, 8 bytes\n")
        assert "env     f     function (i32) -> ()" in ended.out
    assert json.loads(farcall("inspect", digest[:8], "--json").out)["digest"] == digest
    assert "no module whose digest starts with 'ffff'" in farcall("inspect", "ffff", status=1).err


def test_rm_deletes(farcall, digest, fake_server):
    assert farcall("rm", digest[:12]).out == ""
    assert not fake_server.modules
    assert farcall("rm", digest, status=1).err == f"error: no module modules/{digest}\n"


def test_rm_as_json(farcall, digest):
    assert json.loads(farcall("rm", digest, "--json").out) == {"deleted": [digest]}


def test_instantiate_links_and_lists(farcall, digest, fake_server):
    assert farcall("instantiate", digest[:10], "--name", "library").out == "library\n"
    ended = farcall(
        "instantiate",
        digest,
        "--link=env=library",
        "--link",
        "a=b=library",
        "--link-import",
        "env",
        "f",
        "library",
        "add",
        "--json",
    )
    instance = json.loads(ended.out)
    assert instance["name"] == "made-up"
    assert [tuple(link.values()) for link in instance["links"]] == [
        ("env", None, "library", None),
        ("a=b", None, "library", None),
        ("env", "f", "library", "add"),
    ]
    assert instance["exports"][0]["name"] == "add"
    lines = farcall("instances").out.splitlines()
    assert [line.split()[0] for line in lines] == ["INSTANCE", "library", "made-up"]
    assert lines[2].endswith("env=library a=b=library env.f=library.add")
    assert [entry["name"] for entry in json.loads(farcall("instances", "--json").out)] == [
        "library",
        "made-up",
    ]
    assert set(fake_server.instances) == {
        "stores/default/instances/library",
        "stores/default/instances/made-up",
    }


def test_what_instantiate_can_fail_with(farcall, digest):
    error = json.loads(farcall("--json", "instantiate", digest, "--link", "unknown=made-up", status=1).err)[
        "error"
    ]
    assert (error["type"], error["module"], error["name"], error["found"]) == (
        "LinkError",
        "unknown",
        "f",
        None,
    )
    assert "no instance" in farcall("instantiate", digest, "--link", "env=missing", status=1).err
    assert "IMPORT_MODULE=INSTANCE" in farcall("instantiate", digest, "--link", "env", status=2).err


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["add", "-1", "2"], ["1"]),
        (["add", "-0x10", "0x20"], ["16"]),
        (["same_i64", "-9223372036854775808"], ["-9223372036854775808"]),
        (["swap", "-5", "-inf"], ["-inf", "-5"]),
        (["same_f32", "-0.1"], ["-0.1"]),
        (["same_f32", "-nan:0x200001"], ["-nan:0x200001"]),
        (["same_f64", "0.1"], ["0.1"]),
        (["nothing"], []),
        (["same_externref", "null"], ["null"]),
    ],
)
def test_call_prints_each_result_on_its_own_line(farcall, instance, arguments, lines):
    ended = farcall("call", instance, *arguments)
    assert ended.out == "".join(f"{line}\n" for line in lines)
    assert ended.err == ""


def test_call_as_json(farcall, instance):
    assert json.loads(farcall("call", instance, "swap", "-5", "2.5", "--json").out) == {
        "results": [2.5, -5],
        "types": ["f64", "i32"],
    }


def test_call_takes_a_whole_resource_name(farcall, instance):
    assert farcall("--store", "other", "call", "stores/default/instances/app", "add", "1", "2").out == "3\n"


def test_what_call_can_fail_with(farcall, instance):
    ended = farcall("call", instance, "divide", "1", "0", status=1)
    assert ended.out == ""
    assert ended.err == "trap: integer divide by zero\n  0: app!inner\n  1: <module>!<function 4>\n"
    error = json.loads(farcall("call", instance, "divide", "1", "0", "--json", status=1).err)["error"]
    assert (error["type"], error["kind"]) == ("Trap", "integer_divide_by_zero")
    assert error["backtrace"][0] == {"function_index": 3, "function_name": "inner", "module_name": "app"}
    assert "argument 1: not an integer" in farcall("call", instance, "add", "1", "x", status=1).err
    assert "given 1 argument" in farcall("call", instance, "add", "1", status=1).err
    assert "did you mean 'add'" in farcall("call", instance, "ad", "1", "2", status=1).err
    assert "is a memory, not a function" in farcall("call", instance, "memory", status=1).err
    assert "no instance stores/default/instances/x" in farcall("call", "x", "add", status=1).err
    assert farcall("call", "--timeout", "0.1", instance, "sleep", status=1).err.startswith("error: ")


def test_close_closes(farcall, instance, fake_server):
    assert farcall("close", instance).out == ""
    assert not fake_server.instances
    assert farcall("close", instance, status=1).err == "error: no instance stores/default/instances/app\n"


def test_close_as_json(farcall, instance):
    assert json.loads(farcall("close", instance, "--json").out) == {"closed": ["app"]}


def test_stores(farcall, digest):
    assert farcall("create-store", "mine", "--max-instances", "3").out == "mine\n"
    assert json.loads(farcall("create-store", "--json").out)["name"] == "made-up"
    assert farcall("instantiate", "--store", "mine", digest, "--name", "a").out == "a\n"
    assert farcall("--store", "mine", "instances").out.splitlines()[1].startswith("a ")
    assert farcall("instances").out.splitlines() == ["INSTANCE  MODULE  CREATED  LINKS"]
    assert [line.split()[0] for line in farcall("stores").out.splitlines()] == [
        "STORE",
        "default",
        "made-up",
        "mine",
    ]
    assert len(json.loads(farcall("stores", "--json").out)) == 3
    assert "open already" in farcall("create-store", "mine", status=1).err
    assert farcall("close-store", "mine").out == ""
    assert json.loads(farcall("close-store", "made-up", "--json").out) == {"closed": ["made-up"]}
    assert farcall("close-store", "default", status=1).err == "error: the store default stays\n"


def test_the_store_comes_from_the_environment(farcall, digest, monkeypatch, fake_server):
    farcall("create-store", "mine")
    monkeypatch.setenv("FARCALL_STORE", "mine")
    farcall("instantiate", digest, "--name", "a")
    assert set(fake_server.instances) == {"stores/mine/instances/a"}
    assert farcall("instances", "--store", "default").out.count("\n") == 1


def test_stats(farcall):
    lines = [line.split() for line in farcall("stats").out.splitlines()]
    assert ["version", "1.2.3"] in lines
    assert ["counters.calls_total", "7"] in lines
    assert ["counters.engine.traps", "2"] in lines
    info = json.loads(farcall("stats", "--json").out)
    assert info["counters"]["calls_total"] == 7
    assert info["limits"]["max_modules"] == 0


def test_health(farcall, fake_server):
    assert farcall("health").out == "SERVING\n"
    assert json.loads(farcall("health", "--json").out) == {"status": "SERVING"}
    fake_server.status = health_pb2.HealthCheckResponse.NOT_SERVING
    assert farcall("health", status=1).out == "NOT_SERVING\n"
    assert json.loads(farcall("health", "--json", status=1).out) == {"status": "NOT_SERVING"}


@pytest.mark.parametrize(
    "command",
    [
        ["modules"],
        ["instances"],
        ["stores"],
        ["stats"],
        ["health"],
        ["call", "app", "add", "1", "2"],
        ["close", "app"],
        ["rm", "0" * 64],
        ["inspect", "0" * 64],
        ["instantiate", "0" * 64],
        ["create-store", "x"],
        ["close-store", "x"],
    ],
)
def test_a_server_that_is_not_there_is_named_in_one_line(capfd, command):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        ended = CommandLine(capfd)("--server", address, "--timeout", "0.5", *command, status=1)
        assert ended.out == ""
        assert ended.err.startswith("error: ")
        assert address in ended.err
        assert ended.err.count("\n") == 1


def test_the_option_goes_before_the_environment(farcall, monkeypatch, fake_server):
    monkeypatch.setenv("FARCALL_SERVER", "127.0.0.1:1")
    assert farcall("--server", fake_server.address, "health").out == "SERVING\n"
    assert farcall("health", "--server", fake_server.address).out == "SERVING\n"
    assert farcall("--server", "127.0.0.1:1", "health", "--server", fake_server.address).out == "SERVING\n"


def test_json_from_the_environment(farcall, monkeypatch):
    monkeypatch.setenv("FARCALL_JSON", "1")
    assert json.loads(farcall("health").out) == {"status": "SERVING"}


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["unknown-command"],
        ["call"],
        ["call", "app"],
        ["call", "app", "add", "--unknown", "1"],
        ["health", "--unknown"],
        ["upload"],
        ["upload", "/no/such/file"],
        ["instantiate"],
        ["close"],
        ["rm"],
        ["exec", "/no/such/file", "f"],
        ["call", "--timeout", "0", "app", "add"],
        ["call", "--timeout", "-1", "app", "add"],
        ["call", "--timeout", "soon", "app", "add"],
        ["create-store", "--max-instances", "0"],
    ],
)
def test_wrong_usage(farcall, command, fake_server):
    ended = farcall(*command, status=2)
    assert ended.out == ""
    assert "Usage: farcall" in ended.err
    assert not fake_server.calls
    ended = farcall("--json", *command, status=2)
    assert json.loads(ended.err)["error"]["type"] == "UsageError"


def test_help_and_version(farcall):
    listed = farcall("--help").out
    for command in (
        "serve",
        "upload",
        "modules",
        "instantiate",
        "instances",
        "call",
        "close",
        "rm",
        "inspect",
        "stats",
        "health",
        "exec",
    ):
        assert f"\n  {command} " in listed
        assert farcall(command, "--help").out.startswith("Usage: farcall")
    assert farcall("--version").out.startswith("farcall, version ")


def test_a_reader_that_has_seen_enough_is_no_error(fake_server, module_bytes):
    with Client(fake_server.address) as client:
        for number in range(300):
            client.upload(module_bytes + number.to_bytes(2))
    program = f"'{sys.executable}' -c 'from farcall.client.command_line import main; main()'"
    command = f"{program} --server {fake_server.address} modules"
    ended = subprocess.run(
        ["bash", "-c", f"{command} | head -1"], capture_output=True, check=True, timeout=60
    )
    assert ended.stdout.startswith(b"MODULE")
    assert ended.stderr == b""


def test_messages_of_the_server_do_not_command_the_terminal(farcall, instance, fake_server):
    frame = details.Frame(function_index=1, function_name="\x1b[2J")
    detail = details.Trap(kind=details.TRAP_KIND_UNREACHABLE, message="unreachable", frames=[frame])
    fake_server.failures["Invoke"] = [StatusError(grpc.StatusCode.ABORTED, "trap", "TRAP", detail)]
    assert farcall("call", instance, "nothing", status=1).err == "trap: unreachable\n  0: <module>!\\x1b[2J\n"


def test_completion_is_there():
    ended = in_a_process(env=os.environ | {"_FARCALL_COMPLETE": "bash_source"})
    assert ended.returncode == 0
    assert b"complete -o nosort" in ended.stdout


def test_commands_know_nothing_of_each_others_options(capfd, fake_server):
    """One process may run many commands, as tests do: nothing stays behind from one to the next."""
    assert run(["--server", fake_server.address, "--json", "health"]) == 0
    assert run(["--server", fake_server.address, "health"]) == 0
    assert capfd.readouterr().out == '{\n  "status": "SERVING"\n}\nSERVING\n'
