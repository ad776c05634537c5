"""Wait and notify: who is woken, in which order, how often; and that whoever waits can be stopped."""

from __future__ import annotations

import os
import time

import pytest

from farcall.engine import Engine, TerminatedError, Trap, TrapKind
from tests.engine.guests import Background, wait_until

MAKER = '(module (memory (export "m") 1 4 shared))'

USER = """(module (import "" "m" (memory 1 4 shared))
  (func $wait32 (export "wait32") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait_at_4") (param i32 i32) (result i32)
    (memory.atomic.wait32 offset=4 (local.get 0) (local.get 1) (i64.const -1)))
  (func (export "notify") (param i32 i32) (result i32)
    (memory.atomic.notify (local.get 0) (local.get 1)))
  (func (export "notify_at_4") (param i32 i32) (result i32)
    (memory.atomic.notify offset=4 (local.get 0) (local.get 1)))
  (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.atomic.load (local.get 0)))
  (func (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call 7 (i32.sub (local.get 0) (i32.const 1)))))
      (else (call $wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))
  (func (export "wait_for_ever") (loop (drop (call $wait32 (i32.const 0) (i32.const 0) (i64.const -1))) (br 0))))"""

FOREVER = -1
WOKEN, NOT_EQUAL, TIMED_OUT = 0, 1, 2


@pytest.fixture
def engine():
    """One whose guests never wait for a compilation: where a guest is, then, is where it waits."""
    with Engine(code_policy="optimized") as engine:
        yield engine


@pytest.fixture
def maker(make):
    return make(MAKER)


@pytest.fixture
def user(make, maker):
    """Makes one more instance that has the memory."""
    return lambda: make(USER, {"": maker})


def calling(instance, name: str, *arguments: int) -> Background:
    """A call in a thread of its own; once it has its turn, it keeps it."""
    return Background(lambda: instance.function(name).call(arguments)[0])


def notified(instance, address: int, count: int, expected: int, function: str = "notify") -> None:
    """Notify until so many were woken in all: they may not have come to wait yet."""
    woken = 0

    def notify() -> bool:
        nonlocal woken
        woken += instance.function(function)(address, count)
        assert woken <= expected
        return woken == expected

    wait_until(notify)


class TestOutcomes:
    def test_not_equal(self, user):
        instance = user()
        instance.exports.store(8, 5)
        for timeout in (FOREVER, 0, 1, 2**63 - 1):
            assert instance.exports.wait32(8, 4, timeout) == NOT_EQUAL
            assert instance.exports.wait64(8, 4, timeout) == NOT_EQUAL

    def test_all_bits_are_compared(self, user, maker):
        instance = user()
        maker.memory("m").write(8, (1 << 40 | 7).to_bytes(8, "little"))
        assert instance.exports.wait64(8, 7, FOREVER) == NOT_EQUAL
        assert instance.exports.wait64(8, 1 << 40 | 7, 0) == TIMED_OUT
        assert instance.exports.wait32(8, 7, 0) == TIMED_OUT
        maker.memory("m").write(8, b"\xff" * 8)
        assert instance.exports.wait32(8, -1, 0) == TIMED_OUT
        assert instance.exports.wait64(8, -1, 0) == TIMED_OUT
        assert instance.exports.wait64(8, 0xFFFFFFFF, FOREVER) == NOT_EQUAL

    @pytest.mark.parametrize("nanoseconds", [0, 1, 1000, 20_000_000, 1_100_000_000])
    def test_time_is_over_not_before_it_is(self, user, nanoseconds):
        instance = user()
        start = time.monotonic_ns()
        assert instance.exports.wait32(0, 0, nanoseconds) == TIMED_OUT
        assert time.monotonic_ns() - start >= nanoseconds

    @pytest.mark.parametrize("timeout", [FOREVER, -(2**63), 2**63 - 1, 3_600_000_000_000])
    def test_woken_however_long_it_would_wait(self, user, timeout):
        waiter, waker = user(), user()
        waiting = calling(waiter, "wait32", 0, 0, timeout)
        notified(waker, 0, 1, 1)
        assert waiting.value() == WOKEN

    def test_nobody_is_notified_where_nobody_waits(self, user):
        assert user().exports.notify(0, -1) == 0


