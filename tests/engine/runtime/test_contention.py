"""Several guests at work on one memory: totals are exact, locks lock, nobody sleeps for ever."""

from __future__ import annotations

import random

import pytest

from tests.engine.guests import Background

MAKER = '(module (memory (export "m") 1 4 shared))'
THREADS = 4
TURNS = 20_000
ACCESSES = [("i32", width) for width in ("", "8", "16")] + [("i64", width) for width in ("", "8", "16", "32")]


def bits_of(value: str, width: str) -> int:
    return int(width or value[1:])


def counting_module(value: str, width: str) -> str:
    """Each function makes the same change so often; the place is given."""
    sign = "_u" if width else ""
    rmw = f"{value}.atomic.rmw{width}"
    loaded = f"({value}.atomic.load{width}{sign} (local.get $at))"
    one = f"({value}.const 1)"
    changes = {
        "add": f"(drop ({rmw}.add{sign} (local.get $at) {one}))",
        "sub": f"(drop ({rmw}.sub{sign} (local.get $at) {one}))",
        "xor": f"(drop ({rmw}.xor{sign} (local.get $at) (local.get $own)))",
        # Sets a bit of its own and clears it again.
        "or": f"(drop ({rmw}.or{sign} (local.get $at) (local.get $own)))"
        f"(drop ({rmw}.and{sign} (local.get $at) ({value}.xor (local.get $own) ({value}.const -1))))",
        "cmpxchg": f"""(loop $again (local.set $seen {loaded})
            (br_if $again ({value}.ne (local.get $seen)
              ({rmw}.cmpxchg{sign} (local.get $at) (local.get $seen) ({value}.add (local.get $seen) {one})))))""",
    }
    functions = " ".join(
        f"""(func (export "{name}") (param $at i32) (param $own {value}) (param $times i32) (local $seen {value})
          (loop $turn {change}
            (br_if $turn (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))"""
        for name, change in changes.items()
    )
    return f'(module (import "" "m" (memory 1 4 shared)) {functions})'


@pytest.mark.parametrize(("value", "width"), ACCESSES, ids=lambda part: part or "whole")
def test_no_change_is_lost(make, value, width):
    """At neighbouring places, so that a narrow access which touched more than its own bytes would show, too."""
    maker = make(MAKER)
    text = counting_module(value, width)
    guests = [make(text, {"": maker}) for _ in range(THREADS)]
    bits = bits_of(value, width)
    size, whole = bits // 8, 1 << bits
    places = {
        name: 64 + position * size for position, name in enumerate(("add", "sub", "xor", "or", "cmpxchg"))
    }

    def work(number: int) -> None:
        order = list(places)
        random.Random(number).shuffle(order)
        for name in order:
            guests[number].function(name)(places[name], 1 << number, TURNS + 1)

    for thread in [Background(lambda number=number: work(number)) for number in range(THREADS)]:
        thread.value()
    content = maker.memory("m").read(0, 65536)
    found = {name: int.from_bytes(content[at : at + size], "little") for name, at in places.items()}
    total = THREADS * (TURNS + 1)
    assert found == {
        "add": total % whole,
        "sub": -total % whole,
        "xor": (1 << THREADS) - 1,  # an odd number of times each
        "or": 0,
        "cmpxchg": total % whole,
    }
    assert not any(content[:64] + content[64 + 5 * size :])


def test_exchanged_tickets_are_taken_once_each(make):
    """Everyone puts in a number of its own and takes out what was there: all come out, but the last."""
    maker = make(MAKER)
    text = """(module (import "" "m" (memory 1 4 shared))
      (func (export "go") (param $first i64) (param $times i32) (result i64) (local $sum i64)
        (loop (local.set $sum (i64.add (local.get $sum) (i64.atomic.rmw.xchg (i32.const 0) (local.get $first))))
          (local.set $first (i64.add (local.get $first) (i64.const 1)))
          (br_if 0 (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
        (local.get $sum)))"""
    guests = [make(text, {"": maker}) for _ in range(THREADS)]
    threads = [
        Background(lambda number=number: guests[number].exports.go(1 + number * TURNS, TURNS))
        for number in range(THREADS)
    ]
    taken = sum(thread.value() for thread in threads)
    left = int.from_bytes(maker.memory("m").read(0, 8), "little")
    assert taken + left == sum(range(1, 1 + THREADS * TURNS))


