"""Host values and stored host functions: kept as long as a table or global holds them, and not much longer."""

from __future__ import annotations

import gc
import weakref

import pytest

from farcall.engine import EXTERNREF, FUNCREF, I32, FunctionType, GlobalType, Limits, TableType
from tests.engine.guests import Background

GUEST = """(module (table (export "t") 8 externref) (table $f (export "f") 8 funcref)
  (global $g (export "g") (mut externref) (ref.null extern))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "put") (param i32 externref) (table.set 0 (local.get 0) (local.get 1)))
  (func (export "put function") (param i32 funcref) (table.set $f (local.get 0) (local.get 1)))
  (func (export "set") (param externref) (global.set $g (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect $f (result i32) (local.get 0))))"""


class Value:
    """Something that can be watched."""


def churn(guest, count: int = 5000) -> None:
    for _ in range(count):
        value = Value()
        assert guest.exports.same(value) is value


def test_values_that_nothing_holds_are_let_go(make):
    guest = make(GUEST)
    watches = []
    for _ in range(20_000):
        value = Value()
        watches.append(weakref.ref(value))
        assert guest.exports.same(value) is value
    del value
    assert sum(watch() is not None for watch in watches) <= 2048
    assert len(guest.store.references._objects) <= 4096


def test_values_that_are_held_stay_and_keep_their_identity(make, store):
    guest = make(GUEST)
    importer = make(
        '(module (import "g" "g" (global $g (mut externref))) (func (export "get")'
        " (result externref) (global.get $g)))",
        {"g": guest},
    )
    constant = store.global_(GlobalType(EXTERNREF, False), Value())
    copier = make(
        '(module (import "" "c" (global $c externref)) (global $own externref (global.get $c))'
        ' (func (export "get") (result externref) (global.get $own)))',
        {"": {"c": constant}},
    )
    table = store.table(TableType(EXTERNREF, Limits(1)))
    values = [Value() for _ in range(3)]
    guest.exports.put(3, values[0])
    guest.exports.set(values[1])
    table[0] = values[2]
    held = constant.value
    addresses = [id(value) for value in (*values, held)]
    del values, held
    churn(guest)
    gc.collect()
    found = [guest.table("t")[3], importer.exports["get"](), table[0], copier.exports["get"]()]
    assert all(isinstance(value, Value) for value in found)
    assert [id(value) for value in found] == addresses
    assert guest.global_("g").value is found[1]


def test_stored_host_functions(make, store):
    guest = make(GUEST)
    kept = store.host_function(FunctionType((), (I32,)), lambda: 42)
    guest.exports["put function"](0, kept)
    watches = []
    for number in range(3000):
        function = store.host_function(FunctionType((), (I32,)), lambda number=number: number)
        watches.append(weakref.ref(function))
        guest.exports["put function"](1, function)
        assert guest.exports.call(1) == number
    del function, kept
    gc.collect()
    assert guest.exports.call(0) == 42
    assert guest.exports.call(1) == 2999
    assert sum(watch() is not None for watch in watches) < 2500


def test_while_instances_are_in_use(make, store):
    """Then nothing is taken back: a frame may hold what no table does."""
    guest = make(GUEST)
    other = make(GUEST)

    def host(value):
        churn(other, 3000)
        return value

    function = store.host_function(FunctionType((EXTERNREF,), (EXTERNREF,)), host)
    outer = make(
        """(module (import "" "h" (func $h (param externref) (result externref)))
        (func (export "go") (param externref externref) (result externref externref)
          (drop (call $h (local.get 1))) (local.get 0) (local.get 1)))""",
        {"": {"h": function}},
    )
    first, second = Value(), Value()
    assert outer.exports.go(first, second) == (first, second)
    churn(guest)


def test_from_many_threads(make):
    guests = [make(GUEST) for _ in range(4)]

    def work(guest) -> None:
        kept = Value()
        guest.exports.put(0, kept)
        for _ in range(3000):
            value = Value()
            assert guest.exports.same(value) is value
            assert guest.table("t")[0] is kept

    for thread in [Background(lambda guest=guest: work(guest)) for guest in guests for _ in range(1)]:
        thread.value(120)


@pytest.mark.parametrize("kind", [EXTERNREF, FUNCREF])
def test_an_embedders_object_is_not_asked_for_its_attributes(make, kind):
    """It may have an `owner` of its own."""

    class Strange:
        @property
        def owner(self):
            raise AssertionError("nobody's business")

    guest = make(GUEST)
    if kind is EXTERNREF:
        strange = Strange()
        assert guest.exports.same(strange) is strange
    else:
        from farcall.engine import ArgumentError

        with pytest.raises(ArgumentError):
            guest.exports["put function"](0, Strange())
