"""Random programs of tail calls and exceptions do what they do on wasmtime."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .control_generator import control_case
from .farcall_subject import run_on_farcall


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(5, 60), st.booleans())
def test_random_programs_of_tail_calls_and_exceptions(engine, oracle, seed, size, ensure_termination):
    case = control_case(seed, size)
    assert run_on_farcall(engine, case, ensure_termination=ensure_termination) == oracle.run(case)


def test_the_programs_are_no_empty_shells(oracle):
    """They return, throw what their callers catch, and reach the traps of indirect calls."""
    outcomes = Counter()
    for seed in range(25):
        for outcome in oracle.run(control_case(seed, 40)).outcomes:
            outcomes[outcome if isinstance(outcome, str) else outcome[0] == -1000 % 2**64] += 1
    assert outcomes[False] > 100
    assert outcomes[True] > 5
