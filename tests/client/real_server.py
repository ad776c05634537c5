"""A real server, in a process of its own."""

import select
import subprocess
import sys
import time
from contextlib import contextmanager

FARCALL = [sys.executable, "-c", "from farcall.client.command_line import main; main()"]


@contextmanager
def running_server(directory, *options):
    command = [*FARCALL, "serve", "--address", "127.0.0.1:0", "--log-level", "warning", *options]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert select.select([process.stdout], [], [], 60)[0], (directory / "server.log").read_text()
        line = process.stdout.readline()
        assert line.startswith("listening on "), (directory / "server.log").read_text()
        process.address = line.removeprefix("listening on ").strip()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
