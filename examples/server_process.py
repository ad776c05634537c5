"""A farcall server in a process of its own, started through the command line as a user would."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import IO

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
"""Seconds that a server may take until it listens, and until it has stopped."""

_ANNOUNCEMENT = "listening on "


class ServerFailedError(Exception):
    """The server did not start, or did not stop as it should."""


@contextlib.contextmanager
def running_server(directory: Path) -> Iterator[str]:
    """A server on a free loopback port; its address. At the end it is asked to stop, and must have done so well.

    Args:
        directory: where it keeps modules, and where its log is written.

    Raises:
        ServerFailedError: it did not listen in time, or did not stop with exit status 0.
    """
    arguments = ["serve", "--address", "127.0.0.1:0", "--data-directory", str(directory / "data")]
    print(f"$ farcall {' '.join(arguments)}", flush=True)
    command = [str(Path(sysconfig.get_path("scripts")) / "farcall"), *arguments]
    log = directory / "server.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield _announced_address(process.stdout)
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                raise ServerFailedError(f"the server did not stop within {STOP_TIMEOUT:g} seconds") from None
            if status != 0:
                raise ServerFailedError(f"the server stopped with exit status {status}, not 0")
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace"))
            raise
        finally:
            process.kill()


def _announced_address(output: IO[str]) -> str:
    """The address in the line that a server prints when it listens."""
    if not select.select([output], [], [], START_TIMEOUT)[0]:
        raise ServerFailedError(f"the server did not listen within {START_TIMEOUT:g} seconds")
    line = output.readline().strip()
    if not line.startswith(_ANNOUNCEMENT):
        raise ServerFailedError(f"the server did not start; it printed {line!r}")
    return line.removeprefix(_ANNOUNCEMENT)
