"""The comparison of modules that nobody made for a test: what is seen of them, and that a difference is found."""

from __future__ import annotations

import dataclasses
import random

import pytest
import wasmtime

from farcall.engine.errors import EngineBug

from . import fuzzing
from .exploration import difference, explore
from .explorers import explore_on_farcall
from .fuzzing import DAMAGED_EACH, Counts, Fuzzer

MODULE = bytes(
    wasmtime.wat2wasm("""(module
      (import "a" "log" (func $log (param i32 f64)))
      (import "a" "get" (func $get (param externref) (result i64 funcref)))
      (import "b" "g" (global $imported f32)) (import "b" "r" (global $reference externref))
      (import "b" "t" (table 2 funcref))
      (memory 1 1 shared) (global $own (mut i64) (i64.const 5))
      (func (export "f") (param i32 i64 f32 f64 externref) (result f32 i64)
        (i32.store (i32.and (local.get 0) (i32.const 0xffc)) (local.get 0))
        (call $log (local.get 0) (f64.const 1.5))
        (global.set $own (i64.add (global.get $own) (local.get 1)))
        (call $get (global.get $reference)) (drop) (drop)
        (f32.const 2) (i64.const 7))
      (func (export "trap") (param i32) (call_indirect (local.get 0)))
      (func (export "deep") (call 4)))""")
)


def test_the_same_is_seen_of_both(engine, oracle):
    exploration = explore(random.Random(1), MODULE)
    assert exploration.memories == ("observed memory 0",)
    assert exploration.globals == ("observed global 0", "observed global 2")
    theirs = oracle.explore(exploration)
    ours = explore_on_farcall(engine, exploration, ensure_termination=True)
    assert difference(ours, theirs, exploration) == ""
    assert ours.outcomes[:6] == theirs.outcomes[:6]
    assert ours.outcomes[:3] == ((), *[(("f32", 0x40000000), ("i64", 7))] * 2)
    assert [title for title, _ in ours.imported] == ["log", "get"] * 2
    assert ours.imported[1][1] == (("ref", 0),)
    assert len(ours.memories[0]) == 65536
    assert any(ours.memories[0])
    assert ours.outcomes[-1] == "call stack exhausted"


def test_a_difference_in_anything_is_found(engine, oracle):
    exploration = explore(random.Random(2), MODULE)
    exploration = dataclasses.replace(
        exploration, calls=tuple(call for call in exploration.calls if call[0] != "deep")
    )
    seen = oracle.explore(exploration)
    assert difference(seen, seen, exploration) == ""
    for other, where in (
        (dataclasses.replace(seen, outcomes=("unreachable", *seen.outcomes[1:])), "instantiation"),
        (dataclasses.replace(seen, outcomes=(*seen.outcomes[:-1], ())), "trap"),
        (dataclasses.replace(seen, outcomes=seen.outcomes[:-1]), "calls"),
        (dataclasses.replace(seen, imported=seen.imported[:-1]), "imported functions"),
        (dataclasses.replace(seen, memories=(b"",)), "memories"),
        (dataclasses.replace(seen, globals=(0, 0)), "observed global 2"),
    ):
        assert where in difference(seen, other, exploration)


def test_instantiation_that_traps_on_both_is_no_difference(engine, oracle):
    module = bytes(
        wasmtime.wat2wasm('(module (memory 1) (data (i32.const 65536) "x") (global i32 (i32.const 1)))')
    )
    exploration = explore(random.Random(3), module)
    theirs = oracle.explore(exploration)
    ours = explore_on_farcall(engine, exploration, ensure_termination=True)
    assert ours.outcomes == theirs.outcomes == ("out of bounds memory access",)
    assert difference(ours, theirs, exploration) == ""


def test_a_round_of_fuzzing():
    with Fuzzer(None) as fuzzer:
        counts = fuzzer.run(1) + fuzzer.run(2)
    assert (counts.programs, counts.damaged, counts.differences) == (2, 2 * DAMAGED_EACH, [])
    assert 0 < counts.valid < counts.damaged
    assert (counts + Counts(differences=["x"])).differences == ["x"]


@pytest.fixture
def imitated_wasm_opt(tmp_path):
    """A `wasm-opt` that always makes the same module, and notes what it was asked for."""
    (tmp_path / "module.wasm").write_bytes(MODULE)
    path = tmp_path / "wasm-opt"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nwhile [ "$1" != -o ]; do shift; done\n'
        f'cp {tmp_path}/module.wasm "$2"\n'
    )
    path.chmod(0o755)
    return path


def test_modules_of_binaryens_are_run_or_else_only_compiled(monkeypatch, imitated_wasm_opt):
    with Fuzzer(imitated_wasm_opt) as fuzzer:
        counts = [fuzzer.run(seed) for seed in range(10)]
        asked = (imitated_wasm_opt.parent / "asked").read_text().splitlines()
        unseen = ["--enable-gc" in line for line in asked]
        assert {*unseen} == {False, True}
        assert [(each.generated, each.differences) for each in counts] == [(1, [])] * 10

        monkeypatch.setattr(fuzzing, "explore", failing)
        assert [bool(fuzzer.run(seed).differences) for seed in range(10)] == [not each for each in unseen]
        for engine in fuzzer.engines:
            monkeypatch.setattr(engine, "compile_module", failing)
        assert all(
            "compiling raises EngineBug" in fuzzer.run(seed).differences[-1]
            for seed in range(10)
            if unseen[seed]
        )


def failing(*_, **__):
    raise EngineBug("on purpose")
