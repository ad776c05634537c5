"""The parent's side of a peer's process."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self


class PeerError(Exception):
    """A peer's process ended, or answered with what it should not have."""


class PeerProcess:
    """A running worker; a context manager.

    Args:
        name: of the peer, one of `benchmarks.peers.worker.PEERS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str, **arguments: object) -> Any:
        """Have the worker carry out a command; gives its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise PeerError(f"{self.name} has no pipes")
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty answer below says it
        answer = self._process.stdout.readline()
        if not answer:
            status = self._process.wait()
            raise PeerError(f"{self.name} ended with status {status} while it was to {command} {arguments}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
