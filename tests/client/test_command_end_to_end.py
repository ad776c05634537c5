"""The command line against the real server, in a process of its own."""

import dataclasses
import json
import signal
import subprocess

import pytest
from calculator_module import APPLICATION, CALCULATOR
from command_line_support import CommandLine
from real_server import FARCALL, running_server, wait_until

from farcall.client import (
    Client,
    FarcallError,
    ResourceExhaustedError,
    Retries,
    UnavailableError,
)
from farcall.client.command_line.serving import serve
from farcall.server import ServerConfiguration


@pytest.fixture
def farcall(server, capfd):
    return CommandLine(capfd, "--server", server.address)


def test_the_command_line(farcall, tmp_path):
    file = tmp_path / "calculator.wasm"
    file.write_bytes(CALCULATOR)
    application = tmp_path / "application.wasm"
    application.write_bytes(APPLICATION)
    digest = farcall("upload", file).out.strip()
    other = farcall("upload", application).out.strip()
    assert digest in farcall("modules").out
    assert farcall("create-store", "command-line").out == "command-line\n"
    farcall = CommandLine(farcall._capfd, *farcall._options, "--store", "command-line")
    assert farcall("instantiate", digest[:16], "--name", "math").out == "math\n"
    name = farcall("instantiate", other, "--link", "math=math").out.strip()
    assert farcall("call", name, "twice", "-21").out == "-42\n"
    assert farcall("call", "math", "three").out == "-1\n0.1\n9223372036854775807\n"
    assert farcall("call", "math", "same_f32", "-nan:0x1").out == "-nan:0x1\n"
    assert farcall("call", "math", "divide_f64", "-1", "0").out == "-inf\n"
    ended = farcall("call", "math", "divide_by_zero", "1", status=1)
    lines = ended.err.splitlines()
    assert lines[0] == "trap: integer divide by zero"
    assert [line.rpartition("!")[2] for line in lines[1:]] == ["divide", "outer"]
    assert json.loads(farcall("call", "--json", "math", "add", "1", "2").out) == {
        "results": [3],
        "types": ["i32"],
    }
    assert farcall("call", "--timeout", "0.3", "math", "spin", status=1).err.startswith("error: ")
    # What is inspected in a file and on the server is the same.
    assert farcall("inspect", file).out == farcall("inspect", digest[:16]).out
    here, there = (json.loads(farcall("inspect", "--json", what).out) for what in (file, digest))
    assert {**here, "create_time": there["create_time"]} == there
    assert {line.split()[0] for line in farcall("instances").out.splitlines()} == {"INSTANCE", "math", name}
    assert farcall("close", "math", name).out == ""
    assert farcall("instances").out.count("\n") == 1
    assert farcall("rm", other).out == ""
    assert farcall("inspect", other, status=1).err.startswith("error: ")
    farcall("close-store", "command-line")
    assert "calls_total" in farcall("stats").out
    assert farcall("health").out == "SERVING\n"


def test_exec_and_call_print_the_same(farcall, tmp_path, client):
    file = tmp_path / "calculator.wasm"
    file.write_bytes(CALCULATOR)
    with client.create_store() as store:
        store.instantiate(client.upload(CALCULATOR), name="same")
        for arguments in (
            ["add", "-1", "2"],
            ["same_f32", "0.1"],
            ["same_f64", "-nan:0x5"],
            ["three"],
            ["nothing"],
            ["same_reference", "null", "null"],
        ):
            assert (
                farcall("exec", file, *arguments).out
                == farcall("call", "--store", store.name, "same", *arguments).out
            )
        for arguments in (["add", "1"], ["add", "1", "x"]):
            here = farcall("exec", file, *arguments, status=1).err
            assert here == farcall("call", "--store", store.name, "same", *arguments, status=1).err


