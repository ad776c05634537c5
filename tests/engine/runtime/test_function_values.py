"""Arguments and results: exact conversions, and refusals that say which argument, what it should be, and what it is."""

from __future__ import annotations

import math
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farcall.engine import (
    EXTERNREF,
    F32,
    I32,
    ArgumentError,
    Engine,
    ExportNotFoundError,
    FunctionType,
    Store,
)
from tests.engine.guests import wasm

IDENTITIES = (
    "(module"
    + "".join(
        f'(func (export "{kind}") (param {kind}) (result {kind}) (local.get 0))'
        for kind in ("i32", "i64", "f32", "f64", "externref", "funcref")
    )
    + """(func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "none")))"""
)


@pytest.fixture(scope="module")
def guest():
    with Engine() as engine, Store(engine) as store:
        yield store.instantiate(engine.load_module(wasm(IDENTITIES)))


class Whole:
    """An integer only by its `__index__`, as numpy's are."""

    def __index__(self) -> int:
        return 42


class Real:
    """A float only by its `__float__`."""

    def __float__(self) -> float:
        return 1.5


class Subclass(int):
    """An int, and more."""


@given(st.integers(-(2**31), 2**31 - 1))
def test_i32(guest, value):
    assert guest.exports.i32(value) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_i64(guest, value):
    assert guest.exports.i64(value) == value


@given(st.floats(width=64))
def test_f64(guest, value):
    result = guest.exports.f64(value)
    assert struct.pack("<d", result) == struct.pack("<d", value)


@given(st.floats(allow_nan=False))
def test_f32_is_the_nearest(guest, value):
    try:
        nearest = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        with pytest.raises(ArgumentError, match="a float in the range of f32"):
            guest.exports.f32(value)
        return
    result = guest.exports.f32(value)
    assert result == nearest
    assert math.copysign(1, result) == math.copysign(1, value)


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=50)
def test_bits(guest, bits):
    assert guest.function("i64").call_bits((bits,)) == (bits,)
    assert guest.function("f64").call_bits((bits,)) == (bits,)
    assert guest.function("f32").call_bits((bits,)) == (bits & 0xFFFFFFFF,)
    assert guest.function("i32").call_bits((bits,)) == (bits & 0xFFFFFFFF,)


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("i32", True, 1),
        ("i32", Whole(), 42),
        ("i64", Subclass(7), 7),
        ("f32", 3, 3.0),
        ("f64", Whole(), 42.0),
        ("f64", Real(), 1.5),
        ("f64", 2**53, 2.0**53),
        ("f32", math.inf, math.inf),
        ("f32", -0.0, -0.0),
        ("f32", 2.0**-150, 0.0),
    ],
)
def test_what_python_takes_for_a_number(guest, name, value, result):
    got = guest.function(name)(value)
    assert got == result
    assert type(got) is type(result)
    assert math.copysign(1, got) == math.copysign(1, result)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("i32", 2**31, "i32 wants an int from -2147483648 to 2147483647"),
        ("i32", -(2**31) - 1, "i32 wants an int"),
        ("i32", 10**100, "i32 wants an int"),
        ("i32", 1.0, "i32 wants an int"),
        ("i32", "1", "i32 wants an int"),
        ("i32", None, "i32 wants an int"),
        ("i64", 2**63, "i64 wants an int from -9223372036854775808 to 9223372036854775807"),
        ("i64", 1e3, "i64 wants an int"),
        ("f32", 1e39, "f32 wants a float in the range of f32"),
        ("f32", "x", "f32 wants a float"),
        ("f32", 1j, "f32 wants a float"),
        ("f64", 10**400, "f64 wants a float"),
        ("f64", None, "f64 wants a float"),
        ("f64", b"1", "f64 wants a float"),
        ("funcref", 5, "funcref wants funcref"),
        ("funcref", print, "funcref wants funcref"),
    ],
)
def test_what_is_refused(guest, name, value, wanted):
    function = guest.function(name)
    for call in (
        lambda: function(value),
        lambda: function.call((value,)),
        function.invocation((value,)).run,
        lambda: raise_first(function.call_many([(value,)])),
    ):
        with pytest.raises(ArgumentError) as raised:
            call()
        error = raised.value
        assert error.index == 0
        assert str(error).startswith(f"argument 0: {wanted}")
        assert error.wanted == name
        assert repr(value) in error.given
        assert type(value).__name__ in error.given


