"""The check of mutants: they are many things, nothing is wrong with them, and what would be wrong is noticed."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from farcall.engine.binary import decode_module
from farcall.engine.errors import MalformedModuleError
from farcall.engine.validation import validate_module

from . import mutant_checks, mutants
from .control_generator import control_case
from .mutant_checks import Findings, check_compilation, check_mutants, numbered_mutant
from .mutants import Checker, check_many
from .mutation import LARGEST_MUTANT, mutant, seed_of
from .mutation_seeds import all_seeds
from .program_generator import generate
from .vector_generator import vector_case

SEEDS = [
    seed_of(module)
    for seed in range(5)
    for module in (
        generate(random.Random(seed), 2, 30).module,
        vector_case(seed, 10).module,
        control_case(seed, 8).module,
    )
]


def test_mutants_are_valid_invalid_and_malformed_and_the_same_again():
    made = [numbered_mutant(SEEDS, 1, number)[:2] for number in range(500)]
    assert made == [numbered_mutant(SEEDS, 1, number)[:2] for number in range(500)]
    assert made != [numbered_mutant(SEEDS, 2, number)[:2] for number in range(500)]
    assert len({module for module, _ in made}) > 400
    assert max(len(module) for module, _ in made) <= LARGEST_MUTANT
    verdicts = Counter()
    for module, disabled in made:
        try:
            validate_module(decode_module(module, disabled), disabled)
            verdicts["valid"] += 1
        except Exception as error:
            verdicts[type(error).__name__] += 1
    assert set(verdicts) >= {"valid", "MalformedModuleError", "InvalidModuleError", "UnsupportedFeatureError"}


def test_anything_can_be_mutated():
    source = random.Random(1)
    seeds = [
        seed_of(module) for module in (b"", b"\0", b"\0asm\1\0\0\0", b"\0asm\1\0\0\0\x0a\x01", bytes(20))
    ]
    assert len({mutant(source, seeds) for _ in range(300)}) > 100


def test_mutants_of_random_programs(engine):
    findings = check_mutants(SEEDS, 3, range(1000), compiled_share=0.1)
    assert (findings.checked, findings.problems) == (1000, [])
    assert 1000 > findings.valid > len(findings.to_compile) > 0
    compiled = check_compilation(engine, SEEDS, 3, findings.to_compile)
    assert (compiled.compiled, compiled.problems) == (len(findings.to_compile), [])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MalformedModuleError("something", 1 << 20), "is outside"),
        (RecursionError("deep"), "raises RecursionError"),
        (IndexError("beyond"), "raises IndexError"),
    ],
)
def test_an_error_that_should_not_be_is_a_problem(monkeypatch, error, message):
    def fail(*_):
        raise error

    monkeypatch.setattr(mutant_checks, "decode_module", fail)
    ((number, problem),) = check_mutants(SEEDS, 1, range(7, 8), compiled_share=0).problems
    assert number == 7
    assert message in problem


def test_memory_beyond_a_multiple_of_the_module_is_a_problem(monkeypatch):
    assert mutant_checks.check_memory(SEEDS[0].module) == ""
    monkeypatch.setattr(mutant_checks, "decode_module", lambda *_: bytearray(64 << 20))
    assert "bytes of memory for a module of" in mutant_checks.check_memory(SEEDS[0].module)


def imitate(current):
    def check(numbers):
        for number in numbers:
            current.value = number
            if number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 4:
                while True:
                    pass
        return Findings(checked=len(numbers))

    mutant_checks._check = check


def test_a_crash_and_a_hang_are_problems_of_their_mutants_alone():
    checker = Checker(imitate, (), patience=2)
    try:
        findings = checker.check(range(7))
    finally:
        checker.close()
    assert findings.problems == [(2, "ends the process"), (4, "is not done after 2 s")]


def test_what_many_processes_find_is_added_up(monkeypatch):
    monkeypatch.setattr(mutants, "BATCH", 60)
    reports = []
    total = check_many(SEEDS, 5, 100, 1.0, reports.append)
    assert [each.checked for each in reports] == [60, 40]
    assert (total.checked, total.problems) == (100, [])
    assert total.compiled > 0
    assert total.slowest == max(each.slowest for each in reports)


def test_seeds_are_of_every_source(monkeypatch, tmp_path):
    script = tmp_path / "one.wast"
    script.write_text(
        '(module (func (export "only here")))\n(assert_invalid (module (func (result i32))) "type")'
    )
    monkeypatch.setenv("FARCALL_TESTSUITE", str(tmp_path))
    seeds = all_seeds()
    assert sum(b"only here" in seed.module for seed in seeds) == 1
    assert len(seeds) == len({seed.module for seed in seeds}) > 100
    assert all(seed.sections for seed in seeds)
