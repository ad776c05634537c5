"""Compilation that ends: in another process, which has only so much processor time and memory.

Some of LLVM's algorithms take time that grows with the square of a function's size, or of a block's. 60,000 population
counts, each of the one before, took more than two minutes: 59 KB of a module. There are too many such shapes to
recognise them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.target import Target
from farcall.engine.codegen.worker import ANSWER, READY, REQUEST

_IDLE_PROCESSES = 2
"""Processes that are kept for the next request."""
_LARGEST_KEPT = 8 << 20
"""After a text of more bytes, a process has taken so much memory that it goes."""


class OutOfBudgetError(Exception):
    """LLVM took more processor time or memory than it was given, or there is no process to run it in."""


class _Process:
    """A process that compiles one text after the other."""

    def __init__(self) -> None:
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "farcall.engine.codegen.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # what interrupts this process from the terminal is none of its business
        )
        if self._read(len(READY)) != READY:
            self.close()
            raise OutOfBudgetError("the process that compiles did not start")

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def compile(
        self, text: bytes, target: Target, optimization: Optimization, seconds: int
    ) -> tuple[bool, bytes]:
        """Whether the text could be compiled, and the object or what LLVM says. Raises OutOfBudgetError."""
        names = [name.encode() for name in (target.triple, target.cpu, target.features)]
        header = REQUEST.pack(optimization.value, seconds, *map(len, names), len(text))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join((header, *names)))
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise OutOfBudgetError("the process that compiles is gone") from None
        answer = self._read(ANSWER.size)
        if len(answer) == ANSWER.size:
            compiled, size = ANSWER.unpack(answer)
            content = self._read(size)
            if len(content) == size:
                return compiled, content
        raise OutOfBudgetError(f"compiling took more than {seconds} s of processor time, or too much memory")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):  # what it had not read yet
                stream.close()


class _Pool:
    """The processes that wait for work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []  # guarded by _lock
        self._busy = threading.BoundedSemaphore(max(os.cpu_count() or 1, 1))
        self._of_parent: list[_Process] = []
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked process: those that wait belong to its parent, and threads that compile were not forked."""
        self._of_parent, self._idle = self._idle, []
        self._lock = threading.Lock()
        self._busy = threading.BoundedSemaphore(max(os.cpu_count() or 1, 1))

    def compile(self, text: str, target: Target, optimization: Optimization, seconds: int) -> bytes:
        """Compile in one of the processes, as many at a time as the machine has processors."""
        with self._busy:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            try:
                process = process or _Process()
            except OSError as error:
                raise OutOfBudgetError(f"no process can be started: {error}") from error
            content = text.encode()
            keep = False
            try:
                compiled, result = process.compile(content, target, optimization, seconds)
                keep = len(content) <= _LARGEST_KEPT
            finally:
                self._put_back(process, keep)
        if not compiled:
            raise RuntimeError(result.decode())
        return result

    def _put_back(self, process: _Process, keep: bool) -> None:
        with self._lock:
            if keep and len(self._idle) < _IDLE_PROCESSES:
                self._idle.append(process)
                return
        process.close()

    def close(self) -> None:
        """End those that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()


_pool = _Pool()


def compile_within(text: str, target: Target, optimization: Optimization, seconds: int) -> bytes:
    """As `compile_to_object`, but with a limit.

    Parameters:
        seconds: processor time that it may take.

    Raises:
        OutOfBudgetError: it takes more, or too much memory.
        RuntimeError: LLVM refuses the text, which is a defect of the lowering.
    """
    return _pool.compile(text, target, optimization, seconds)
