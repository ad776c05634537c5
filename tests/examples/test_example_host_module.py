"""The example of a host module: as the documentation shows it, on a server and without one."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "host-modules.md").read_text()
GUEST = "examples/tally.wasm"
FARCALL = [sys.executable, "-c", "from farcall.client.command_line import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def farcall(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FARCALL, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, **variables},
    )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Starts a server; its address, and what it has logged so far."""
    processes: list[subprocess.Popen[str]] = []

    def serve(*options: str, **variables: str) -> tuple[str, Path]:
        log = tmp_path / "server.log"
        command = [*FARCALL, "serve", "--address", "127.0.0.1:0", "--log-level", "warning", *options]
        with log.open("w") as file:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=ROOT,
                env={**ENVIRONMENT, **variables},
            )
        processes.append(process)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], log.read_text()
        line = process.stdout.readline()
        assert line.startswith("listening on "), log.read_text()
        return line.removeprefix("listening on ").strip(), log

    yield serve
    for process in processes:
        process.terminate()
        assert process.wait(60) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_the_page_shows_the_example() -> None:
    source = (ROOT / "examples" / "tally.py").read_text()
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert source.endswith(shown)
    (declared,) = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    assert declared in (ROOT / "examples" / "tally.c").read_text()


def test_the_pages_commands_on_a_server(serve: Any) -> None:
    (session,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    server, *steps = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, re.MULTILINE)
    options = server[0].removeprefix("PYTHONPATH=. farcall serve ").removesuffix(" &").split()
    assert server[0] == f"PYTHONPATH=. farcall serve {' '.join(options)} &"
    address, log = serve(*options)
    assert len(steps) == 3
    for command, wanted in steps:
        program, *arguments = command.split()
        assert program == "farcall"
        ended = farcall("--server", address, *(argument.replace('""', "") for argument in arguments))
        assert (ended.stdout or ended.stderr).startswith(wanted)
    assert log.read_text() == ""


def test_a_defect_of_the_hosts_is_told_to_the_client_and_logged_and_the_server_goes_on(serve: Any) -> None:
    address, log = serve(FARCALL_SERVE_HOST_MODULE="tally=examples.tally:make env=examples.tally:make")
    assert farcall("--server", address, "run", GUEST, "much", str((1 << 63) - 1)).returncode == 0
    ended = farcall("--server", address, "run", GUEST, "much", "1")
    assert ended.stdout == ""
    assert ended.stderr.startswith(
        'trap: the import "tally" "add" failed: ArgumentError: result of the host function'
    )
    logged = log.read_text()
    assert re.match(r".*\[error +\] host function failed +function=add module=tally\n", logged)
    assert "Traceback (most recent call last):" in logged
    assert farcall("--server", address, "run", GUEST, "more", "2").stdout == "more: 2\n"
    assert "env, tally" in re.sub(r"['()\[\]]", "", farcall("--server", address, "stats").stdout)


def test_in_the_commands_own_process() -> None:
    option = ("--host-module", "tally=examples.tally:make")
    ended = farcall("run", "--local", *option, GUEST, "apples", "3")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "apples: 3\n", "")
    ended = farcall("run", "--local", *option, GUEST, "", "3")
    assert (ended.returncode, ended.stdout) == (134, "")
    assert ended.stderr.startswith("trap: a name has 1 to 256 bytes, not 0\n  0: ")
    ended = farcall("run", "--local", GUEST, "apples", "3")
    assert ended.returncode == 1
    assert 'unknown import: "tally" "add"' in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve",), "there is no Python module 'examples.nothing'"),
        (("run", "--local"), "there is no Python module 'examples.nothing'"),
        (("run",), "--host-module needs --local; a server has its own"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], message: str) -> None:
    command = [*arguments, "--host-module", "tally=examples.nothing:make"]
    ended = farcall(*command, *((GUEST,) if arguments[0] == "run" else ()))
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
