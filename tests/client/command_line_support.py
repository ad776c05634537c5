"""Runs `farcall` in this process or in one of its own."""

import subprocess
import sys
from dataclasses import dataclass

from farcall.client.command_line.program import run


@dataclass
class Ended:
    status: int
    out: str
    err: str


class CommandLine:
    """`farcall` with the test's own environment."""

    def __init__(self, capfd, *options):
        self._capfd = capfd
        self._options = options

    def __call__(self, *arguments, status=0):
        self._capfd.readouterr()
        found = run([*self._options, *map(str, arguments)])
        out, err = self._capfd.readouterr()
        assert found == status, (found, out, err)
        assert "Traceback" not in err
        return Ended(found, out, err)


def in_a_process(*arguments, timeout=120, **options):
    return subprocess.run(
        [sys.executable, "-c", "from farcall.client.command_line import main; main()", *map(str, arguments)],
        capture_output=True,
        timeout=timeout,
        check=False,
        **options,
    )
