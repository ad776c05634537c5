"""Calls at moments at which nobody expects them: while arguments are asked for their values, and in signals' handlers.

Handlers of signals run wherever Python looks for signals: after calls of C functions and as functions begin. A profile
function runs at just these places, so here it makes the calls, at every place, and at no moment by chance.
"""

from __future__ import annotations

import sys

import pytest

from farcall.engine import EXTERNREF, I32, FunctionType, TagType, Trap, TrapKind, WasmException

TEXT = """(module
    (import "" "host" (func $host (param i32) (result i32)))
    (import "" "give" (func $give (result externref)))
    (func $sub (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
    (func $div (export "div") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
    (func (export "deep") (param i32 i32) (result i32) (call $div (local.get 0) (local.get 1)))
    (func (export "same") (param externref i32 i32) (result externref i32)
      (local.get 0) (i32.sub (local.get 1) (local.get 2)))
    (func (export "call_host") (param i32) (result i32) (call $host (local.get 0)))
    (func (export "take") (result externref) (call $give)))"""


class CustomError(Exception):
    """What the host function raises."""


@pytest.fixture
def exports(make, store):
    def host(value: int) -> int:
        if value < 0:
            raise CustomError(value)
        return value + 1

    imports = {
        "host": store.host_function(FunctionType((I32,), (I32,)), host),
        "give": store.host_function(FunctionType((), (EXTERNREF,)), lambda: "given"),
    }
    return make(TEXT, {"": imports}).exports


class Asked:
    """An argument that does something when it is asked for its value."""

    def __init__(self, value, action):
        self.value = value
        self.action = action

    def __index__(self):
        self.action()
        return self.value


INNER = {
    "call": lambda exports: exports.sub(1000, 1),
    "call, slowly": lambda exports: exports.sub.call((1000, 1)),
    "call_bits": lambda exports: exports.sub.call_bits((1000, 1)),
    "call_many": lambda exports: exports.sub.call_many([(1000, 1), (Asked(2000, list), 1)]),
    "call_columns": lambda exports: exports.sub.call_columns([[1000], [1]], 1),
}


class TestArgumentsThatCall:
    @pytest.mark.parametrize("inner", INNER)
    def test_their_own_function(self, exports, inner):
        def argument():
            return Asked(5, lambda: INNER[inner](exports))

        assert exports.sub(77, argument()) == 72
        assert exports.sub(argument(), 7) == -2
        assert exports.sub.call((77, argument())) == (72,)
        assert exports.sub.call_many([(77, argument()), (7, 5), (argument(), argument())]) == [
            (72,),
            (2,),
            (0,),
        ]
        assert exports.sub.call_columns([[77, argument()], [argument(), 7]], 2) == ([[72, -2]], {})
        assert exports.same.call((None, 77, argument())) == (None, 72)

    def test_a_function_that_traps(self, exports):
        def trap():
            with pytest.raises(Trap, match="divide by zero"):
                exports.div(1, 0)

        assert exports.div(84, Asked(2, trap)) == 42

    def test_that_call_and_then_raise(self, exports):
        def fail():
            exports.sub(3, 4)
            raise CustomError

        with pytest.raises(CustomError):
            exports.sub(1, Asked(1, fail))
        assert exports.sub(9, 1) == 8


def interrupting(handler, place):
    """A profile function that calls the handler at that one of the places at which signals are looked for."""
    passed = -1

    def profile(_frame, event, _argument):
        nonlocal passed
        if event in ("call", "c_return"):
            passed += 1
            if passed == place:
                sys.setprofile(None)
                handler()

    return profile


def at_every_place(work, handler, check):
    """Do `work` again and again, interrupted by the handler at another place each time, until there is none left."""
    place, interrupted = 0, True
    while interrupted:
        interrupted = False

        def noted():
            nonlocal interrupted
            interrupted = True
            handler()

        sys.setprofile(interrupting(noted, place))
        try:
            outcome = work()
        except Exception as error:
            outcome = error
        finally:
            sys.setprofile(None)
        check(outcome)
        place += 1
    assert place > 3


