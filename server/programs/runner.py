"""Runs a program in a store of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from farcall.engine import (
    CompiledModule,
    Engine,
    ImportProvider,
    Module,
    ProgramExit,
    Stoppable,
    Store,
    StoreLimits,
)
from farcall.engine.host.built_in import built_in_imports
from farcall.engine.host.wasi.command import START, command_problem
from farcall.proto.farcall.v1 import program_service_pb2 as messages
from farcall.server.errors import failed_precondition
from farcall.server.messages.stores import read_quota
from farcall.server.module_library import ModuleLibrary
from farcall.server.programs.input import ProgramInput
from farcall.server.programs.output import Channel, ChannelOutput, ProgramOutput
from farcall.server.resource_names import parse_module_name
from farcall.server.store_registry import StoreRegistry
from farcall.server.wasi.archives import ArchiveCollector
from farcall.server.wasi.configuration import GuestEnvironment, read_environment
from farcall.server.wasi.guest import guest_system
from farcall.server.wasi.mounts import Mounter


@dataclass(frozen=True, slots=True)
class Preparer:
    """Turns requests into programs. Used by the event loop's thread only.

    Attributes:
        host_modules: what programs can import, besides what is built in.
    """

    engine: Engine
    library: ModuleLibrary
    registry: StoreRegistry
    mounter: Mounter
    host_modules: Mapping[str, ImportProvider]

    def check(self, message: messages.Program) -> ArchiveCollector:
        """Find out what is wrong before archives come; where they are collected. Raises RequestError."""
        self.library.record(parse_module_name(message.module, "program.module"))
        return self.mounter.check(message.wasi, "program.wasi")

    async def prepare(self, message: messages.Program, archives: ArchiveCollector) -> Program:
        """A program that is ready to run.

        Raises:
            RequestError: the module is gone or no command, or a field is wrong.
        """
        environment = read_environment(message.wasi, "program.wasi")
        limits = self.registry.limits(read_quota(message.quota, "program.quota"))
        record = self.library.record(parse_module_name(message.module, "program.module"))
        compiled = await self.library.compiled(record)
        _check_command(compiled.module, record.name)
        return Program(self, compiled, limits, environment, message, archives)


def _check_command(module: Module, name: str) -> None:
    problem = command_problem(module)
    if problem is not None:
        raise failed_precondition(f"{name!r} is no command: {problem}")


class Program(Stoppable):
    """A program that can be run once, in a worker, and stopped from any thread."""

    def __init__(
        self,
        preparer: Preparer,
        compiled: CompiledModule,
        limits: StoreLimits,
        environment: GuestEnvironment,
        message: messages.Program,
        archives: ArchiveCollector,
    ) -> None:
        super().__init__()
        self._preparer = preparer
        self._compiled = compiled
        self._limits = limits
        self._environment = environment
        self._message = message
        self._archives = archives

    def run(self, standard_input: ProgramInput, output: ProgramOutput) -> int:
        """Run it to its end; its exit code.

        Raises:
            RequestError: a mount cannot be had.
            FarcallError: it cannot be instantiated, traps, or was stopped.
        """
        with (
            Store(self._preparer.engine, limits=self._limits) as store,
            self._preparer.mounter.mounted(
                self._message.wasi, self._archives, store.memory_budget, "program.wasi"
            ) as mounts,
            closing(
                guest_system(
                    self._environment,
                    mounts,
                    standard_input=standard_input.stream,
                    standard_output=ChannelOutput(output, Channel.OUTPUT),
                    standard_error=ChannelOutput(output, Channel.ERROR),
                )
            ) as system,
        ):
            try:
                imports = built_in_imports(system, self._preparer.host_modules)
                instantiation = store.instantiation(self._compiled, imports)
                with self.waking(lambda: instantiation.terminate(self.reason or "stopped")):
                    instance = instantiation.run()
                instance.function(START).call((), self)
            except ProgramExit as exit_:
                return exit_.code
        return 0
