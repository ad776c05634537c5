"""Many calls in one entry: the same outcomes as one by one, whatever each of them does."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine import ArgumentError, FunctionType, Stoppable, TerminatedError, Trap, TrapKind
from farcall.engine.structure.types import F32, F64, I32, I64
from tests.engine.guests import wasm

MIXED = """
(module
  (func (export "mixed") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "divide") (param i32 i32) (result i32 i64)
    (i32.div_s (local.get 0) (local.get 1)) (i64.const 7))
  (func (export "wide") (param i32) (result i32 i32 i32)
    (local.get 0) (i32.add (local.get 0) (i32.const 1)) (i32.add (local.get 0) (i32.const 2)))
  (func (export "nothing"))
  (func (export "sink") (param i64 f64 i32))
  (func (export "source") (result i64) (i64.const -3))
  (func (export "null") (param externref) (result i32) (ref.is_null (local.get 0))))
"""

i32s = st.integers(-(2**31), 2**31 - 1)
i64s = st.integers(-(2**63), 2**63 - 1)
f32s = st.floats(width=32)
f64s = st.floats()


@pytest.fixture(scope="module")
def guest(store_of_module):
    return store_of_module.instantiate(store_of_module.engine.load_module(wasm(MIXED)))


@pytest.fixture(scope="module")
def store_of_module():
    from farcall.engine import Engine, Store

    with Engine() as engine, Store(engine) as store:
        yield store


def bits(values):
    """Floats that can be compared, NaN included."""
    return [struct.pack("<d", value) if isinstance(value, float) else value for value in values]


@given(st.lists(st.tuples(i32s, i64s, f32s, f64s)))
def test_rows_and_columns_give_what_single_calls_give(guest, rows):
    mixed = guest.function("mixed")
    single = [mixed(*row) for row in rows]

    outcomes = mixed.call_many(rows)
    columns, failures = mixed.call_columns(
        [[row[position] for row in rows] for position in range(4)], len(rows)
    )

    assert [bits(outcome) for outcome in outcomes] == [bits(outcome) for outcome in single]
    assert [bits(outcome) for outcome in zip(*columns, strict=True)] == [bits(outcome) for outcome in single]
    assert failures == {}


def test_calls_that_trap_keep_no_other_from_running(guest):
    divide = guest.function("divide")
    rows = [(6, 3), (1, 0), (-(2**31), -1), (9, 3), (0, 0)]

    outcomes = divide.call_many(rows)
    columns, failures = divide.call_columns([*zip(*rows, strict=True)], len(rows))

    assert outcomes[0] == (2, 7)
    assert outcomes[3] == (3, 7)
    kinds = [TrapKind.INTEGER_DIVIDE_BY_ZERO, TrapKind.INTEGER_OVERFLOW, TrapKind.INTEGER_DIVIDE_BY_ZERO]
    assert [outcomes[position].kind for position in (1, 2, 4)] == kinds
    assert [outcomes[1].backtrace[0].function_name] == ["divide"]
    assert columns == [[2, 0, 0, 3, 0], [7, 0, 0, 7, 0]]
    assert {position: error.kind for position, error in failures.items()} == dict(
        zip((1, 2, 4), kinds, strict=True)
    )


def test_more_results_than_parameters_and_the_other_way_round(guest):
    assert guest.function("wide").call_many([(1,), (10,)]) == [(1, 2, 3), (10, 11, 12)]
    assert guest.function("wide").call_columns([[1, 10]], 2) == ([[1, 10], [2, 11], [3, 12]], {})
    assert guest.function("sink").call_many([(1, 2.0, 3)] * 3) == [()] * 3
    assert guest.function("sink").call_columns([[1], [2.0], [3]], 1) == ([], {})
    assert guest.function("source").call_many([()] * 3) == [(-3,)] * 3
    assert guest.function("source").call_columns([], 3) == ([[-3, -3, -3]], {})
    assert guest.function("nothing").call_many([()] * 3) == [()] * 3
    assert guest.function("nothing").call_columns([], 0) == ([], {})


def test_rows_that_do_not_fit_are_errors_of_their_own(guest):
    outcomes = guest.function("wide").call_many([(1,), (2**31,), (), ("1",), None, (True,), (1, 2)])

    assert outcomes[0] == (1, 2, 3)
    assert outcomes[5] == (1, 2, 3)
    assert [type(outcomes[position]) for position in (1, 2, 3, 4, 6)] == [ArgumentError] * 5
    assert outcomes[1].index == 0
    assert guest.function("nothing").call_many([(), (1,), []])[::2] == [(), ()]


@pytest.mark.parametrize(
    ("columns", "count", "message"),
    [
        ([[1], [2]], 1, "1 columns of 1 values are wanted"),
        ([[1, 2]], 1, "1 columns of 1 values are wanted"),
        ([[1, "x"]], 2, "argument 0: i32 wants an int"),
        ([[2**31]], 1, "argument 0: i32 wants an int"),
    ],
)
def test_columns_that_do_not_fit_are_refused(guest, columns, count, message):
    with pytest.raises(ArgumentError, match=message):
        guest.function("wide").call_columns(columns, count)


def test_columns_carry_numbers_only(guest):
    with pytest.raises(ArgumentError, match="columns carry numbers"):
        guest.function("null").call_columns([[None]], 1)
    assert guest.function("null").call_many([(None,), ("x",)]) == [(1,), (0,)]


@pytest.mark.parametrize("value", [math.inf, -math.inf, 3.5e38, -1e300])
def test_an_f32_that_is_too_large_is_refused_and_an_infinity_is_not(guest, value):
    (outcome,) = guest.function("mixed").call_many([(1, 2, value, 4.0)])

    if math.isinf(value):
        assert outcome == (4.0, value, 2, 1)
    else:
        assert isinstance(outcome, ArgumentError)
        with pytest.raises(ArgumentError, match="argument 2"):
            guest.function("mixed").call_columns([[1], [2], [value], [4.0]], 1)


def test_a_host_function_that_calls_in_many_again(make, store):
    instances = []

    def again(number):
        if number == 3:
            raise KeyError(number)
        (inner,) = instances[0].function("twice").call_many([(number,)])
        return inner[0]

    host = store.host_function(FunctionType((I32,), (I32,)), again)
    instances.append(
        make(
            """(module (import "" "h" (func $h (param i32) (result i32)))
                 (func (export "twice") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
                 (func (export "go") (param i32) (result i32)
                   (i32.add (i32.const 100) (call $h (local.get 0)))))""",
            {"": {"h": host}},
        )
    )
    outcomes = instances[0].function("go").call_many([(1,), (2,), (3,), (4,)])

    assert outcomes[:2] + outcomes[3:] == [(102,), (104,), (108,)]
    assert isinstance(outcomes[2], KeyError)


def test_a_batch_that_stops_itself(make, store):
    """The call that asks for it ends, those before it have their results, those behind it never begin."""
    stoppable = Stoppable()
    begun = []

    def stop(number):
        begun.append(number)
        if number == 2:
            stoppable.terminate("enough")

    host = store.host_function(FunctionType((I32,), ()), stop)
    instance = make(
        """(module (import "" "h" (func $h (param i32)))
             (func (export "go") (param i32) (result i32) (call $h (local.get 0)) (loop (nop)) (local.get 0)))""",
        {"": {"h": host}},
    )
    outcomes = instance.function("go").call_many([(number,) for number in range(6)], stoppable)

    assert begun == [0, 1, 2]
    assert outcomes[:2] == [(0,), (1,)]
    assert outcomes[2] == (2,) or isinstance(outcomes[2], TerminatedError)
    assert all(isinstance(outcome, TerminatedError) for outcome in outcomes[3:])
    assert {outcome.reason for outcome in outcomes[3:]} == {"enough"}
    assert instance.function("go").call_many([(7,)]) == [(7,)]


def test_stack_exhaustion_in_the_middle(make):
    instance = make(
        """(module (func $f (export "f") (param i32) (result i32)
             (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
               (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))))"""
    )
    outcomes = instance.function("f").call_many([(5,), (-1,), (7,)])

    assert outcomes[0] == (5,)
    assert isinstance(outcomes[1], Trap)
    assert outcomes[1].kind is TrapKind.CALL_STACK_EXHAUSTED
    assert outcomes[2] == (7,)


def test_types_have_their_own_batches(make):
    instance = make(
        """(module (func (export "a") (param f32) (result f64) (f64.promote_f32 (local.get 0)))
             (func (export "b") (param f64 i64) (result i64) (local.get 1)))"""
    )
    assert instance.function("a").call_many([(0.5,), (0.25,)]) == [(0.5,), (0.25,)]
    assert instance.function("b").call_many([(0.5, 2**40)]) == [(2**40,)]
    assert instance.function("b").type == FunctionType((F64, I64), (I64,))
    assert instance.function("a").type == FunctionType((F32,), (F64,))