def trapping(exports):
    with pytest.raises(Trap, match="divide"):
        exports.div(3, 0)


def raising(exports):
    with pytest.raises(CustomError):
        exports.call_host(-5)


HANDLERS = {
    "calls": lambda exports: [exports.sub(5, 5), exports.div(50, 5), exports.call_host(6)],
    "calls in rows": lambda exports: [exports.div.call_many([(5, 5), (5, 0)]), exports.take()],
    "traps": trapping,
    "raises": raising,
}


@pytest.mark.parametrize("handler", HANDLERS)
class TestHandlersOfSignals:
    @pytest.fixture
    def handle(self, exports, handler):
        return lambda: HANDLERS[handler](exports)

    def test_at_a_call(self, exports, handle):
        def check(outcome):
            assert outcome == 42

        at_every_place(lambda: exports.sub(50, 8), handle, check)
        at_every_place(lambda: exports.sub.call((50, 8))[0], handle, check)
        at_every_place(lambda: exports.call_host(41), handle, check)

    def test_at_a_trap(self, exports, handle):
        def check(outcome):
            assert isinstance(outcome, Trap)
            assert outcome.kind is TrapKind.INTEGER_DIVIDE_BY_ZERO
            assert [frame.function_index for frame in outcome.backtrace] == [3, 4]

        at_every_place(lambda: exports.deep(50, 0), handle, check)
        at_every_place(lambda: exports.deep.call((50, 0)), handle, check)
        at_every_place(lambda: exports.deep.call_many([(50, 0)])[0], handle, check)
        at_every_place(lambda: exports.deep.call_columns([[50], [0]], 1)[1][0], handle, check)

    def test_at_an_exception_of_the_host(self, exports, handle):
        def check(outcome):
            assert isinstance(outcome, CustomError)
            assert outcome.args == (-77,)

        at_every_place(lambda: exports.call_host(-77), handle, check)
        at_every_place(lambda: exports.call_host.call_many([(-77,)])[0], handle, check)

    def test_at_a_host_function_that_returns_a_reference(self, exports, handle):
        def check(outcome):
            assert outcome == "given"

        at_every_place(exports.take, handle, check)


THROWING = """(module
    (import "" "tag" (tag $tag (param i32)))
    (import "" "throw" (func $host (param i32)))
    (func (export "throw") (param i32) (throw $tag (local.get 0)))
    (func (export "plain") (call $host (i32.const -1)))
    (func (export "catch") (param i32) (result i32)
      (block $caught (result i32)
        (try_table (catch $tag $caught) (call $host (local.get 0)))
        (i32.const -2))))"""


class TestGuestsExceptions:
    @pytest.fixture
    def throwing(self, make, store):
        tag = store.tag(TagType(FunctionType((I32,), ())))

        def throw(value: int) -> None:
            if value >= 0:
                raise WasmException(tag, (value,))

        host = store.host_function(FunctionType((I32,), ()), throw)
        return make(THROWING, {"": {"tag": tag, "throw": host}}).exports

    def handlers(self, throwing):
        def throw():
            with pytest.raises(WasmException):
                throwing.throw(99)

        def catch():
            assert throwing["catch"](98) == 98

        return throw, catch, throwing.plain

    def test_thrown_by_the_guest(self, throwing):
        def check(outcome):
            assert isinstance(outcome, WasmException)
            assert outcome.values == (7,)

        for handler in self.handlers(throwing):
            at_every_place(lambda: throwing.throw(7), handler, check)

    def test_thrown_by_a_host_function_and_caught(self, throwing):
        def check(outcome):
            assert outcome == 6

        for handler in self.handlers(throwing):
            at_every_place(lambda: throwing["catch"](6), handler, check)
