"""Blocks, branches and values meet where the specification says, in shapes that compilers seldom write."""

from __future__ import annotations

import pytest

from farcall.engine import ExhaustionError, Trap


def test_br_table_hands_values_to_every_target(instantiate):
    instance = instantiate(
        """(module (func (export "f") (param i32) (result i32 i32)
          (block $a (result i32 i32)
            (block $b (result i32 i32)
              (block $c (result i32 i32)
                (br_table $c $b $c $a $b (i32.const 1) (i32.const 2) (local.get 0)))
              (i32.add) (i32.const 100))
            (i32.add) (i32.const 1000))))"""
    )
    assert [instance.exports.f(index) for index in range(-1, 5)] == [
        (3, 1000),
        (103, 1000),
        (3, 1000),
        (103, 1000),
        (1, 2),
        (3, 1000),
    ]


def test_br_table_with_many_equal_labels(instantiate):
    labels = " ".join("1" if index % 3 else "0" for index in range(5000))
    instance = instantiate(
        f"""(module (func (export "f") (param i32) (result i32)
          (block (result i32)
            (block (result i32) (br_table {labels} 1 (i32.const 7) (local.get 0)))
            (i32.add (i32.const 1)))))"""
    )
    assert [instance.exports.f(index) for index in (0, 1, 2, 3, 4998, 4999, 5000, -1)] == [
        8,
        7,
        7,
        8,
        8,
        7,
        7,
        7,
    ]


