"""What must hold of any bytes: they are decoded and validated, or refused with a place, in little time and memory.

Of those that are valid, the content of custom sections is checked, too.
"""

from __future__ import annotations

import random
import resource
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.sharedctypes import Synchronized

from farcall.engine import Engine
from farcall.engine.binary import decode_module
from farcall.engine.binary.custom_contents import custom_section_problems
from farcall.engine.errors import ExhaustionError, ModuleError
from farcall.engine.instructions.instruction import IMPLEMENTED, NONE_DISABLED, Features
from farcall.engine.validation import validate_module

from .mutation import Seed, mutant

MEMORY_MULTIPLE = 200
"""Bytes of memory for a byte of the module: an empty function type is three bytes, and two objects of ours."""

MEMORY_ANYWAY = 1 << 20
"""Bytes that any module may take."""

_MEMORY_READINGS = 50
"""Mutants between two looks at how much memory was taken, which cost as much as a mutant."""

ADDRESS_SPACE = 4 << 30

_WITHOUT_FEATURES = 0.1
"""The share of the modules that are looked at with some features switched off."""


@dataclass(slots=True)
class Findings:
    """What came of some mutants.

    Attributes:
        checked: how many there were.
        valid: how many of them are valid; `to_compile`, those that are to be compiled, by number.
        compiled: how many were compiled; `exhausted`, how many would have taken too much.
        problems: what must not be, by the mutant's number.
        slowest: seconds, and the mutant's number.
    """

    checked: int = 0
    valid: int = 0
    compiled: int = 0
    exhausted: int = 0
    to_compile: list[int] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)

    def add(self, other: Findings) -> None:
        """Take another's figures and problems in; not what it leaves to compile."""
        self.checked += other.checked
        self.valid += other.valid
        self.compiled += other.compiled
        self.exhausted += other.exhausted
        self.problems += other.problems
        self.slowest = max(self.slowest, other.slowest)


def numbered_mutant(seeds: Sequence[Seed], seed: int, number: int) -> tuple[bytes, Features, random.Random]:
    """The mutant of this number, the features that are off for it, and the source of what is left to chance."""
    source = random.Random(f"{seed} {number}")
    module = mutant(source, seeds)
    disabled = NONE_DISABLED
    if source.random() < _WITHOUT_FEATURES:
        names = sorted(IMPLEMENTED, key=lambda feature: feature.value)
        disabled = frozenset(source.sample(names, source.randrange(1, len(names))))
    return module, disabled, source


def check_mutants(
    seeds: Sequence[Seed],
    seed: int,
    numbers: range,
    compiled_share: float,
    current: Synchronized[int] | None = None,
) -> Findings:
    """Decode and validate the mutants of these numbers.

    Args:
        seeds: what they are made from.
        seed: of the run.
        numbers: which.
        compiled_share: of the valid ones, the share that is to be compiled.
        current: is told which one it is.
    """
    findings = Findings()
    for start in range(0, len(numbers), _MEMORY_READINGS):
        some = numbers[start : start + _MEMORY_READINGS]
        most_before = _most_memory()
        for number in some:
            if current is not None:
                current.value = number
            module, disabled, source = numbered_mutant(seeds, seed, number)
            started = time.perf_counter()
            problem, valid = check_verdict(module, disabled)
            findings.slowest = max(findings.slowest, (time.perf_counter() - started, number))
            if problem:
                findings.problems.append((number, problem))
            findings.checked += 1
            if valid:
                findings.valid += 1
                if not disabled and source.random() < compiled_share:
                    findings.to_compile.append(number)
        if _most_memory() - most_before > MEMORY_ANYWAY:
            for number in some:
                problem = check_memory(*numbered_mutant(seeds, seed, number)[:2])
                if problem:
                    findings.problems.append((number, problem))
    return findings


def _most_memory() -> int:
    """Bytes that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def check_verdict(module: bytes, disabled: Features = NONE_DISABLED) -> tuple[str, bool]:
    """What is wrong with the verdict on a module, empty if nothing is; and whether it is valid."""
    try:
        decoded = decode_module(module, disabled)
        validate_module(decoded, disabled)
        problems: Sequence[ModuleError] = custom_section_problems(decoded)
        valid = True
    except ModuleError as error:
        problems = [error]
        valid = False
    except Exception as error:
        return f"raises {error!r}", False
    outside = [str(problem) for problem in problems if not 0 <= problem.offset <= len(module)]
    return (f"the offset of {outside[0]!r} is outside" if outside else ""), valid


def check_memory(module: bytes, disabled: Features = NONE_DISABLED) -> str:
    """Whether too much memory is taken for a module: how much, or empty."""
    tracemalloc.start()
    try:
        check_verdict(module, disabled)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if most <= MEMORY_MULTIPLE * len(module) + MEMORY_ANYWAY:
        return ""
    return f"takes {most} bytes of memory for a module of {len(module)}"


def check_compilation(
    engine: Engine,
    seeds: Sequence[Seed],
    seed: int,
    numbers: Sequence[int],
    current: Synchronized[int] | None = None,
) -> Findings:
    """Compile the valid mutants of these numbers."""
    findings = Findings()
    for number in numbers:
        if current is not None:
            current.value = number
        binary, _, source = numbered_mutant(seeds, seed, number)
        try:
            module = engine.load_module(binary)
            engine.compile_module(module, ensure_termination=bool(source.getrandbits(1)))
            engine.delete_compiled_module(module)
        except ExhaustionError:
            findings.exhausted += 1
        except Exception as error:  # Whatever it is: what validates can be compiled.
            findings.problems.append((number, f"valid, but compiling raises {error!r}"[:2000]))
        findings.compiled += 1
    return findings


# -- In a process of its own -------------------------------------------------------------------------------------------

_check: partial[Findings] | None = None


def prepare_to_check(
    seeds: Sequence[Seed], seed: int, compiled_share: float, current: Synchronized[int]
) -> None:
    """Once in a process that decodes and validates."""
    global _check  # noqa: PLW0603 - the process has one
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    _check = partial(check_mutants, seeds, seed, compiled_share=compiled_share, current=current)


def prepare_to_compile(seeds: Sequence[Seed], seed: int, current: Synchronized[int]) -> None:
    """Once in a process that compiles."""
    global _check  # noqa: PLW0603
    _check = partial(check_compilation, Engine(code_policy="optimized"), seeds, seed, current=current)


def check(numbers: Sequence[int]) -> Findings:
    """The mutants of these numbers, in a process that was prepared."""
    assert _check is not None
    return _check(numbers)
