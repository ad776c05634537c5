"""Many mutated modules through decoder and validator, some through the compiler, in processes that may die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from .mutant_checks import Findings, check, prepare_to_check, prepare_to_compile
from .mutation import Seed

BATCH = 1000
"""Mutants that a process is given at a time."""

PATIENCE = 10
"""Seconds of processor time after which decoding and validating one of them counts as hanging."""

COMPILATION_PATIENCE = 120
"""Likewise, compiling one."""


class Checker:
    """A process that checks mutants one by one, replaced when one of them ends it or holds it up."""

    def __init__(self, prepare: Callable[..., None], arguments: tuple[Any, ...], patience: float) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._current: Synchronized[int] = self._context.Value("q", -1)
        self._prepare, self._arguments, self._patience = prepare, arguments, patience
        self._executor = self._new_executor()

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, self._prepare, (*self._arguments, self._current))

    def check(self, numbers: Sequence[int]) -> Findings:
        """Check the mutants of these numbers; those that ended or held up the process are problems."""
        findings, position = Findings(), 0
        while position < len(numbers):
            self._current.value = -1
            cause = self._wait(future := self._executor.submit(check, numbers[position:]))
            if not cause:
                findings.add(result := future.result())
                findings.to_compile += result.to_compile
                break
            self._kill()
            number = self._current.value
            if number == -1:
                raise RuntimeError(f"the process that checks cannot be started: {cause}")
            position = numbers.index(number) + 1
            findings.checked += 1
            findings.problems.append((number, cause))
            self._executor = self._new_executor()
        return findings

    def _wait(self, future: Future[Findings]) -> str:
        """Wait for the end; why it does not come, or empty."""
        seen, since = self._current.value, self._processor_time()
        while True:
            try:
                future.exception(timeout=1)
            except TimeoutError:
                if self._current.value != seen or seen == -1:
                    seen, since = self._current.value, self._processor_time()
                elif self._processor_time() - since > self._patience:
                    return f"is not done after {self._patience} s"
                continue
            return "ends the process" if isinstance(future.exception(), BrokenProcessPool) else ""

    def _processor_time(self) -> float:
        """Seconds of it that the process has taken: a busy machine may hold it up for long."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for process in self._executor._processes or ():
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def _kill(self) -> None:
        for process in list((self._executor._processes or {}).values()):
            process.kill()
        self._executor.shutdown()

    def close(self) -> None:
        """End the process."""
        self._executor.shutdown()


def check_many(
    seeds: Sequence[Seed],
    seed: int,
    count: int,
    compiled_share: float,
    report: Callable[[Findings], None],
) -> Findings:
    """Check mutants.

    Args:
        seeds: what they are made from.
        seed: of the run; the same gives the same mutants.
        count: how many.
        compiled_share: of the valid ones, the share that is compiled too.
        report: is told what came of each batch.

    Returns:
        All that was found.
    """
    total = Findings()
    validation = Checker(prepare_to_check, (seeds, seed, compiled_share), PATIENCE)
    compilation = Checker(prepare_to_compile, (seeds, seed), COMPILATION_PATIENCE)
    try:
        for first in range(0, count, BATCH):
            found = validation.check(range(first, min(first + BATCH, count)))
            if found.to_compile:
                found.add(compilation.check(found.to_compile))
            total.add(found)
            report(found)
    finally:
        validation.close()
        compilation.close()
    return total
