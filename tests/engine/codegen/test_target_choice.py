"""Code is made for the CPU that is asked for, and never run where something is missing."""

from __future__ import annotations

import itertools

import pytest

from farcall.engine.codegen import target_choice
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.codegen.target_choice import choose_target, known_cpus, why_not_here

X86 = "x86_64-unknown-linux-gnu"
VECTORS = """
define <8 x i32> @f(<8 x i32> %a, <8 x i32> %b) {
  %c = mul <8 x i32> %a, %b
  ret <8 x i32> %c
}
"""


@pytest.fixture
def small_machine(monkeypatch):
    """As if this machine were one of the second level."""
    features = ",".join(f"+{name}" for name in target_choice._X86_64_V2) + ",-avx,-avx2"
    monkeypatch.setattr(target_choice, "host_target", lambda: Target(X86, "nehalem", features))


def test_the_native_target_is_this_machine_and_runs_here():
    assert choose_target().capabilities == host_target().capabilities
    assert choose_target().cpu == host_target().cpu
    assert why_not_here(choose_target()) is None
    assert why_not_here(host_target()) is None


def test_levels_contain_each_other(small_machine):
    levels = [choose_target(cpu).capabilities for cpu in known_cpus()[1:]]
    assert len(levels) == 4
    assert all(lower < higher for lower, higher in itertools.pairwise(levels))


def test_what_the_machine_lacks_is_named(small_machine):
    assert why_not_here(choose_target("x86-64")) is None
    assert why_not_here(choose_target("x86-64-v2")) is None
    reason = why_not_here(choose_target("x86-64-v3"))
    assert reason is not None
    assert "(x86-64-v3) that has avx, avx2, bmi, bmi2, f16c, fma, lzcnt, movbe, xsave" in reason
    assert "this machine's (nehalem) lacks" in reason
    other = why_not_here(Target("aarch64-unknown-linux-gnu", "generic", "+neon"))
    assert other == f"it is for aarch64-unknown-linux-gnu, and this machine is {X86}"


def test_features_are_switched_on_and_off(small_machine):
    assert "avx2" in choose_target("x86-64", "+avx2, +avx").capabilities
    assert "sse4.1" not in choose_target("x86-64-v2", "-sse4.1").capabilities
    assert why_not_here(choose_target("native", "+avx2")) is not None


@pytest.mark.parametrize(
    ("cpu", "features", "message"),
    [
        ("i386", "", "there is no CPU 'i386'; known are native, x86-64, x86-64-v2"),
        ("native", "+warp", "there is no feature 'warp'; known are .*avx2"),
        ("native", "avx2", "'avx2' has neither before it"),
    ],
)
def test_what_there_is_not_is_refused(small_machine, cpu, features, message):
    with pytest.raises(ValueError, match=message):
        choose_target(cpu, features)


def test_code_is_what_the_target_says(monkeypatch):
    """256-bit multiplication is one instruction with AVX2, and several without."""
    monkeypatch.setattr(target_choice, "host_target", lambda: Target(X86, "x86-64", "+sse2"))
    sizes = []
    for cpu in ("x86-64", "x86-64-v2", "x86-64-v3"):
        content = compile_to_object(VECTORS, choose_target(cpu), Optimization.FULL)
        (symbol,) = [symbol for symbol in read_object(content).symbols if symbol.name == "f"]
        sizes.append(symbol.size)
    assert sizes[0] > sizes[1] > sizes[2]
