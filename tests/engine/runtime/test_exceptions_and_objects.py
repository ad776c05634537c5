"""Exceptions that carry references to objects, and objects that hold references to exceptions: each keeps the other."""

from __future__ import annotations

import pytest

from farcall.engine import ArgumentError, FunctionType, StructReference, TagType, WasmException
from farcall.engine.structure.types import reference_to
from tests.engine.guests import wasm

GUEST = """(module
  (import "env" "host" (func $host))
  (type $node (struct (field $next (ref null $node)) (field $value i32)))
  (type $box (struct (field $held (mut exnref))))
  (type $boxes (array (mut exnref)))
  (tag $e (export "e") (param (ref null $node) i32))
  (tag $number (param i64))
  (global $kept (mut exnref) (ref.null exn))
  (global $box (mut (ref null $box)) (ref.null $box))
  (global $boxes (mut (ref null $boxes)) (ref.null $boxes))
  (func $list (param $count i32) (result (ref null $node)) (local $list (ref null $node))
    (loop $again
      (local.set $list (struct.new $node (local.get $list) (local.get $count)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $list))
  (func $sum (export "sum") (param $list (ref null $node)) (result i32) (local $sum i32)
    (block $end (loop $again
      (br_if $end (ref.is_null (local.get $list)))
      (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $list))))
      (local.set $list (struct.get $node $next (local.get $list)))
      (br $again)))
    (local.get $sum))
  (func $allocate (export "allocate") (param $count i32)
    (loop $again
      (drop (struct.new $node (ref.null $node) (local.get $count)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func $throw (export "throw") (param $length i32) (throw $e (call $list (local.get $length)) (i32.const 1)))
  (func $caught (param $length i32) (result exnref)
    (block $out (result (ref null $node) i32 exnref)
      (try_table (catch_ref $e $out) (call $throw (local.get $length))) unreachable)
    (return))
  (func $sum_of (param exnref) (result i32)
    (block $out (result (ref null $node) i32)
      (try_table (catch $e $out) (throw_ref (local.get 0))) unreachable)
    (drop) (call $sum))
  (func (export "keep") (param i32) (global.set $kept (call $caught (local.get 0))))
  (func (export "kept") (result i32) (call $sum_of (global.get $kept)))
  (func (export "on_the_stack") (param $length i32) (param $garbage i32) (result i32) (local $mine exnref)
    (local.set $mine (call $caught (local.get $length)))
    (call $allocate (local.get $garbage))
    (call $sum_of (local.get $mine)))
  (func (export "in_a_local") (param $length i32) (param $garbage i32) (result i32) (local $mine (ref null $node))
    (block $out (result i64)
      (try_table (catch $number $out)
        (local.set $mine (call $list (local.get $length)))
        (call $allocate (local.get $garbage))
        (throw $number (i64.const 0)))
      unreachable)
    (drop)
    (call $allocate (local.get $garbage))
    (call $sum (local.get $mine)))
  (func $number_of (param exnref) (result i64)
    (block $out (result i64) (try_table (catch $number $out) (throw_ref (local.get 0))) unreachable))
  (func $numbered (param i64) (result exnref)
    (block $out (result i64 exnref)
      (try_table (catch_ref $number $out) (throw $number (local.get 0))) unreachable)
    (return))
  (func (export "box") (param i64) (global.set $box (struct.new $box (call $numbered (local.get 0)))))
  (func (export "boxed") (result i64) (call $number_of (struct.get $box $held (global.get $box))))
  (func (export "box_many") (param $count i32)
    (global.set $boxes (array.new_default $boxes (local.get $count)))
    (loop $again
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (array.set $boxes (global.get $boxes) (local.get $count) (call $numbered (i64.extend_i32_u (local.get $count))))
      (br_if $again (local.get $count))))
  (func (export "boxed_sum") (result i64) (local $index i32) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum)
        (call $number_of (array.get $boxes (global.get $boxes) (local.get $index)))))
      (br_if $again (i32.lt_u
        (local.tee $index (i32.add (local.get $index) (i32.const 1))) (array.len (global.get $boxes)))))
    (local.get $sum))
  (func (export "garbage") (param $count i64) (result i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $number_of (call $numbered (local.get $count)))))
      (br_if $again (i64.ne (local.tee $count (i64.sub (local.get $count) (i64.const 1))) (i64.const 0))))
    (local.get $sum))
  (func (export "garbage_with_objects") (param $count i32)
    (loop $again
      (drop (call $caught (i32.const 100)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func (export "sum_from_host") (result i32)
    (block $out (result (ref null $node) i32)
      (try_table (catch $e $out) (call $host)) unreachable)
    (drop) (call $sum)))"""