def test_loop_parameters_are_swapped_at_once(instantiate):
    """A phi node must not see the other's new value."""
    instance = instantiate(
        """(module (func (export "f") (param $n i32) (result i32 i32) (local $x i32) (local $y i32)
          (i32.const 1) (i32.const 2)
          (loop $l (param i32 i32) (result i32 i32)
            (local.set $y) (local.set $x)
            (local.get $y) (local.get $x)
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""
    )
    assert instance.exports.f(1) == (2, 1)
    assert instance.exports.f(2) == (1, 2)


def test_a_local_set_in_one_way_only_is_not_taken_for_known(instantiate):
    instance = instantiate(
        """(module (func (export "f") (param i32) (result i32) (local $x i32)
          (local.set $x (i32.const 1))
          (if (local.get 0) (then (local.set $x (i32.const 2))))
          (block
            (br_if 0 (i32.eq (local.get 0) (i32.const 5)))
            (local.set $x (i32.add (local.get $x) (i32.const 10))))
          (local.get $x)))"""
    )
    assert [instance.exports.f(argument) for argument in (0, 1, 5)] == [11, 12, 2]


def test_what_a_loop_changes_is_not_taken_for_known(instantiate):
    instance = instantiate(
        """(module (memory 1) (func (export "sum") (param $n i32) (result i32) (local $p i32) (local $sum i32)
          (local.set $p (i32.const 16))
          (i32.store (local.get $p) (i32.const 5))
          (loop $l
            (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $p))))
            (local.set $p (i32.add (local.get $p) (i32.const 4)))
            (i32.store (local.get $p) (local.get $n))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $sum)))"""
    )
    assert instance.exports.sum(4) == 5 + 4 + 3 + 2


def test_an_if_hands_its_parameters_to_both_arms(instantiate):
    instance = instantiate(
        """(module
          (func (export "one_arm") (param i32 i32) (result i32)
            (local.get 1)
            (if (param i32) (result i32) (local.get 0) (then (i32.const 1) (i32.add))))
          (func (export "comparison") (param i32) (result i32)
            (i32.lt_s (local.get 0) (i32.const 3))
            (if (param i32) (result i32) (local.get 0)
              (then (i32.const 10) (i32.add)) (else (i32.const 20) (i32.add)))))"""
    )
    assert [instance.exports.one_arm(argument, 5) for argument in (0, 1)] == [5, 6]
    assert [instance.exports.comparison(argument) for argument in (0, 1, 9)] == [21, 11, 10]


def test_code_that_control_never_comes_to(instantiate):
    instance = instantiate(
        """(module
          (func (export "after_branch") (param i32) (result i32)
            (block (result i32)
              (br 0 (i32.const 1))
              (block (loop (if (i32.const 1) (then (br 2 (i32.const 5))) (else (br 0)))))
              (i32.add) (br_table 0 0 0) (drop)))
          (func (export "block_without_end") (param i32) (result i32)
            (if (local.get 0) (then (return (i32.const 1))) (else (return (i32.const 2))))
            (unreachable))
          (func (export "endless_loop_inside") (param i32) (result i32)
            (if (local.get 0) (then (loop (br 0))))
            (i32.const 3))
          (func (export "both_arms_trap") (param i32) (result i64)
            (if (result i64) (local.get 0) (then (unreachable)) (else (unreachable)))))"""
    )
    assert instance.exports.after_branch(0) == 1
    assert [instance.exports.block_without_end(argument) for argument in (0, 1)] == [2, 1]
    assert instance.exports.endless_loop_inside(0) == 3
    for argument in (0, 1):
        with pytest.raises(Trap):
            instance.exports.both_arms_trap(argument)


def test_deep_nesting(instantiate):
    depth = 20_000
    instance = instantiate(
        f"""(module (func (export "f") (param i32) (result i32)
          {"block " * depth} local.get 0 br_if {depth - 1} {"end " * depth} i32.const 1))"""
    )
    assert [instance.exports.f(argument) for argument in (0, 1)] == [1, 1]


def test_branches_that_carry_too_much_are_refused(instantiate):
    """Two bytes of code carry a thousand values: what LLVM would make of it must not take all memory."""
    with pytest.raises(ExhaustionError, match="function 1 is too complex to compile"):
        instantiate(
            f"""(module (func) (func (export "f") (param i32) (result {"i32 " * 1000})
              {"(i32.const 1) " * 1000} {"local.get 0 br_if 0 " * 2001}))"""
        ).exports.f(0)


def test_many_locals(instantiate):
    """As many as a function may have, in one run: only those that the code mentions cost anything."""
    instance = instantiate(
        f"""(module (func (export "f") (param i64) (result i64)
          (local {"i64 " * 49_998} f64)
          (local.set 49998 (local.get 0))
          (i64.add (i64.add (local.get 49998) (local.get 3)) (i64.reinterpret_f64 (local.get 49999)))))"""
    )
    assert instance.exports.f(5) == 5


def test_many_locals_in_use(instantiate):
    count = 2000
    sets = " ".join(
        f"(local.set {index} (i64.add (local.get 0) (i64.const {index})))" for index in range(1, count)
    )
    gets = "".join(f"(i64.xor (local.get {index}) " for index in range(1, count))
    instance = instantiate(
        f"""(module (func (export "f") (param i64) (result i64) (local {"i64 " * (count - 1)})
          {sets} (if (i64.eqz (local.get 0)) (then (local.set 1 (i64.const 1))))
          {gets} (i64.const 0) {")" * (count - 1)}))"""
    )
    expected = 0
    for index in range(1, count):
        expected ^= 7 + index
    assert instance.exports.f(7) == expected


def test_many_parameters_and_results(instantiate):
    count = 1000
    types = " ".join(("i32", "i64", "f32", "f64")[index % 4] for index in range(count))
    instance = instantiate(
        f"""(module
          (type $t (func (param {types}) (result {types})))
          (table funcref (elem $identity))
          (func $identity (type $t) {" ".join(f"(local.get {index})" for index in range(count))})
          (func (export "direct") (type $t)
            {" ".join(f"(local.get {index})" for index in range(count))} (call $identity))
          (func (export "indirect") (type $t)
            {" ".join(f"(local.get {index})" for index in range(count))} (call_indirect (type $t) (i32.const 0))))"""
    )
    values = tuple(index if index % 4 < 2 else float(index) for index in range(count))
    assert instance.exports.direct(*values) == values
    assert instance.exports.indirect(*values) == values
