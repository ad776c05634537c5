"""What tests of the running engine share: modules from their text, threads whose outcome can be asked for."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime


@functools.cache
def wasm(text: str) -> bytes:
    """The binary form of a module's text."""
    return bytes(wasmtime.wat2wasm(text))


class Background:
    """A function that runs in another thread; its result or exception can be waited for."""

    def __init__(self, work: Callable[[], Any], *, daemon: bool = True) -> None:
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=daemon)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self.ended_at = time.monotonic()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float = 120) -> Background:
        """Wait for the end, which must come."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the thread did not end"
        return self

    def value(self, timeout: float = 120) -> Any:
        """The result, or the exception raised."""
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self.result


def wait_until(condition: Callable[[], bool], timeout: float = 120) -> None:
    """Wait until the condition holds, which must come."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.001)


def mappings() -> list[str]:
    """Lines of the process's memory map."""
    return Path("/proc/self/maps").read_text().splitlines()


def resident_bytes() -> int:
    """Memory that the process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
