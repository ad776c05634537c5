"""How far something is, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

_BAR_AFTER_SECONDS = 1.0


class _Bar:
    """A bar on standard error, if that is a terminal and it takes more than a second."""

    def __init__(self, description: str, *columns: TextColumn | DownloadColumn | MofNCompleteColumn) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(description, total=None)
        self._timer = threading.Timer(_BAR_AFTER_SECONDS, self._progress.start)
        self._timer.daemon = True

    def update(self, done: int, total: int, description: str) -> None:
        self._progress.update(self._task, completed=done, total=total, description=description)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._timer.ident is not None:
            self._timer.join()
        if self._progress.live.is_started:
            self._progress.stop()


class UploadProgress(_Bar):
    """How much of a module is sent."""

    def __init__(self) -> None:
        super().__init__("uploading", DownloadColumn())

    def __call__(self, sent: int, total: int) -> None:
        """So many bytes of so many are sent; when all are, the server compiles."""
        self.update(sent, total, "compiling" if sent == total else "uploading")


class CompilationProgress(_Bar):
    """How many functions are compiled. Where no terminal is, a line for every tenth of them."""

    def __init__(self, *, silent: bool) -> None:
        """Make one.

        Parameters:
            silent: whether lines are not wanted.
        """
        super().__init__("compiling", MofNCompleteColumn(), TextColumn("functions"))
        self._silent = silent or sys.stderr.isatty()
        self._told = -1

    def __call__(self, done: int, total: int) -> None:
        """So many functions of so many are compiled."""
        self.update(done, total, "compiling")
        tenth = 10 if done == total else done * 10 // max(total, 1)
        if not self._silent and tenth > self._told:
            self._told = tenth
            click.echo(f"compiled {done} of {total} functions", err=True)
