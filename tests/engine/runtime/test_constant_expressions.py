"""Constant expressions with arithmetic, wherever they stand (section 3.3.13 of version 3.0)."""

from __future__ import annotations

import pytest

from farcall.engine import Trap, TrapKind

MOST_32, MOST_64 = 2**31 - 1, 2**63 - 1


@pytest.mark.parametrize(
    ("type", "expression", "value"),
    [
        ("i32", "(i32.add (i32.const 2147483647) (i32.const 1))", -MOST_32 - 1),
        ("i32", "(i32.sub (i32.const 1) (i32.const 3))", -2),
        ("i32", "(i32.mul (i32.const 0x10001) (i32.const 0x10001))", 0x20001),
        ("i64", "(i64.add (i64.const 9223372036854775807) (i64.const 1))", -MOST_64 - 1),
        ("i64", "(i64.sub (i64.const 1) (i64.const 3))", -2),
        ("i64", "(i64.mul (i64.const -3) (i64.const 5))", -15),
        ("i32", "(i32.sub (i32.mul (i32.const 7) (i32.const 6)) (i32.add (i32.const 1) (i32.const 1)))", 40),
        ("i32", "(i32.add (global.get $imported) (global.get $before))", 107),
    ],
)
def test_globals(make, type, expression, value):
    provider = make('(module (global (export "g") i32 (i32.const 100)))')
    instance = make(
        f"""(module
        (import "m" "g" (global $imported i32))
        (global $before i32 (i32.const 7))
        (global $it (export "g") {type} {expression})
        (func (export "f") (result {type}) (global.get $it)))""",
        {"m": provider},
    )
    assert instance.global_("g").value == value
    assert instance.exports.f() == value


def test_offsets_of_segments(make):
    instance = make(
        """(module
        (memory (export "m") 1) (table (export "t") 4 funcref) (global $base i32 (i32.const 20))
        (data (offset (i32.sub (i32.mul (global.get $base) (i32.const 3)) (i32.const 1))) "xyz")
        (elem (offset (i32.add (i32.const 1) (i32.const 2))) func $f)
        (func $f))"""
    )
    assert instance.memory("m")[58:63] == b"\0xyz\0"
    assert [instance.table("t").get(index) is None for index in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("segment", "kind"),
    [
        ('(data (i32.sub (i32.const 0) (i32.const 1)) "")', TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS),
        ('(data (i32.mul (i32.const 65536) (i32.const 1)) "a")', TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS),
        ("(elem (i32.add (i32.const 1) (i32.const 1)) func $f)", TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS),
    ],
)
def test_an_offset_is_unsigned_and_checked(make, segment, kind):
    with pytest.raises(Trap) as trap:
        make(f"(module (memory 1) (table 2 funcref) (func $f) {segment})")
    assert trap.value.kind is kind
