"""Which functions are certain to end soon: nothing else may be called on a server's event loop."""

import pytest
from wasmtime import wat2wasm

from farcall.engine.binary.bounded_functions import INSTRUCTION_BUDGET, is_bounded
from farcall.engine.binary.decoder import decode_module

BOUNDED = {
    "arithmetic": "(func (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))",
    "division that may trap": "(func (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 0)))",
    "branches forward": "(func (param i32) (block (br_if 0 (local.get 0)) (br_table 0 0 (local.get 0))))",
    "if and else": "(func (param i32) (if (local.get 0) (then (drop (i32.const 1))) (else (nop))))",
    "loads and stores": "(memory 1) (func (i32.store (i32.const 0) (i32.load8_u (i32.const 5))))",
    "globals": "(global $g (mut f64) (f64.const 1)) (func (global.set $g (f64.sqrt (global.get $g))))",
    "tables": "(table $t 1 funcref) (func (table.set $t (i32.const 0) (table.get $t (i32.const 0))))",
    "atomic accesses": "(memory 1) (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) (atomic.fence))",
    "calls of such functions": "(func (call $f) (call $f)) (func $f (nop))",
}

NOT_BOUNDED = {
    "a loop": "(func (loop (br 0)))",
    "a loop that never repeats": "(func (loop))",
    "a loop in a callee": "(func (call $f)) (func $f (loop (br 0)))",
    "recursion": "(func $f (call $f))",
    "mutual recursion": "(func $f (call $g)) (func $g (call $f))",
    "an indirect call": "(table 1 funcref) (func (call_indirect (i32.const 0)))",
    "filling a memory": "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)))",
    "copying a memory": "(memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 9)))",
    "growing a memory": "(memory 1) (func (drop (memory.grow (i32.const 1))))",
    "growing a table": "(table $t 1 funcref) (func (drop (table.grow $t (ref.null func) (i32.const 1))))",
    "filling a table": "(table $t 1 funcref) (func (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)))",
    "waiting": "(memory 1 1 shared)"
    " (func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))",
    "notifying": "(memory 1 1 shared) (func (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))",
    "very many instructions": f"(func {'(nop)' * INSTRUCTION_BUDGET})",
    "very many locals": f"(func (local {'i32 ' * (INSTRUCTION_BUDGET + 1)}))",
    "calls that multiply": "".join(
        f"(func $f{n} (call $f{n + 1}) (call $f{n + 1}))" for n in range(20)
    ) + "(func $f20 (nop))",
}  # fmt: skip


def first_function(text):
    return decode_module(bytes(wat2wasm(f"(module {text})")))


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded(name):
    assert is_bounded(first_function(BOUNDED[name]), 0)


@pytest.mark.parametrize("name", NOT_BOUNDED)
def test_not_bounded(name):
    assert not is_bounded(first_function(NOT_BOUNDED[name]), 0)


def test_nothing_is_known_of_imports():
    module = first_function('(import "m" "f" (func $f)) (func (call $f))')
    assert not is_bounded(module, 0)
    assert not is_bounded(module, 1)