def test_an_interrupt_of_call_stops_the_guest(client, calculator):
    command = [*FARCALL, "--server", client.address, "--store", calculator.information.store]
    process = subprocess.Popen([*command, "call", "calculator", "spin"], stderr=subprocess.PIPE)
    with process:
        wait_until(lambda: client.server_info().counters["calls_pending"] == 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == b""
    wait_until(lambda: client.server_info().counters["calls_pending"] == 0)
    assert calculator.exports.add(1, 2) == 3


def test_serve_keeps_modules_over_a_restart_and_ends_well(tmp_path, capfd):
    farcall = CommandLine(capfd)
    options = ("--data-directory", tmp_path / "data", "--shutdown-grace", "5")
    with running_server(tmp_path, *options) as server:
        with Client(server.address) as client:
            digest = client.upload(CALCULATOR).digest
        ended = farcall("serve", "--address", "127.0.0.1:0", "--data-directory", tmp_path / "data", status=1)
        assert "another server uses the data directory" in ended.err
        taken = farcall("serve", "--address", server.address, status=1).err
        assert taken.endswith(f"error: cannot listen on {server.address}: Address already in use\n")
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    with running_server(tmp_path, *options) as server, Client(server.address) as client:
        assert client.module(digest).digest == digest
        with client.store().instantiate(digest) as instance:
            assert instance.exports.add(1, 2) == 3


def test_a_stopping_server_lets_calls_finish_and_refuses_new_ones(tmp_path):
    with (
        running_server(tmp_path, "--shutdown-grace", "1000") as server,
        Client(server.address, retries=Retries(1)) as client,
    ):
        instance = client.store().instantiate(client.upload(CALCULATOR))
        with instance.stream() as stream:
            spinning = stream.send("spin")
            wait_until(lambda: client.server_info().counters["calls_pending"] == 1)
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: client.health() == "NOT_SERVING")
            with pytest.raises(UnavailableError):
                instance.exports.add(1, 2)
            server.send_signal(signal.SIGTERM)
            with pytest.raises(FarcallError):
                spinning.result()
        assert server.wait(60) == 0


def test_serve_options_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FARCALL_SERVE_MAX_STORES", "2")
    with running_server(tmp_path) as server, Client(server.address) as client:
        assert client.server_info().limits.max_stores == 2
        client.create_store()
        with pytest.raises(ResourceExhaustedError):
            client.create_store()


@pytest.mark.parametrize(
    "options",
    [
        ["--max-modules", "0"],
        ["--max-call-timeout", "-1"],
        ["--shutdown-grace", "-1"],
        ["--log-level", "loud"],
        ["--unknown"],
        ["extra"],
        ["--address", "127.0.0.1:99999"],
        ["--address", "127.0.0.1"],
        ["--address", ":7070"],
        ["--address", "::1:7070"],
        ["--address", "127.0.0.1:http"],
    ],
)
def test_wrong_options_of_serve(capfd, options):
    ended = CommandLine(capfd)("serve", *options, status=2)
    assert "Usage: farcall serve" in ended.err


def test_serve_as_json(tmp_path):
    command = [*FARCALL, "--json", "serve", "--address", "127.0.0.1:0", "--log-format", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            assert json.loads(process.stdout.readline())["address"].startswith("127.0.0.1:")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            log = [json.loads(line) for line in process.stderr.read().splitlines()]
            assert "listening" in [entry["event"] for entry in log]
        finally:
            process.kill()


def test_everything_that_a_server_can_be_told_is_an_option_of_serve():
    options = {parameter.name for parameter in serve.params}
    fields = {field.name for field in dataclasses.fields(ServerConfiguration)}
    assert fields - {"max_remembered_requests"} <= options
    assert options - fields == {"json", "log_level", "log_format"}


def test_a_certificate_that_is_none_is_told(tmp_path, capfd):
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    options = ("--address", "127.0.0.1:0", "--tls-certificate", text, "--tls-private-key", text)
    ended = CommandLine(capfd)("serve", *options, status=1)
    assert ended.err.startswith(f"error: {text} and {text} are not a certificate and its key in PEM: ")
    assert ended.err.count("\n") == 1


def test_an_address_of_another_machine_is_told(capfd):
    ended = CommandLine(capfd)("serve", "--address", "192.0.2.1:0", status=1)
    assert ended.err.endswith("error: cannot listen on 192.0.2.1:0: Cannot assign requested address\n")


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    ended = CommandLine(capfd)("serve", "--data-directory", tmp_path / "file" / "data", status=1)
    assert ended.err == f"error: Not a directory: {tmp_path}/file/data/modules\n"
