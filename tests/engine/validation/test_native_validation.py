"""Machine code that validates: it agrees with Python about everything, and reads nothing that is not there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from farcall.engine.binary import decode_module
from farcall.engine.binary.function_facts import function_facts
from farcall.engine.instructions.instruction import IMPLEMENTED, NONE_DISABLED, Feature
from farcall.engine.structure.function_facts import Fact
from farcall.engine.validation import validate_module
from tests.differential.mutation import mutant, seed_of
from tests.differential.native_agreement import (
    GuardedBytes,
    disagreement,
    native_from,
    validate_at_the_end,
)
from tests.engine.binary_format import HEADER, body, one_function, section, signed, unsigned, vector

from .test_against_wasmtime import SEEDS

REPOSITORY = Path(__file__).parents[3]
COMPILED = sorted((*REPOSITORY.glob("benchmarks/kernels/*.wasm"), *REPOSITORY.glob("examples/**/*.wasm")))

OTHERS = [
    bytes(wasmtime.wat2wasm(f"(module {fields})"))
    for fields in (
        """(memory $a 1) (memory $b i64 1) (table $t i64 3 funcref) (elem $e func 0) (data $d "abc")
           (func $f (param i64) (result i64)
             (i64.store $b offset=0x100000000 (local.get 0) (i64.load $a (i32.const 8)))
             (memory.copy $a $b (i32.const 0) (local.get 0) (i32.const 8)) (memory.init $b $d (i64.const 0)
             (i32.const 0) (i32.const 3)) (memory.fill $b (i64.const 0) (i32.const 1) (i64.const 2))
             (table.init $t $e (i64.const 0) (i32.const 0) (i32.const 1)) (drop (memory.grow $b (memory.size $b)))
             (table.copy $t $t (i64.const 0) (i64.const 1) (i64.const 1)) (drop (table.size $t))
             (return_call_indirect $t (param i64) (result i64) (local.get 0) (i64.const 0)))
           (export "f" (func $f))""",
        """(type $s (struct (field (mut i32)))) (type $f (func (param i32) (result i32)))
           (func $get (param (ref null $s)) (result i32) (struct.get $s 0 (local.get 0)))
           (func (param (ref $f) funcref anyref) (result i32) (local (ref $f) eqref)
             (local.set 3 (local.get 0)) (local.set 4 (ref.i31 (i32.const 1)))
             (drop (ref.eq (local.get 4) (ref.null none))) (drop (br_on_null 0 (i32.const 1) (local.get 0))) (drop)
             (call_ref $f (i32.const 1) (local.get 3)))
           (func (result funcref) (select (result funcref) (ref.func $get) (ref.null nofunc) (i32.const 0)))
           (elem declare func $get)""",
        """(func (param i32) (result i32 i64) (local f32 v128)
             (block (result i32) (loop (param) (result i32) (br_table 1 1 1 (i32.const 2) (local.get 0)))
               (drop) (i32.const 3)) (i64.const 4))
           (func (result i64) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.add128) (drop))""",
    )
]

LEGACY = one_function(
    b"\x06\x40\x06\x40\x18\x00\x07\x00\x09\x00\x19\x09\x00\x0b", between=section(13, b"\1\0\0")
)
"""A `try` with a `delegate` inside, `catch` and `catch_all`."""

MODULES = [*SEEDS, *OTHERS, LEGACY]
MUTATED = [seed_of(module) for module in MODULES]


def validated(source: bytes):
    module = decode_module(source)
    with native_from(0):
        validate_module(module)
    return module


@pytest.mark.parametrize("source", MODULES, ids=range(len(MODULES)))
def test_both_agree_about_valid_modules(source):
    assert disagreement(source) is None
    validate_module(decode_module(source))


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(sorted(IMPLEMENTED, key=str)), max_size=3))
def test_both_agree_about_mutants(source: random.Random, disabled: set[Feature]):
    module = mutant(source, MUTATED)
    assert disagreement(module) is None
    assert disagreement(module, frozenset(disabled)) is None


@pytest.mark.parametrize("source", MODULES, ids=range(len(MODULES)))
def test_nothing_is_read_behind_a_body(source):
    guarded = GuardedBytes(len(source))
    module = decode_module(source)
    decided = validate_at_the_end(module, NONE_DISABLED, guarded)
    expected = validated(source)
    assert decided == sum(expected.facts.is_known(position) for position in range(len(module.functions)))


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_what_compilers_make_is_decided_by_machine_code(path):
    module = validated(path.read_bytes())
    assert all(module.facts.is_known(position) for position in range(len(module.functions)))


NESTED = 9000

EXTREMES = {
    "blocks": b"\x02\x40" * NESTED + b"\x0b" * NESTED,
    "operands": b"\x41\0" * 70_000 + b"\x1a" * 70_000,
    "operands that are left": b"\x41\0" * 70_000,
    "labels": b"\x02\x40\x41\0\x0e" + unsigned(5000) + b"\1" * 5001 + b"\x0b",
    "labels that are not there": b"\x41\0\x0e" + unsigned(5000) + b"\0" * 5000 + b"\1",
    "padding": b"\x41" + signed(-1, 4) + b"\x1a\x02\x40\x0c" + unsigned(0, 4) + b"\x0b",
    "too much padding": b"\x41" + signed(-1, 5) + b"\x1a",
    "label of 32 bits": b"\x0c" + unsigned(2**32 - 1),
    "index of 35 bits": b"\x20" + unsigned(2**32),
    "unknown prefix": b"\xfc" + unsigned(2**32 - 1),
    "a body of prefixes": b"\xfc",
}


@pytest.mark.parametrize("name", EXTREMES)
def test_both_agree_about_extremes(name):
    assert disagreement(one_function(EXTREMES[name])) is None


@pytest.mark.parametrize("count", [1, 999, 1000, 1100, 49_999, 50_000, 50_001, 2**32 - 1, 2**32])
def test_both_agree_about_numbers_of_locals(count):
    for used in (0, count - 1, count):
        source = one_function(b"\x20" + unsigned(used) + b"\x1a", declared=b"\1" + unsigned(count) + b"\x7f")
        assert disagreement(source) is None


def test_facts_of_several_threads_are_put_together(monkeypatch):
    calls = [b"".join(b"\x10" + unsigned(index % 7) for index in range(position)) for position in range(50)]
    bodies = [body(code) for code in calls]
    source = (
        HEADER + section(1, b"\1\x60\0\0") + section(3, vector([b"\0"] * 50)) + section(10, vector(bodies))
    )
    monkeypatch.setattr("farcall.engine.validation.native.bodies.BYTES_PER_THREAD", 500)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    module = validated(source)
    for position in range(50):
        assert module.facts.get(position, Fact.CALL_COUNT) == position
        assert function_facts(module, position).callees == [index % 7 for index in range(position)]
