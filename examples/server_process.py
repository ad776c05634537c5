"""A farcall server in a process of its own, started through the command line as a user would."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from farcall.client import Client, UnavailableError

START_TIMEOUT = 60.0
"""Seconds that a server may take until it serves."""


class ServerFailedError(Exception):
    """The server did not start, or did not stop as it should."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running_server(data_directory: Path) -> Iterator[str]:
    """A server on a free loopback port; its address. At the end it is asked to stop, and must have done so well.

    Raises:
        ServerFailedError: it did not serve in time, or stopped with an exit status other than 0.
    """
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(Path(sysconfig.get_path("scripts")) / "farcall"),
        *("serve", "--address", address, "--data-directory", str(data_directory)),
    ]
    print(f"$ farcall {' '.join(command[1:])}", flush=True)
    log = data_directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_until_serving(process, address)
        yield address
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=30)
        if status != 0:
            raise ServerFailedError(f"the server stopped with exit status {status}")
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace"))
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_serving(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    with Client(address) as client:
        while True:
            if process.poll() is not None:
                raise ServerFailedError(f"the server ended with exit status {process.returncode}")
            try:
                if client.health(timeout=1) == "SERVING":
                    return
            except (UnavailableError, TimeoutError):
                pass
            if time.monotonic() > deadline:
                raise ServerFailedError(f"the server at {address} did not serve within {START_TIMEOUT} s")
            time.sleep(0.02)
