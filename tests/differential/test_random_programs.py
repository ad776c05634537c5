"""Random programs do what they do on wasmtime: results, traps, memory and globals."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .case import Case
from .farcall_subject import run_on_farcall
from .program_generator import OBSERVED_GLOBALS, generate


def case_of(seed, functions, nodes, linked=False):
    program = generate(random.Random(seed), functions, nodes, linked=linked)
    return Case(program.module, program.calls, "memory", OBSERVED_GLOBALS, program.library)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(1, 6), st.integers(5, 250), st.booleans())
def test_random_programs(engine, oracle, seed, functions, nodes, ensure_termination):
    case = case_of(seed, functions, nodes)
    assert run_on_farcall(engine, case, ensure_termination=ensure_termination) == oracle.run(case)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(1, 4), st.integers(5, 120), st.booleans())
def test_random_linked_programs(engine, oracle, seed, functions, nodes, ensure_termination):
    """Two modules that share memory, table and globals, and call each other, through the table both ways."""
    case = case_of(seed, functions, nodes, linked=True)
    assert run_on_farcall(engine, case, ensure_termination=ensure_termination) == oracle.run(case)


def test_the_programs_are_no_empty_shells(oracle):
    """The generator's programs are valid, and reach results as well as every kind of trap."""
    outcomes = Counter()
    for seed in range(150):
        case = case_of(seed, 4, 120)
        behaviour = oracle.run(case)
        for (name, _), outcome in zip(case.calls, behaviour.outcomes, strict=True):
            if name != "refuel":
                outcomes["returned" if isinstance(outcome, tuple) else outcome] += 1
    assert outcomes["returned"] > 200
    assert set(outcomes) >= {
        "unreachable",
        "integer divide by zero",
        "integer overflow",
        "invalid conversion to integer",
        "out of bounds memory access",
        "out of bounds of a table",
        "uninitialized element",
        "indirect call type mismatch",
        "unaligned atomic",
        "expected shared memory",
    }


def test_programs_are_made_of_number_types_alone():
    """There are instructions of numbers that take others: whether two references are the same is a number."""
    for seed in range(200):
        case_of(seed, 2, 100)