def raise_first(outcomes):
    raise outcomes[0]


def test_which_of_several(guest):
    function = guest.exports.all
    assert function(1, 2, 0.5, 4.0) == (4.0, 0.5, 2, 1)
    for position, arguments in enumerate([("x", 2, 3, 4), (1, "x", 3, 4), (1, 2, "x", 4), (1, 2, 3, "x")]):
        with pytest.raises(ArgumentError) as raised:
            function(*arguments)
        assert raised.value.index == position


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3), (1, 2, 3, 4, 5)])
def test_the_wrong_number(guest, arguments):
    for call in (
        lambda: guest.exports.all(*arguments),
        lambda: guest.exports.all.call(arguments),
        lambda: raise_first(guest.exports.all.call_many([arguments])),
    ):
        with pytest.raises(
            ArgumentError,
            match=rf"{len(arguments)} arguments given where 4 are wanted \(i32, i64, f32, f64\)",
        ) as raised:
            call()
        assert raised.value.index is None
    with pytest.raises(ArgumentError, match="slots"):
        guest.exports.all.call_bits(arguments)


def test_rows_that_are_none(guest):
    outcomes = guest.function("i32").call_many([(1,), 5, None, [2], "3", (3,)])
    assert [type(outcome) for outcome in outcomes] == [
        tuple,
        ArgumentError,
        ArgumentError,
        tuple,
        ArgumentError,
        tuple,
    ]
    assert "a sequence of arguments" in str(outcomes[1])


def test_results_by_number(guest):
    assert guest.exports.none() is None
    assert guest.exports.none.call(()) == ()
    assert guest.exports.i32(5) == 5
    assert guest.exports.i32.call((5,)) == (5,)
    assert guest.exports.none.call_many([(), ()]) == [(), ()]
    assert guest.exports.none.call_bits(()) == ()
    assert guest.function("none").call_many([]) == []


@pytest.mark.parametrize("value", [-1, 2**64, 10**30])
def test_bits_out_of_range(guest, value):
    with pytest.raises(ArgumentError, match="argument 0: a slot holds 0 to 18446744073709551615"):
        guest.function("i64").call_bits((value,))


@pytest.mark.parametrize("value", [1.0, "1", None])
def test_bits_that_are_no_integers(guest, value):
    with pytest.raises(ArgumentError):
        guest.function("i64").call_bits((value,))


@pytest.mark.parametrize("name", ["funcref", "externref"])
def test_bits_make_no_references(guest, name):
    """Whoever could say which address a funcref has could read all memory."""
    assert guest.function(name).call_bits((0,)) == (0,)
    for bits in (1, 8, 0x7FFF_FFFF_F000, 2**64 - 1):
        with pytest.raises(ArgumentError, match=f"the bits of a {name} can only be 0"):
            guest.function(name).call_bits((bits,))


def test_host_values_keep_their_identity(guest):
    for value in (object(), "text", [1], 5, 1.5, (), guest, guest.exports.i32, False, 0, ""):
        assert guest.exports.externref(value) is value
    assert guest.exports.externref(None) is None
    assert guest.function("externref").call_many([("a",), (None,), ("a",)]) == [("a",), (None,), ("a",)]


def test_funcrefs_come_back_equal(guest):
    function = guest.exports.i32
    assert guest.exports["funcref"](function) == function
    assert guest.exports["funcref"](function)(3) == 3
    assert guest.exports["funcref"](None) is None
    host = guest.store.host_function(FunctionType((), (I32,)), lambda: 3)
    assert guest.exports["funcref"](host) is host


