"""Runs a program in this process, with its standard input, output and error; imported only where that is wanted."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farcall import engine
from farcall.client import errors
from farcall.client.command_line import output
from farcall.client.command_line.engine_errors import client_error
from farcall.engine.host.filesystem.mounts import open_host_directory
from farcall.engine.host.wasi.os_streams import DescriptorInput, DescriptorOutput
from farcall.engine.host.wasi.streams import InputStream, OutputStream
from farcall.engine.host.wasi.system import WasiSystem

if TYPE_CHECKING:
    from farcall.client.command_line.run import SharedDirectory

ABORTED = 134
"""Exit code of a program that trapped: that of one that is ended by SIGABRT."""

_START = "_start"
_STOP_PATIENCE = 5.0
"""Seconds that a guest which was told to stop gets."""


def run_here(
    file: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directories: Sequence[SharedDirectory],
    timeout: float | None,
    as_json: bool,
) -> int:
    """Runs a program; its exit code.

    Args:
        file: the module.
        arguments: of the program, without its name.
        environment: of the program.
        directories: of this machine, which the program sees.
        timeout: seconds, counted from when it is compiled, after which it is stopped; None for no end.
        as_json: whether a trap is printed as JSON.

    Returns:
        What it gave `proc_exit`, 0 where it returned, `ABORTED` where it trapped, which has been printed.

    Raises:
        errors.FarcallError: it cannot be run.
        KeyboardInterrupt: it was interrupted, and has been stopped.
        OSError: the file cannot be read.
    """
    source = file.read_bytes()
    with engine.Engine() as own_engine, engine.Store(own_engine) as store:
        system = WasiSystem(
            [file.name, *arguments],
            environment,
            input=_input(),
            output=_output(1),
            error=_output(2),
        )
        try:
            return _Run(store, source, system, directories).finish(timeout)
        except (errors.Trap, errors.WasmException) as error:
            output.print_error(error, as_json)
            return ABORTED
        finally:
            system.close()


def _input() -> InputStream | None:
    try:
        return DescriptorInput(0)
    except OSError:
        return None  # closed by whoever started this process


def _output(descriptor: int) -> OutputStream | None:
    try:
        return DescriptorOutput(descriptor)
    except OSError:
        return None


class _Run:
    """A run in a thread of its own: while a guest runs, Python's main thread would not notice signals."""

    def __init__(
        self,
        store: engine.Store,
        source: bytes,
        system: WasiSystem,
        directories: Sequence[SharedDirectory],
    ) -> None:
        self._store = store
        self._source = source
        self._system = system
        self._directories = directories
        self._compiled = threading.Event()
        self._code = 0
        self._failure: BaseException | None = None

    def finish(self, timeout: float | None) -> int:
        """Run it to its end, as `run_here`."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            self._compiled.wait()
            thread.join(timeout)
            late = thread.is_alive()
        except KeyboardInterrupt:
            self._stop(thread)
            raise
        if late:
            self._stop(thread)
            raise errors.DeadlineExceededError(f"stopped after {timeout:g} seconds")
        failure = self._failure
        if failure is not None:
            raise client_error(failure) if isinstance(failure, engine.FarcallError) else failure
        return self._code

    def _stop(self, thread: threading.Thread) -> None:
        self._store.close()
        thread.join(_STOP_PATIENCE)

    def _run(self) -> None:
        try:
            self._run_program()
        except engine.ProgramExit as end:
            self._code = end.code
        except BaseException as error:
            self._failure = error
        finally:
            self._compiled.set()

    def _run_program(self) -> None:
        own_engine, system = self._store.engine, self._system
        for directory in self._directories:
            root = open_host_directory(str(directory.path))
            handle = root.open_root(system.program.handles, read_only=directory.read_only)
            system.add_directory(directory.guest_path, handle)
        module = own_engine.compile_module(own_engine.load_module(self._source), ensure_termination=True)
        self._compiled.set()
        instance = self._store.instantiate(module, system.imports)
        if _START not in instance.exports:
            raise engine.ExportNotFoundError(
                f'the module is no program: it exports no function "{_START}"; `farcall exec` calls other functions'
            )
        instance.function(_START)()
