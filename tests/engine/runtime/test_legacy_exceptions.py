"""The first version of exception handling: try, catch, catch_all, delegate, rethrow."""

from __future__ import annotations

import pytest

from farcall.engine import InvalidModuleError, MalformedModuleError, Trap, WasmException
from tests.engine.guests import wasm

CATCHING = """(module (tag $a (export "a") (param i64)) (tag $b (param i32 i64))
  (func $throw (param i64)
    (if (i64.eq (local.get 0) (i64.const 1)) (then (throw $a (i64.const 100))))
    (if (i64.eq (local.get 0) (i64.const 2)) (then (throw $b (i32.const 5) (i64.const 200))))
    (if (i64.eq (local.get 0) (i64.const 3)) (then unreachable)))
  (func (export "catch") (param i64) (result i64) (local i64)
    try (result i64)
      (local.set 1 (i64.const 7))
      (call $throw (local.get 0))
      (i64.const 0)
    catch $a
      (i64.add (local.get 1))
    catch $b
      (local.set 1)
      (drop)
      (local.get 1)
    end)
  (func (export "all") (param i64) (result i64)
    try (result i64) (call $throw (local.get 0)) (i64.const 0) catch_all (i64.const -1) end)
  (func (export "again") (param i64) (result i64)
    try (result i64)
      try (result i64)
        (call $throw (local.get 0)) (i64.const 0)
      catch $a
        try (result i64) (throw $b (i32.const 1) (i64.const 2)) catch $b rethrow 1 end
        (i64.add)
      catch_all
        rethrow 0
      end
    catch $a (i64.add (i64.const 1))
    end)
  (func (export "delegate") (param i64) (result i64)
    try $outer (result i64)
      try (result i64)
        try (call $throw (local.get 0)) delegate $outer
        (i64.const 0)
      catch_all
        (i64.const -2)
      end
    catch $a
    end)
  (func (export "loop") (param i64) (result i64) (local i64)
    (loop $next
      try (throw $a (local.get 0))
      catch $a (local.set 1 (i64.add (local.get 1))) (br_if $next (i64.ne
        (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))
      end)
    (local.get 1))
  (func (export "uncaught") (result i64) (local i64)
    (block $out try (br $out) catch_all end)
    (throw $a (i64.const 9))))"""


@pytest.fixture
def catching(make):
    return make(CATCHING).exports


def test_the_part_for_the_tag_is_taken(catching):
    assert [catching.catch(value) for value in (0, 1, 2)] == [0, 107, 200]
    with pytest.raises(Trap, match="unreachable"):
        catching.catch(3)


def test_catch_all_takes_any_but_no_trap(catching):
    assert [catching["all"](value) for value in (0, 1, 2)] == [0, -1, -1]
    with pytest.raises(Trap, match="unreachable"):
        catching["all"](3)


def test_what_is_caught_is_thrown_again(catching):
    assert [catching.again(value) for value in (0, 1)] == [0, 101]
    with pytest.raises(WasmException) as raised:
        catching.again(2)
    assert raised.value.values == (5, 200)


def test_delegation_skips_the_handlers_between(catching):
    assert [catching.delegate(value) for value in (0, 1)] == [0, 100]
    with pytest.raises(WasmException):
        catching.delegate(2)


def test_loops_and_branches_take_their_handlers_down(catching, make):
    assert catching.loop(100_000) == 100_000 * 100_001 // 2
    with pytest.raises(WasmException) as raised:
        catching.uncaught()
    assert raised.value.values == (9,)


def test_what_is_not_thrown_again_is_freed_at_once(make):
    instance = make(CATCHING)
    instance.exports.loop(100_000)
    assert instance.engine.group.exceptions.used == 0


def test_a_try_without_parts_is_a_block(make):
    instance = make("""(module (tag $e)
        (func (export "go") (result i32) try (result i32) (i32.const 3) end)
        (func (export "throw") try (throw $e) end))""")
    assert instance.exports.go() == 3
    with pytest.raises(WasmException):
        instance.exports.throw()


@pytest.mark.parametrize(
    "code",
    [
        "0700 0b",
        "19 0b",
        "1800 0b",
        "0240 0700 0b 0b",
        "0640 19 0700 0b 0b",
        "0640 19 19 0b 0b",
        "0640 0700 1800 0b",
    ],
)
def test_parts_outside_of_a_try_are_malformed(engine, code):
    body = bytes.fromhex(code)
    module = bytearray(wasm("(module (tag) (func (nop)))"))
    assert module.endswith(b"\x0a\x05\x01\x03\x00\x01\x0b")
    module[-6:] = bytes([len(body) + 3, 1, len(body) + 1, 0]) + body
    with pytest.raises(MalformedModuleError, match="END opcode expected, found"):
        engine.load_module(bytes(module))


def test_rethrow_needs_a_part_that_catches(engine):
    with pytest.raises(InvalidModuleError, match="invalid rethrow label"):
        engine.load_module(wasm("(module (func try rethrow 0 catch_all end))"))
