"""The modules that are mutated: the official test suite's, the committed ones, and random programs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.spectest.assembler import AssemblyError, assemble
from tests.spectest.commands import AssertRefused, Command, ModuleCommand, ModuleSource, parse_script
from tests.spectest.suite import REPOSITORY, all_scripts, suite_directory

from .control_generator import control_case
from .mutation import Seed, seed_of
from .program_generator import generate
from .vector_generator import vector_case

LARGEST_SEED = 4096
"""Bytes: a large module is decoded in the time of many small ones, and most of it is like the rest."""

_PROGRAMS_EACH = 40


def all_seeds() -> list[Seed]:
    """All of them, in an order that only depends on the tree and the suite; each once."""
    modules = [*_suite_modules(), *_committed_modules(), *_generated_modules()]
    return [seed_of(module) for module in dict.fromkeys(modules) if module and len(module) <= LARGEST_SEED]


def _suite_modules() -> Iterator[bytes]:
    """Every module of the suite that can be assembled, and those that are to be refused as well."""
    directory = suite_directory()
    for _, path in all_scripts(directory) if directory is not None else ():
        for command in parse_script(path.read_bytes()):
            source = _module_source(command)
            if source is not None:
                try:
                    yield assemble(source)
                except AssemblyError:  # text that is malformed on purpose, or of a proposal that nobody has
                    continue


def _module_source(command: Command) -> ModuleSource | None:
    return command.source if isinstance(command, ModuleCommand | AssertRefused) else None


def _committed_modules() -> Iterator[bytes]:
    for directory in (Path("examples"), Path("benchmarks", "kernels")):
        for path in sorted((REPOSITORY / directory).glob("*.wasm")):
            yield path.read_bytes()


def _generated_modules() -> Iterator[bytes]:
    for seed in range(_PROGRAMS_EACH):
        source = random.Random(seed)
        program = generate(
            source, source.randrange(1, 4), source.choice((20, 50, 100)), linked=bool(seed % 2)
        )
        yield program.module
        if program.library is not None:
            yield program.library
        yield vector_case(seed, 10).module
        yield control_case(seed, 10).module
