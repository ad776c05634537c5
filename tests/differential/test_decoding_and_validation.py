"""What farcall refuses is what wasmtime, held to the same features, refuses: shown on damaged modules."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from farcall.engine.errors import MalformedModuleError, ModuleError

from .damage import damaged
from .program_generator import generate

HEADER = b"\0asm\1\0\0\0"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(1, 3), st.integers(5, 60), st.booleans())
def test_damaged_modules(comparable_engine, oracle, seed, functions, nodes, linked):
    source = random.Random(seed)
    program = generate(source, functions, nodes, linked=linked)
    compare_damaged(comparable_engine, oracle, source, program.module)


LATER_MODULES = [
    bytes(wat2wasm(f"(module {fields})"))
    for fields in (
        """(memory $a i64 1 2) (memory $b 3 (pagesize 1)) (memory $c 1) (data $d "abc")
           (data (memory $a) (i64.const 5) "x") (data (memory $b) (i32.sub (i32.const 5) (i32.const 4)) "y")
           (func (param i64 i32) (result i64)
             (memory.copy $a $b (local.get 0) (local.get 1) (i32.const 1))
             (memory.copy $a $a (local.get 0) (local.get 0) (local.get 0))
             (memory.fill $a (local.get 0) (i32.const 1) (i64.const 7)) (memory.init $c $d
             (i32.const 0) (i32.const 0) (i32.const 3)) (i32.store8 $b offset=3 (local.get 1) (i32.const 1))
             (i64.load32_u $a offset=0x123456789 (local.get 0)) (memory.grow $a (memory.size $a)) (i64.add))""",
        """(import "m" "t" (table $t i64 3 5 funcref)) (table $s 2 funcref) (elem $e func $f)
           (elem (table $t) (i64.const 0) func $f) (func $f)
           (func (param i64) (table.set $t (local.get 0) (table.get $s (i32.const 0)))
             (table.copy $t $s (local.get 0) (i32.const 0) (i32.const 1)) (table.init $t $e (i64.const 0) (i32.const 0)
             (i32.const 0)) (drop (table.grow $t (ref.null func) (table.size $t))) (call_indirect $t (local.get 0)))""",
        """(func (param i64 i64) (result i64 i64) (i64.add128 (i64.mul_wide_s (local.get 0) (local.get 1))
             (i64.mul_wide_u (local.get 0) (local.get 1))))
           (global i64 (i64.mul (i64.const 3) (i64.add (i64.const 4) (i64.const -1)))) (global $b i32 (i32.const 3))""",
        """(import "m" "t" (tag $t (param i64))) (tag $e (param i32 f32)) (global (mut exnref) (ref.null exn))
           (table 1 funcref) (type $f (func (param i32) (result i32)))
           (func (type $f) (block $caught (result i32 f32 exnref)
               (try_table (result i32) (catch_ref $e $caught) (throw $e (local.get 0) (f32.const 1))) (return))
             (global.set 0) (drop) (throw_ref (global.get 0)))
           (func (block $none (try_table (catch_all $none) (throw $t (i64.const 1)))))
           (func (type $f) (return_call 0 (local.get 0)))
           (func (type $f) (return_call_indirect (type $f) (local.get 0) (i32.const 0)))""",
    )
]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.sampled_from(LATER_MODULES))
def test_damaged_modules_with_later_features(comparable_engine, oracle, seed, module):
    compare_damaged(comparable_engine, oracle, random.Random(seed), module)


def compare_damaged(engine, oracle, source, whole):
    """Damage a module in many ways: both engines give the same verdicts."""
    modules = [whole, *(damaged(source, whole) for _ in range(60))]
    refusals = oracle.refusals(modules)
    assert refusals[0] == ""
    for module, theirs in zip(modules, refusals, strict=True):
        compare_verdicts(engine, module, theirs)


def compare_verdicts(engine, module, theirs):
    """Whether farcall refuses a module if and only if wasmtime does."""
    error = refusal(engine, module)
    assert error is None or 0 <= error.offset <= len(module)
    ours = str(error or "")
    assert bool(ours) == bool(theirs), f"farcall: {ours}; wasmtime: {theirs}; {module.hex()}"


def test_what_wasmtime_does_not_have_is_no_difference(comparable_engine, oracle):
    """An import of a function of exactly its type, and the first version of exception handling."""
    types = b"\1\4\1\x60\0\0"
    exact_import = HEADER + types + b"\2\7\1\1m\1f\x20\0"
    legacy_try = HEADER + types + b"\3\2\1\0\x0a\7\1\5\0\x06\x40\x0b\x0b"
    modules = [exact_import, legacy_try]
    refusals = oracle.refusals(modules)
    for module, theirs in zip(modules, refusals, strict=True):
        assert theirs
        compare_verdicts(comparable_engine, module, theirs)


def refusal(engine, module):
    """The error that loading a module raises, or None."""
    try:
        engine.load_module(module)
    except ModuleError as error:
        return error
    return None


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1))
def test_truncated_modules_are_malformed(engine, seed):
    module = generate(random.Random(seed), 1, 20).module
    for length in range(8, len(module)):
        if not is_cut_between_sections(module, length):
            error = refusal(engine, module[:length])
            assert isinstance(error, MalformedModuleError), length
            assert error.offset <= length


def is_cut_between_sections(module, length):
    """Whether a section begins at `length`: what is before it may be well-formed."""
    at = 8
    while at < length:
        at += 1
        size, shift = 0, 0
        while True:
            byte = module[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
    return at == length
