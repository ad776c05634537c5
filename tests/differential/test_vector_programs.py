"""Random sequences of vector instructions do what they do on wasmtime, to the last bit of what they leave behind."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farcall.engine import Engine
from farcall.engine.codegen.target import Target, host_target

from .farcall_subject import run_on_farcall
from .vector_generator import vector_case


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(1, 150), st.booleans())
def test_random_vector_programs(engine, oracle, seed, length, ensure_termination):
    case = vector_case(seed, length)
    assert run_on_farcall(engine, case, ensure_termination=ensure_termination) == oracle.run(case)


def test_programs_with_the_templates_for_any_machine(oracle, monkeypatch):
    host = host_target()
    monkeypatch.setattr("farcall.engine.engine.host_target", lambda: Target(host.triple, host.cpu, ""))
    with Engine(code_policy="optimized") as engine:
        for seed in range(12):
            case = vector_case(seed, 120)
            assert run_on_farcall(engine, case, ensure_termination=True) == oracle.run(case), seed


def test_the_programs_leave_something_behind(oracle):
    for seed in range(5):
        memory = oracle.run(vector_case(seed, 100)).memory
        assert memory is not None
        assert any(memory[8192:])
