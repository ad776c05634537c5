"""Handlers of signals raise wherever Python looks for signals: after calls and as functions begin. Nothing stays taken.

Here a profile function raises at one such place after the other, so every one of them is tried, at no moment by chance.
"""

from __future__ import annotations

import sys
import threading

import pytest

from farcall.engine import ReentrancyError

TEXT = """(module
    (memory (export "memory") 1) (table (export "table") 1 funcref)
    (global (export "global") (mut i32) (i32.const 0))
    (func (export "f") (param i32) (result i32) (local.get 0))
    (func (export "g") (param funcref) (result funcref) (local.get 0))
    (func (export "two") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))"""


class InterruptionError(Exception):
    """What the handler raises."""


def raising_at(place):
    """A profile function that raises at that one of the places, counted from 0, at which signals are looked for."""
    passed = -1

    def profile(_frame, event, _argument):
        nonlocal passed
        if event in ("call", "c_return"):
            passed += 1
            if passed == place:
                raise InterruptionError

    return profile


OPERATIONS = {
    "call": lambda exports: exports.f(3),
    "call with references": lambda exports: exports.g(None),
    "call_bits": lambda exports: exports.f.call_bits((3,)),
    "call_many": lambda exports: exports.f.call_many([(1,), (2,)]),
    "read": lambda exports: exports.memory.read(0, 4),
    "write": lambda exports: exports.memory.write(0, b"abc"),
    "grow": lambda exports: exports.memory.grow(0),
    "element": lambda exports: exports.table[0],
    "set element": lambda exports: exports.table.set(0, None),
    "global": lambda exports: getattr(exports, "global").value,
    "set global": lambda exports: setattr(getattr(exports, "global"), "value", 7),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations(make, operation):
    instance = make(TEXT)
    work = OPERATIONS[operation]
    work(instance.exports)  # what is made at first use is there now
    place = interrupted = 0
    group = instance.engine.group
    while interrupted == place:
        sys.setprofile(raising_at(place))
        try:
            work(instance.exports)
        except InterruptionError:
            interrupted += 1
        finally:
            sys.setprofile(None)
        place += 1
        assert group.targets == []
        assert is_free(group.lock), f"taken after place {place - 1}"
    assert interrupted > 2
    assert instance.exports.f(5) == 5


def is_free(lock):
    """Whether another thread can take the lock."""
    taken = []

    def take():
        if lock.acquire(blocking=False):
            lock.release()
            taken.append(True)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(taken)


def test_an_argument_that_closes_the_instance(make):
    instance = make(TEXT)

    class Closing:
        def __index__(self):
            instance.close()
            return 1

    with pytest.raises(ReentrancyError):
        instance.exports.two(1, Closing())
    assert instance.exports.two(5, 3) == 2
    assert instance.engine.group.targets == []
