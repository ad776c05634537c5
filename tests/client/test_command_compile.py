"""`farcall compile`: module and code in a file, which a server has from its start."""

import json

import pytest
from calculator_module import CALCULATOR
from command_line_support import CommandLine
from real_server import running_server

from farcall.client import Client
from farcall.engine import decode_artifact


@pytest.fixture
def farcall(capfd):
    return CommandLine(capfd)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "calculator.wasm"
    path.write_bytes(CALCULATOR)
    return path


def test_a_server_has_what_was_compiled(farcall, file, tmp_path):
    ended = farcall("compile", file)
    artifact = tmp_path / "calculator.farcall"
    assert ended.out == f"{artifact}\n"
    assert ended.err.splitlines()[-1].startswith("compiled ")
    assert sorted(tmp_path.iterdir()) == [artifact, file]
    with running_server(tmp_path, "--artifact", str(artifact)) as server, Client(server.address) as client:
        (module,) = client.modules()
        assert client.server_info().counters["engine.compile_jobs_total"] == 0
        instance = client.store().instantiate(module)
        assert instance.exports.add(1, 2) == 3


def test_json_tells_what_was_made(farcall, file, tmp_path):
    out = tmp_path / "other"
    ended = farcall("compile", file, "--json", "-o", out, "--processes", "1")
    assert ended.err == ""
    told = json.loads(ended.out)
    artifact = decode_artifact(out.read_bytes())
    assert told["file"] == str(out)
    assert told["digest"] == artifact.digest
    assert told["functions"] == told["optimized"] == len(artifact.image.functions)
    assert (told["fast"], told["cpu"], told["code_bytes"]) == (
        0,
        artifact.target.cpu,
        len(artifact.image.content),
    )
    assert told["size"] == out.stat().st_size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cpu", "i8080"], "there is no CPU 'i8080'; known are native"),
        (["--features", "+warp"], "there is no feature 'warp'"),
        (["--features", "sse2"], "neither before it"),
    ],
)
def test_wrong_usage(farcall, file, tmp_path, options, message):
    assert message in farcall("compile", file, *options, status=2).err
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_not_overwritten_by_its_own_code(farcall, file):
    assert "would be overwritten" in farcall("compile", file, "-o", file, status=2).err
    assert file.read_bytes() == CALCULATOR


def test_what_is_no_module_is_refused(farcall, file, tmp_path):
    file.write_bytes(b"hello")
    assert farcall("compile", file, status=1).err.splitlines()[-1].startswith("error: malformed module")
    assert list(tmp_path.iterdir()) == [file]


def test_a_directory_that_is_not_there(farcall, file, tmp_path):
    ended = farcall("compile", file, "-o", tmp_path / "nowhere" / "x", status=1)
    assert "No such file or directory" in ended.err
