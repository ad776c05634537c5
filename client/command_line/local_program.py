"""Runs a program in this process, with its standard input, output and error; imported only where that is wanted."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farcall import engine
from farcall.client import errors
from farcall.client.command_line.guest_thread import run_until
from farcall.engine.host.built_in import built_in_imports
from farcall.engine.host.filesystem.mounts import open_host_directory
from farcall.engine.host.guarded_module import GuardedModule
from farcall.engine.host.named_modules import load_host_modules
from farcall.engine.host.wasi.command import START, command_problem
from farcall.engine.host.wasi.os_streams import DescriptorInput, DescriptorOutput
from farcall.engine.host.wasi.system import WasiSystem

if TYPE_CHECKING:
    from farcall.client.command_line.run import SharedDirectory


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

        def work(compiled: threading.Event) -> int:
            module = _prepare(store, source, system, directories)
            compiled.set()
            try:
                instance = store.instantiate(module, built_in_imports(system, host_modules))
                instance.function(START)()
            except engine.ProgramExit as end:
                return end.code
            return 0

        with closing(system):
            return run_until(work, timeout, store.close)


def _prepare(
    store: engine.Store, source: bytes, system: WasiSystem, directories: Sequence[SharedDirectory]
) -> engine.CompiledModule:
    for directory in directories:
        root = open_host_directory(str(directory.path))
        handle = root.open_root(system.program.handles, read_only=directory.read_only)
        system.add_directory(directory.guest_path, handle)
    module = store.engine.load_module(source)
    problem = command_problem(module)
    if problem is not None:
        raise errors.FailedPreconditionError(f"the module is no command: {problem}")
    return store.engine.compile_module(module, ensure_termination=True)
