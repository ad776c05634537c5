"""Runs scripts in worker processes, so that one that crashes or hangs takes nothing else down."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from .outcomes import FileReport, Outcome
from .runner import run_file

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Worker:
    """A process that takes paths and answers with outcomes, then None at a script's end."""

    process: Any
    connection: Connection
    line: Any  # The line of the command that runs, in memory that outlives a crash.
    position: int = -1  # Of the script that runs, or -1.
    report: FileReport | None = None
    started: float = 0.0


Run = Callable[[Path, Callable[[Outcome], None], Callable[[int], None]], None]


def run_files(
    files: Sequence[tuple[str, Path]], processes: int, seconds_per_file: float, run: Run = run_file
) -> Iterator[FileReport]:
    """Run scripts, each given as its name for reports and its path, in parallel.

    Args:
        files: name and path of each.
        processes: how many at a time.
        seconds_per_file: after how long a script counts as hanging.
        run: what runs one script in the worker; it can be pickled.

    Yields:
        The report of each script, in the order given, as soon as it is there.
    """
    finished: dict[int, FileReport] = {}
    waiting = list(reversed(range(len(files))))
    workers = [_start(run) for _ in range(min(processes, len(files)))]
    next_to_yield = 0
    try:
        while next_to_yield < len(files):
            for index, worker in enumerate(workers):
                if worker.position < 0 and waiting:
                    _assign(worker, waiting.pop(), files)
                elif worker.position >= 0 and time.monotonic() - worker.started > seconds_per_file:
                    worker.process.kill()
                    position = worker.position
                    report = _receive(worker, f"still running after {seconds_per_file:g} s")
                    assert report is not None
                    finished[position] = report
                    workers[index] = _start(run)
            busy = [worker for worker in workers if worker.position >= 0]
            ready = wait(
                [item for worker in busy for item in (worker.connection, worker.process.sentinel)], 1
            )
            for index, worker in enumerate(workers):
                if worker.connection in ready or worker.process.sentinel in ready:
                    position = worker.position
                    report = _receive(worker)
                    if report is not None:
                        finished[position] = report
                    if worker.connection.closed:  # read to its end, because the process is dead
                        workers[index] = _start(run)
            while next_to_yield in finished:
                yield finished.pop(next_to_yield)
                next_to_yield += 1
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _start(run: Run) -> _Worker:
    ours, theirs = _CONTEXT.Pipe()
    line = _CONTEXT.Value("q", 0, lock=False)
    process = _CONTEXT.Process(target=_work, args=(theirs, line, run), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, line)


def _work(connection: Connection, line: Any, run: Run) -> None:
    """The worker's life: scripts come in, outcomes go out."""

    def progress(number: int) -> None:
        line.value = number

    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        run(path, connection.send, progress)
        connection.send(None)


def _assign(worker: _Worker, position: int, files: Sequence[tuple[str, Path]]) -> None:
    name, path = files[position]
    worker.position = position
    worker.report = FileReport(name)
    worker.started = time.monotonic()
    worker.line.value = 0
    worker.connection.send(path)


def _receive(worker: _Worker, killed_for: str | None = None) -> FileReport | None:
    """Take all outcomes that are there; the report if the script is done, one way or the other.

    A worker that has just been killed is read to its end.
    """
    assert worker.report is not None
    try:
        while killed_for is not None or worker.connection.poll():
            outcome = worker.connection.recv()
            if outcome is None:
                return _finish(worker)
            worker.report.add(outcome)
    except EOFError:
        worker.process.join()
        worker.connection.close()
        return _abandon(worker, killed_for or _cause_of_death(worker.process.exitcode))
    return None


def _finish(worker: _Worker) -> FileReport:
    report = worker.report
    assert report is not None
    report.seconds = time.monotonic() - worker.started
    worker.position, worker.report = -1, None
    return report


def _abandon(worker: _Worker, cause: str) -> FileReport:
    assert worker.report is not None
    worker.report.add(
        Outcome(
            worker.line.value,
            "script",
            "failed",
            expected="the script to finish",
            got=f"worker process: {cause}",
        )
    )
    return _finish(worker)


def _cause_of_death(exit_code: int) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exited with status {exit_code}"
