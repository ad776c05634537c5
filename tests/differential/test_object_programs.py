"""Random programs on structures, arrays and casts do what they do on wasmtime, also with collections all the time."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine.runtime import heap

from .case import Case
from .farcall_subject import run_on_farcall
from .object_programs import ObjectProgram

FUNCTIONS = 4


def case_of(seed: int) -> Case:
    module = bytes(wasmtime.wat2wasm(ObjectProgram(seed, FUNCTIONS).text()))
    calls = [
        call
        for argument in (0, 1, 5)
        for index in range(FUNCTIONS)
        for call in (("refuel", ()), (f"f{index}", (argument,)), ("kept", ()))
    ]
    return Case(module, tuple(calls))


@pytest.fixture
def little_room(monkeypatch):
    """Each time that cells run out, all is collected."""
    monkeypatch.setattr(heap, "_LEAST_GROWTH", 0)


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_programs_do_what_they_do_on_wasmtime(engine, oracle, first):
    returned = 0
    for seed in range(first, first + 10):
        case = case_of(seed)
        theirs = oracle.run(case)
        ours = run_on_farcall(engine, case, ensure_termination=seed % 2 == 0)
        assert ours == theirs, f"seed {seed}"
        returned += sum(isinstance(outcome, tuple) for outcome in theirs.outcomes)
    assert returned > 200  # most of the 360 calls do not trap


@pytest.mark.usefixtures("little_room")
def test_programs_do_the_same_when_all_is_collected_all_the_time(engine, oracle):
    for seed in range(1000, 1010):
        case = case_of(seed)
        assert run_on_farcall(engine, case, ensure_termination=True) == oracle.run(case), f"seed {seed}"