LOCKING = """(module (import "" "m" (memory 1 4 shared))
  ;; 0 is free, 1 is held, 2 is held and waited for.
  (func $lock (local $seen i32)
    (local.set $seen (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 0) (i32.const 1)))
    (block $held
      (br_if $held (i32.eqz (local.get $seen)))
      (loop $again
        (br_if $held (i32.eqz (i32.atomic.rmw.xchg (i32.const 0) (i32.const 2))))
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 2) (i64.const -1)))
        (br $again))))
  (func $unlock
    (if (i32.eq (i32.atomic.rmw.xchg (i32.const 0) (i32.const 0)) (i32.const 2))
      (then (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))))
  (func (export "add") (param $times i32)
    (loop
      (call $lock)
      (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
      (call $unlock)
      (br_if 0 (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
  ;; The two sides take turns: each waits for its parity at 16, and hands over.
  (func (export "turns") (param $own i32) (param $times i32) (local $now i32)
    (loop $next
      (block $mine
        (loop $wait
          (local.set $now (i32.atomic.load (i32.const 16)))
          (br_if $mine (i32.eq (i32.and (local.get $now) (i32.const 1)) (local.get $own)))
          (drop (memory.atomic.wait32 (i32.const 16) (local.get $now) (i64.const -1)))
          (br $wait)))
      (i32.atomic.store (i32.const 16) (i32.add (local.get $now) (i32.const 1)))
      (drop (memory.atomic.notify (i32.const 16) (i32.const 1)))
      (br_if $next (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"""


def test_a_mutex_of_wait_and_notify(make):
    maker = make(MAKER)
    guests = [make(LOCKING, {"": maker}) for _ in range(THREADS)]
    for thread in [Background(lambda guest=guest: guest.exports.add(TURNS)) for guest in guests]:
        thread.value(120)
    memory = maker.memory("m")
    assert int.from_bytes(memory.read(8, 8), "little") == THREADS * TURNS
    assert memory.read(0, 4) == bytes(4)


def test_no_wake_up_is_lost(make):
    """Two sides that wait for each other in every turn: one wake-up lost, and both sleep for ever."""
    maker = make(MAKER)
    guests = [make(LOCKING, {"": maker}) for _ in range(2)]
    threads = [Background(lambda own=own: guests[own].exports.turns(own, 5000)) for own in range(2)]
    for thread in threads:
        thread.value(120)
    assert int.from_bytes(maker.memory("m").read(16, 4), "little") == 10_000


def test_each_notification_wakes_one_of_many(make):
    """Waiters come, give up and come again while others notify: what notify counted is what was woken."""
    maker = make(MAKER)
    waiter = """(module (import "" "m" (memory 1 4 shared))
      (func (export "wait") (param $times i32) (param $timeout i64) (result i32) (local $woken i32)
        (loop
          (local.set $woken (i32.add (local.get $woken) (i32.eqz
            (memory.atomic.wait32 (i32.const 0) (i32.const 0) (local.get $timeout)))))
          (br_if 0 (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
        (local.get $woken)))"""
    notifier = """(module (import "" "m" (memory 1 4 shared))
      (func (export "notify") (param $most i32) (result i32) (local $count i32)
        (loop
          (local.set $count (i32.add (local.get $count) (memory.atomic.notify (i32.const 0) (local.get $most))))
          (br_if 0 (i32.eqz (i32.atomic.load (i32.const 4)))))
        (local.get $count)))"""
    waiters = [make(waiter, {"": maker}) for _ in range(THREADS)]
    notifiers = [make(notifier, {"": maker}) for _ in range(2)]
    notifying = [Background(lambda most=most: notifiers[most - 1].exports.notify(most)) for most in (1, 2)]
    waiting = [
        Background(lambda number=number: waiters[number].exports.wait(300, 20_000 * number or 100_000_000))
        for number in range(THREADS)
    ]
    woken = sum(thread.value(120) for thread in waiting)
    maker.memory("m").write(4, b"\1")
    assert sum(thread.value() for thread in notifying) == woken
    assert woken > 0