class TestWhoIsWoken:
    def test_exactly_as_many_as_asked_for_whatever_their_widths(self, user):
        waits = [("wait32", (8, 0, FOREVER)), ("wait64", (8, 0, FOREVER))] * 3
        waiting = [calling(user(), name, *arguments) for name, arguments in waits]
        waker = user()
        notified(waker, 8, 1, 2)
        wait_until(lambda: sum(not thread.running for thread in waiting) == 2)
        assert waker.exports.notify(8, 0) == 0
        notified(waker, 8, 2, 4)
        assert [thread.value() for thread in waiting] == [WOKEN] * 6
        assert waker.exports.notify(8, -1) == 0

    def test_an_unsigned_count_is_all_of_them(self, user):
        waiting = [calling(user(), "wait32", 8, 0, FOREVER) for _ in range(4)]
        notified(user(), 8, -1, 4)
        assert [thread.value() for thread in waiting] == [WOKEN] * 4

    def test_only_those_at_the_address_with_its_offset(self, user):
        one, other, waker = user(), user(), user()
        at_four = calling(one, "wait_at_4", 0, 0)
        at_eight = calling(other, "wait32", 8, 0, FOREVER)
        notified(waker, 4, -1, 1)
        assert at_four.value() == WOKEN
        assert waker.exports.notify(12, -1) == 0
        assert at_eight.running
        notified(waker, 4, -1, 1, "notify_at_4")
        assert at_eight.value() == WOKEN

    def test_another_memory_at_the_same_index_is_another(self, make, user):
        waiting = calling(user(), "wait32", 0, 0, FOREVER)
        stranger = make(USER, {"": make(MAKER)})
        assert stranger.exports.notify(0, -1) == 0
        assert waiting.running
        notified(user(), 0, 1, 1)
        assert waiting.value() == WOKEN

    def test_who_gave_up_is_not_counted(self, user):
        waker = user()
        for _ in range(3):
            assert user().exports.wait32(0, 0, 1000) == TIMED_OUT
        assert waker.exports.notify(0, -1) == 0