LENGTH = 1000
SUM = LENGTH * (LENGTH + 1) // 2
ALLOCATIONS = 500_000
"""Structures of 32 bytes: enough for several collections."""
EXCEPTIONS = 30_000
"""Enough for several searches of the arena."""


@pytest.fixture
def make(store):
    def instantiate(host=lambda: None):
        function = store.host_function(FunctionType((), ()), host)
        return store.instantiate(store.engine.load_module(wasm(GUEST)), {"env": {"host": function}})

    return instantiate


def collections(instance):
    return instance.engine.group.heap.collections


def test_a_kept_exception_keeps_the_objects_that_it_carries(make):
    instance = make()
    instance.exports.keep(LENGTH)
    instance.exports.allocate(ALLOCATIONS)
    assert collections(instance) > 1
    assert instance.exports.kept() == SUM


def test_an_exception_that_only_a_frame_holds_keeps_its_objects(make):
    instance = make()
    assert instance.exports.on_the_stack(LENGTH, ALLOCATIONS) == SUM
    assert collections(instance) > 1


def test_objects_in_locals_that_a_block_that_catches_sets_are_kept(make):
    instance = make()
    assert instance.exports.in_a_local(LENGTH, ALLOCATIONS) == SUM
    assert collections(instance) > 1


def test_an_object_keeps_the_exception_that_it_holds(make):
    instance = make()
    instance.exports.box(1234)
    assert instance.exports.garbage(EXCEPTIONS) == EXCEPTIONS * (EXCEPTIONS + 1) // 2
    assert instance.exports.boxed() == 1234


def test_an_array_keeps_however_many_exceptions_it_holds(make):
    instance = make()
    count = 5000
    instance.exports.box_many(count)
    instance.exports.garbage(EXCEPTIONS)
    assert instance.exports.boxed_sum() == count * (count - 1) // 2


def test_exceptions_that_nothing_refers_to_keep_no_objects_for_long(make):
    instance = make()
    instance.exports.garbage_with_objects(EXCEPTIONS)  # 96 MB of lists
    assert instance.engine.group.heap.bytes < 64 << 20


def test_an_exception_takes_an_object_to_python_and_back(make):
    def throw():
        raise WasmException(instance.tag("e"), (held[0], 2))

    instance = make(throw)
    with pytest.raises(WasmException) as caught:
        instance.exports.throw(LENGTH)
    held = list(caught.value.values)
    assert isinstance(held[0], StructReference)
    instance.exports.allocate(ALLOCATIONS)
    assert instance.exports.sum(held[0]) == SUM
    assert instance.exports.sum_from_host() == SUM


def test_only_exceptions_are_taken_for_references_to_them(make, store):
    module = wasm(
        """(module (func (export "any") (param exnref)) (func (export "some") (param (ref exn))))"""
    )
    instance = store.instantiate(store.engine.load_module(module))
    tag = store.tag(TagType(FunctionType((), ())))
    instance.exports.any(WasmException(tag, ()))
    instance.exports.some(WasmException(tag, ()))
    instance.exports.any(None)
    for value in (1, object()):
        with pytest.raises(ArgumentError):
            instance.exports.any(value)
    with pytest.raises(ArgumentError):
        instance.exports.some(None)


def test_exceptions_are_of_no_other_hierarchy():
    assert reference_to("noexn", nullable=True).top == reference_to("exn", nullable=True).top == "exn"