def test_exports(guest):
    assert "i32" in guest.exports
    assert "no" not in guest.exports
    assert list(guest.exports) == ["i32", "i64", "f32", "f64", "externref", "funcref", "all", "none"]
    assert len(guest.exports) == 8
    assert "all" in dir(guest.exports)
    assert guest.exports.i32 is guest.exports["i32"] is guest.function("i32")
    assert not hasattr(guest.exports, "no")
    with pytest.raises(ExportNotFoundError, match="exports no 'no'"):
        guest.exports["no"]
    with pytest.raises(AttributeError, match="exports no 'no'"):
        guest.exports.no  # noqa: B018
    with pytest.raises(KeyError):
        guest.function("no")
    for find in (guest.memory, guest.table, guest.global_):
        with pytest.raises(ExportNotFoundError, match="exports 'i32' as a function, not as a"):
            find("i32")
    assert guest.exports.i32.type == FunctionType((I32,), (I32,))
    assert guest.exports.i32.name == "i32"
    assert repr(guest.exports.i32) == "<farcall function i32: (i32) -> (i32)>"


class TestHostFunctions:
    def test_called_from_python_they_check_as_for_a_guest(self, store, make):
        host = store.host_function(FunctionType((I32, F32), (F32,)), lambda a, b: a + b, "adds")
        again = make(
            '(module (import "" "h" (func (param i32 f32) (result f32))) (export "h" (func 0)))',
            {"": {"h": host}},
        ).exports.h
        for function in (host, again):
            assert (
                function(1, 0.1)
                == struct.unpack("f", struct.pack("f", 1 + struct.unpack("f", struct.pack("f", 0.1))[0]))[0]
            )
            assert function.call((1, 0.5)) == (1.5,)
            assert function.call_many([(1, 0.5), (2, "x")])[0] == (1.5,)
            assert isinstance(function.call_many([(2, "x")])[0], ArgumentError)
            assert function.invocation((1, 0.5)).run() == (1.5,)
            assert function.call_bits((1, 0x3F000000)) == (0x3FC00000,)
            with pytest.raises(ArgumentError, match="argument 0: i32 wants"):
                function(1.5, 1.0)
            with pytest.raises(ArgumentError, match="1 arguments given where 2"):
                function(1)

    @pytest.mark.parametrize(
        ("results", "returned", "message"),
        [
            ((), 5, r"should return None, for it has no results, but returned 5 \(int\)"),
            ((I32,), None, "result of the host function bad: argument 0: i32 wants an int"),
            ((I32,), 2**31, "i32 wants an int"),
            ((I32,), (1,), "i32 wants an int"),
            ((I32, I32), 5, r"should return a sequence of 2 results but returned 5 \(int\)"),
            ((I32, I32), (1,), "should return a sequence of 2 results"),
            ((I32, I32), (1, 2, 3), "should return a sequence of 2 results"),
            ((I32, I32), "ab", "should return a sequence of 2 results"),
            ((I32, I32), None, "should return a sequence of 2 results but returned None"),
            ((I32, I32), (1, "x"), "argument 1: i32 wants an int"),
        ],
    )
    def test_wrong_results(self, store, make, results, returned, message):
        host = store.host_function(FunctionType((), results), lambda: returned, "bad")
        text = f"(result {' '.join(result.name for result in results)})" if results else ""
        instance = make(
            f'(module (import "" "h" (func $h {text})) (func (export "go") {text} (call $h)))',
            {"": {"h": host}},
        )
        for call in (host, instance.exports.go):
            with pytest.raises(ArgumentError, match=message):
                call()

    def test_several_results(self, store, make):
        host = store.host_function(FunctionType((I32,), (I32, F32, EXTERNREF)), lambda a: [a, 0.5, "x"])
        instance = make(
            """(module (import "" "h" (func $h (param i32) (result i32 f32 externref)))
            (func (export "go") (param i32) (result i32 f32 externref) (call $h (local.get 0))))""",
            {"": {"h": host}},
        )
        assert instance.exports.go(4) == (4, 0.5, "x")
        assert host(4) == (4, 0.5, "x")

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("v"),
            KeyboardInterrupt(),
            SystemExit(3),
            StopIteration(1),
            GeneratorExit(),
            MemoryError(),
            ExceptionGroup("g", [OSError(1)]),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_every_sort_of_exception_comes_through_as_it_is(self, store, make, error):
        def fail():
            raise error

        host = store.host_function(FunctionType((), ()), fail)
        instance = make(
            """(module $m (import "" "h" (func $h)) (memory (export "m") 1) (func $a (call $h))
            (func (export "go") (i32.store8 (i32.const 0) (i32.const 7)) (call $a) (i32.store8
            (i32.const 0) (i32.const 8))))""",
            {"": {"h": host}},
        )
        for call in (instance.exports.go, instance.function("go").invocation(()).run):
            with pytest.raises(BaseException) as raised:  # noqa: PT011
                call()
            assert raised.value is error
            assert raised.value.__notes__[-1] == "called by the guest at:\n  m!a\n  m!go"
            assert instance.memory("m")[0] == 7
        if isinstance(error, Exception):
            assert instance.function("go").call_many([()]) == [error]

    def test_the_notes_of_an_exception_that_is_raised_again_and_again_do_not_pile_up(self, store, make):
        error = ValueError("always the same")

        def fail():
            raise error

        host = store.host_function(FunctionType((), ()), fail)
        instance = make(
            '(module (import "" "h" (func $h)) (func (export "go") (call $h)))', {"": {"h": host}}
        )
        for _ in range(200):
            with pytest.raises(ValueError, match="always"):
                instance.exports.go()
        assert len(error.__notes__) <= 64

    def test_calling_back_into_the_same_instance(self, store, make):
        """Arguments and results of the outer calls are not those of the inner ones."""
        host = store.host_function(FunctionType((I32,), (I32,)), lambda n: instance.exports.fac(n))  # noqa: PLW0108 - made below
        instance = make(
            """(module (import "" "h" (func $h (param i32) (result i32)))
            (func (export "fac") (param i32) (result i32) (if (result i32) (local.get 0)
              (then (i32.mul (local.get 0) (call $h (i32.sub (local.get 0) (i32.const 1))))) (else
              (i32.const 1)))))""",
            {"": {"h": host}},
        )
        assert instance.exports.fac(10) == 3628800
        assert instance.function("fac").call_many([(n,) for n in range(6)]) == [
            (1,),
            (1,),
            (2,),
            (6,),
            (24,),
            (120,),
        ]

    def test_endless_mutual_recursion_of_guest_and_host(self, store, make):
        """It ends in Python's RecursionError, and no call of the host function is lost on the way."""
        depth = []

        def host() -> int:
            depth.append(None)
            instance.exports.go()
            return 1

        function = store.host_function(FunctionType((), (I32,)), host)
        instance = make(
            """(module (import "" "h" (func $h (result i32))) (global $after (export "after") (mut i32) (i32.const 0))
            (func (export "go") (drop (call $h)) (global.set $after (i32.add (global.get $after) (i32.const 1)))))""",
            {"": {"h": function}},
        )

        def deeper(levels: int) -> None:
            if levels:
                deeper(levels - 1)
            else:
                instance.exports.go()

        for levels in range(20):
            depth.clear()
            with pytest.raises(RecursionError):
                deeper(levels)
            assert len(depth) > 10
            assert instance.global_("after").value == 0, (
                "a host function that did not run returned to its guest"
            )

    def test_endless_mutual_recursion_without_a_limit(self, store, make):
        """Then the native stack ends it, as a trap."""
        from farcall.engine import Trap, TrapKind

        host = store.host_function(FunctionType((), ()), lambda: instance.exports.go())  # noqa: PLW0108 - made below
        instance = make(
            '(module (import "" "h" (func $h)) (func (export "go") (call $h)))', {"": {"h": host}}
        )
        former = sys.getrecursionlimit()
        sys.setrecursionlimit(10**6)
        try:
            with pytest.raises(Trap) as raised:
                instance.exports.go()
        finally:
            sys.setrecursionlimit(former)
        assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