class TestTraps:
    @pytest.mark.parametrize("name", ["wait32", "wait64", "notify"])
    def test_out_of_bounds_and_unaligned(self, user, name):
        instance = user()
        width = 8 if name == "wait64" else 4
        rest = () if name == "notify" else (0,)
        last = 65536 - width
        assert instance.function(name)(last, 0, *rest) in (0, TIMED_OUT)
        for address, kind in (
            (last + width, TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS),
            (-width, TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS),
            (width // 2, TrapKind.UNALIGNED_ATOMIC),
            (1, TrapKind.UNALIGNED_ATOMIC),
            (-1, TrapKind.UNALIGNED_ATOMIC),
        ):
            with pytest.raises(Trap) as raised:
                instance.function(name)(address, 0, *rest)
            assert raised.value.kind is kind

    @pytest.mark.parametrize("width", [32, 64])
    def test_a_memory_that_is_not_shared(self, make, width):
        instance = make(
            f"""(module (memory 1)
              (func (export "wait") (param i32 i{width}) (result i32)
                (memory.atomic.wait{width} (local.get 0) (local.get 1) (i64.const 0)))
              (func (export "notify") (param i32) (result i32)
                (memory.atomic.notify (local.get 0) (i32.const 1))))"""
        )
        for value in (0, 1):  # whatever lies there
            with pytest.raises(Trap) as raised:
                instance.exports.wait(8, value)
            assert raised.value.kind is TrapKind.EXPECTED_SHARED_MEMORY
        assert instance.exports.notify(8) == 0
        for function, arguments in (("wait", (65536, 0)), ("notify", (65536,))):
            with pytest.raises(Trap) as raised:
                instance.function(function)(*arguments)
            assert raised.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS

    def test_with_little_stack_left_it_traps_and_locks_nothing(self, user):
        instance = user()
        with pytest.raises(Trap) as raised:
            instance.exports.deep(100_000_000)
        assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
        assert instance.exports.notify(0, 1) == 0


def stopped_within(instance, waiting: Background, stop) -> float:
    """Seconds from the stop to the end of the thread that has called the instance, which ends by it."""
    wait_until(lambda: instance.engine.group.depth == 1)
    time.sleep(0.005)  # so that it mostly waits; whether it does already is all the same to what must come
    assert waiting.running
    start = time.monotonic()
    stop()
    waiting.join()
    assert isinstance(waiting.error, TerminatedError)
    return waiting.ended_at - start


SOON = 0.05
"""Seconds; a test takes the best of several runs, since the machine may be busy."""


class TestStopping:
    @pytest.mark.parametrize("name", ["wait_for_ever", "wait32"])
    def test_a_call_is_stopped_and_the_instance_goes_on(self, user, name):
        instance, times = user(), []
        arguments = () if name == "wait_for_ever" else (0, 0, FOREVER)
        for _ in range(5):
            invocation = instance.function(name).invocation(arguments)
            times.append(
                stopped_within(
                    instance, Background(invocation.run), lambda call=invocation: call.terminate("enough")
                )
            )
        assert min(times) < SOON, times
        assert instance.exports.notify(0, -1) == 0
        assert instance.exports.wait32(0, 0, 0) == TIMED_OUT

    def test_where_it_waited_is_told(self, user):
        instance = user()
        invocation = instance.function("wait_for_ever").invocation(())
        waiting = Background(invocation.run)
        stopped_within(instance, waiting, lambda: invocation.terminate("enough"))
        assert waiting.error.reason == "enough"
        assert [frame.function_index for frame in waiting.error.backtrace] == [0, 8]

    def test_others_that_wait_at_the_address_go_on(self, user):
        stopped, waker = user(), user()
        others = [calling(user(), "wait32", 0, 0, FOREVER) for _ in range(3)]
        invocation = stopped.function("wait32").invocation((0, 0, FOREVER))
        stopped_within(stopped, Background(invocation.run), lambda: invocation.terminate("enough"))
        notified(waker, 0, -1, 3)
        assert [thread.value() for thread in others] == [WOKEN] * 3

    def test_closing_the_instance(self, user):
        times = []
        for _ in range(5):
            instance = user()
            waiting = calling(instance, "wait32", 0, 0, FOREVER)
            times.append(stopped_within(instance, waiting, instance.close))
        assert min(times) < SOON, times

    def test_closing_the_maker_of_the_memory_stops_nobody_else(self, maker, user):
        waiter, waker = user(), user()
        waiting = calling(waiter, "wait32", 0, 0, FOREVER)
        maker.close()
        notified(waker, 0, 1, 1)
        assert waiting.value() == WOKEN

    def test_closing_the_store(self, engine):
        from farcall.engine import Store
        from tests.engine.guests import wasm

        store = Store(engine)
        maker = store.instantiate(engine.load_module(wasm(MAKER)))
        module = engine.load_module(wasm(USER))
        users = [store.instantiate(module, {"": maker}) for _ in range(3)]
        waiting = [calling(user, "wait32", 0, 0, FOREVER) for user in users]
        wait_until(lambda: all(user.engine.group.depth for user in users))
        store.close()
        for thread in waiting:
            with pytest.raises(TerminatedError):
                thread.value()
        assert engine.statistics().memories == 0

    def test_of_code_that_is_not_made_to_be_stopped(self, engine, store, maker):
        """It has no checks in loops, but whoever waits costs nothing to stop."""
        from tests.engine.guests import wasm

        module = engine.load_module(wasm(USER))
        instance = store.instantiate(engine.compile_module(module, ensure_termination=False), {"": maker})
        waiting = calling(instance, "wait32", 0, 0, FOREVER)
        stopped_within(instance, waiting, instance.close)

    def test_stopping_and_notifying_at_once_loses_neither(self, user):
        """A waiter is woken or stopped, never both, never neither."""
        waker = user()
        instance = user()
        outcomes = set()
        for _ in range(100):
            invocation = instance.function("wait32").invocation((0, 0, FOREVER))
            waiting = Background(invocation.run)
            wait_until(lambda: instance.engine.group.depth == 1)
            stopping = Background(lambda invocation=invocation: invocation.terminate("enough"))
            woken = waker.exports.notify(0, 1)
            stopping.join()
            waiting.join()
            stopped = isinstance(waiting.error, TerminatedError)
            outcomes.add((woken, stopped))
            assert bool(woken) != stopped
        assert waker.exports.notify(0, -1) == 0
        assert outcomes

    def test_the_interpreter_is_free_meanwhile(self, user):
        waiting = calling(user(), "wait32", 0, 0, FOREVER)
        assert sum(range(100_000)) == 4999950000
        notified(user(), 0, 1, 1)
        waiting.value()

    def test_a_child_process_has_no_waiters(self, user):
        waiting = calling(user(), "wait32", 0, 0, FOREVER)
        waker = user()
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            os._exit(waker.exports.notify(0, -1))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        notified(waker, 0, -1, 1)
        waiting.value()
