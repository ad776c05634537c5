"""Runs a program in this process, with its standard input, output and error; imported only where that is wanted."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farcall import engine
from farcall.client import errors
from farcall.client.command_line.engine_errors import client_error
from farcall.engine.host.built_in import built_in_imports
from farcall.engine.host.filesystem.mounts import open_host_directory
from farcall.engine.host.guarded_module import GuardedModule
from farcall.engine.host.named_modules import load_host_modules
from farcall.engine.host.wasi.command import START, command_problem
from farcall.engine.host.wasi.os_streams import DescriptorInput, DescriptorOutput
from farcall.engine.host.wasi.system import WasiSystem

if TYPE_CHECKING:
    from farcall.client.command_line.run import SharedDirectory

_STOP_PATIENCE = 5.0
"""Seconds that a guest which was told to stop gets."""


def load_modules(texts: Sequence[str]) -> dict[str, engine.ImportProvider]:
    """Imports the host modules that `NAME=PACKAGE.MODULE:ATTRIBUTE` name. Raises click.UsageError."""
    try:
        modules = load_host_modules(texts)
    except engine.HostModuleError as error:
        raise click.UsageError(str(error)) from error
    return {name: GuardedModule(module) for name, module in modules.items()}


def run_here(
    file: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directories: Sequence[SharedDirectory],
    host_modules: Mapping[str, engine.ImportProvider],
    timeout: float | None,
) -> int:
    """Runs a program; its exit code.

    Args:
        file: the module.
        arguments: of the program, without its name.
        environment: of the program.
        directories: of this machine, which the program sees.
        host_modules: what it can import, besides what is built in.
        timeout: seconds, counted from when it is compiled, after which it is stopped; None for no end.

    Returns:
        What it gave `proc_exit`, 0 where it returned.

    Raises:
        errors.Trap: it trapped.
        errors.FarcallError: it cannot be run, or was stopped.
        OSError: the file cannot be read.
    """
    source = file.read_bytes()
    with engine.Engine() as own_engine, engine.Store(own_engine) as store:
        system = WasiSystem(
            [file.name, *arguments],
            environment,
            input=DescriptorInput(0),
            output=DescriptorOutput(1),
            error=DescriptorOutput(2),
        )
        try:
            return _Run(store, source, system, directories, host_modules).finish(timeout)
        finally:
            system.close()


class _Run:
    """A run in a thread of its own: while a guest runs, Python's main thread would not notice signals."""

    def __init__(
        self,
        store: engine.Store,
        source: bytes,
        system: WasiSystem,
        directories: Sequence[SharedDirectory],
        host_modules: Mapping[str, engine.ImportProvider],
    ) -> None:
        self._store = store
        self._source = source
        self._system = system
        self._directories = directories
        self._host_modules = host_modules
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
        module = own_engine.load_module(self._source)
        problem = command_problem(module)
        if problem is not None:
            raise errors.FailedPreconditionError(f"the module is no command: {problem}")
        compiled = own_engine.compile_module(module, ensure_termination=True)
        self._compiled.set()
        instance = self._store.instantiate(compiled, built_in_imports(system, self._host_modules))
        instance.function(START)()
