"""One round of comparing random modules with wasmtime."""

from __future__ import annotations

import random
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from farcall.engine import CodePolicy, Engine
from farcall.engine.errors import ModuleError

from .binaryen_generator import BinaryenGenerator
from .case import Case
from .control_generator import control_case
from .damage import SMALLEST_DAMAGED, damaged
from .exploration import difference, explore
from .explorers import explore_on_farcall
from .farcall_subject import run_on_farcall
from .program_generator import OBSERVED_GLOBALS, generate
from .vector_generator import vector_case
from .wasmtime_oracle import MISSING_FEATURES, WasmtimeOracle

VECTOR_SHARE = 0.3
"""Of our own programs, those that are made of vector instructions."""

CONTROL_SHARE = 0.2
"""Those that are made of tail calls and exceptions."""

DAMAGED_EACH = 50
"""Damaged modules made of every valid one."""


@dataclass(slots=True)
class Counts:
    """What was compared, and what differed."""

    programs: int = 0
    generated: int = 0
    damaged: int = 0
    valid: int = 0
    differences: list[str] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.programs + other.programs,
            self.generated + other.generated,
            self.damaged + other.damaged,
            self.valid + other.valid,
            self.differences + other.differences,
        )


class Fuzzer:
    """Engine, oracle and generators of a process; a context manager."""

    def __init__(self, wasm_opt: Path | None) -> None:
        # Under each policy: code of both tiers, and code that gives way to other.
        self.engines = [Engine(code_policy=policy) for policy in CodePolicy]
        self.engine = self.engines[0]
        self.comparable_engine = Engine(disabled_features=MISSING_FEATURES)
        self.oracle = WasmtimeOracle()
        self.directory = tempfile.TemporaryDirectory()
        self.binaryen = wasm_opt and BinaryenGenerator(wasm_opt, Path(self.directory.name))

    def __enter__(self) -> Fuzzer:
        self.oracle.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.oracle.__exit__()
        for engine in self.engines:
            engine.close()
        self.comparable_engine.close()
        self.directory.cleanup()

    def run(self, seed: int) -> Counts:
        """The round of this seed."""
        source, counts = random.Random(seed), Counts()
        self.engine = self.engines[seed % len(self.engines)]
        module = self._program(source, counts)
        self._damage(source, module, counts)
        if self.binaryen is not None:
            self._explore(source, counts)
        return counts

    def _program(self, source: random.Random, counts: Counts) -> bytes:
        """Compare a program of our own generators; its module."""
        case = _case(source)
        counts.programs += 1
        theirs = self.oracle.run(case)
        try:
            ours = run_on_farcall(self.engine, case, ensure_termination=bool(source.getrandbits(1)))
        except Exception as error:  # Whatever it is: no program may raise anything but traps.
            counts.differences.append(f"program: farcall raises {type(error).__name__}: {error}")
            return case.module
        for call, our, their in zip(case.calls, ours.outcomes, theirs.outcomes, strict=True):
            if our != their:
                counts.differences.append(f"program, {call}: farcall {our}, wasmtime {their}")
                return case.module
        if ours != theirs:
            counts.differences.append("program: the memory or the globals differ")
        return case.module

    def _damage(self, source: random.Random, module: bytes, counts: Counts) -> None:
        """Compare the verdicts on damaged forms of a module; one that is nearly empty has none."""
        if len(module) < SMALLEST_DAMAGED:
            return
        modules = [damaged(source, module) for _ in range(DAMAGED_EACH)]
        for each, theirs in zip(modules, self.oracle.refusals(modules), strict=True):
            counts.damaged += 1
            counts.valid += self._verdict(each, theirs, "damaged", counts) is None

    def _verdict(self, module: bytes, theirs: str, what: str, counts: Counts) -> str | None:
        """Compare farcall's verdict on a module with wasmtime's; why farcall refuses it, None where it does not."""
        ours = None
        try:
            self.comparable_engine.load_module(module)
        except ModuleError as error:
            ours = str(error)
            if not 0 <= error.offset <= len(module):
                counts.differences.append(f"{what}: the offset of {ours!r} is outside; {module.hex()}")
        except Exception as error:
            ours = repr(error)
            counts.differences.append(f"{what}: farcall raises {ours}; {module.hex()}")
            return ours
        if (ours is None) != (not theirs):
            counts.differences.append(f"{what}: farcall: {ours}; wasmtime: {theirs}; {module.hex()}")
        return ours

    def _explore(self, source: random.Random, counts: Counts) -> None:
        """Compare a module of Binaryen's, and damaged forms of it."""
        assert self.binaryen is not None
        unseen = bool(source.getrandbits(1))
        try:
            module = self.binaryen.generate(source, self.engine.features, unseen=unseen)
        except subprocess.CalledProcessError:  # a defect of Binaryen's, seldom
            return
        refusal = self._verdict(module, self.oracle.refusals([module])[0], "Binaryen's", counts)
        # Now and then it takes more features than it was given: then both refuse the module. What wasmtime does not
        # have is not run, but compiled.
        if refusal is not None and not (unseen and self._is_valid(module)):
            return
        counts.generated += 1
        stoppable = bool(source.getrandbits(1))
        if unseen:
            self._compile(module, stoppable, counts)
        else:
            self._run(source, module, stoppable, counts)
        self._damage(source, module, counts)

    def _is_valid(self, module: bytes) -> bool:
        """Whether farcall with all its features takes a module."""
        try:
            self.engine.load_module(module)
        except ModuleError:
            return False
        return True

    def _compile(self, module: bytes, stoppable: bool, counts: Counts) -> None:
        """Compile a module that cannot be run on wasmtime."""
        try:
            loaded = self.engine.load_module(module)
            self.engine.compile_module(loaded, ensure_termination=stoppable)
            self.engine.delete_compiled_module(loaded)
        except Exception as error:
            counts.differences.append(
                f"Binaryen's: compiling raises {type(error).__name__}: {error}; {module.hex()}"
            )

    def _run(self, source: random.Random, module: bytes, stoppable: bool, counts: Counts) -> None:
        """Compare what a module does."""
        try:
            exploration = explore(source, module)
            theirs = self.oracle.explore(exploration)
            ours = explore_on_farcall(self.engine, exploration, ensure_termination=stoppable)
        except Exception as error:
            counts.differences.append(f"Binaryen's: {type(error).__name__}: {error}")
            return
        found = difference(ours, theirs, exploration)
        if found:
            counts.differences.append(f"Binaryen's, {found}")


def _case(source: random.Random) -> Case:
    """A program of one of our own generators."""
    kind = source.random()
    if kind < VECTOR_SHARE:
        return vector_case(source.getrandbits(32), source.choice((10, 50, 300)))
    if kind < VECTOR_SHARE + CONTROL_SHARE:
        return control_case(source.getrandbits(32), source.choice((8, 30, 100)))
    functions, nodes = source.randrange(1, 9), source.choice((20, 100, 500, 2000))
    program = generate(source, functions, nodes, linked=bool(source.getrandbits(1)))
    return Case(program.module, program.calls, "memory", OBSERVED_GLOBALS, program.library)


_fuzzer: Fuzzer | None = None


def prepare(wasm_opt: Path | None) -> None:
    """Once in the process that runs rounds."""
    global _fuzzer  # noqa: PLW0603 - the process has one
    _fuzzer = Fuzzer(wasm_opt).__enter__()  # to the end of the process


def run_round(seed: int) -> Counts:
    """The round of this seed, in the process that was prepared."""
    assert _fuzzer is not None
    return _fuzzer.run(seed)
