"""Work that several wait for is done once, and given up when nobody waits any more."""

from __future__ import annotations

import threading

import pytest

from farcall.engine import Cancellation, CompileCancelledError, CompileProgress, ExhaustionError
from farcall.engine.jobs.shared_work import SharedWork
from tests.engine.guests import Background, wait_until


class Slow:
    """Work that goes on when it is told to, or given up."""

    def __init__(self):
        self.begun = 0
        self.go_on = threading.Event()
        self.given_up = False

    def __call__(self, report, cancellation):
        self.begun += 1
        report(CompileProgress(10, self.begun, 0, 100, 10))
        cancellation.attach(self._give_up)
        assert self.go_on.wait(60)
        cancellation.check()
        return self.begun

    def _give_up(self):
        self.given_up = True
        self.go_on.set()


def test_those_who_come_later_get_the_same_and_hear_how_far_it_is():
    shared, slow, told = SharedWork(), Slow(), []
    first = Background(lambda: shared.run("key", slow))
    wait_until(lambda: slow.begun == 1)
    second = Background(lambda: shared.run("key", slow, told.append))
    wait_until(lambda: told)
    assert shared.is_under_way("key")
    slow.go_on.set()
    assert (first.value(), second.value()) == (1, 1)
    assert not shared.is_under_way("key")
    assert shared.run("key", slow) == 2


def test_who_leaves_ends_nothing_for_others():
    shared, slow, leaving = SharedWork(), Slow(), Cancellation()
    first = Background(lambda: shared.run("key", slow, None, leaving))
    wait_until(lambda: slow.begun == 1)
    told = []
    second = Background(lambda: shared.run("key", slow, told.append))
    wait_until(lambda: told)
    leaving.cancel()
    assert isinstance(first.join().error, CompileCancelledError)
    assert not slow.given_up
    slow.go_on.set()
    assert second.value() == 1


def test_when_the_last_one_leaves_it_is_given_up_and_can_begin_anew():
    shared, slow, leaving = SharedWork(), Slow(), Cancellation()
    waiting = Background(lambda: shared.run("key", slow, None, leaving))
    wait_until(lambda: slow.begun == 1)
    leaving.cancel()
    assert isinstance(waiting.join().error, CompileCancelledError)
    wait_until(lambda: slow.given_up)
    assert shared.run("key", slow) == 2


def test_a_failure_is_everybodys_and_is_not_kept():
    shared, slow = SharedWork(), Slow()

    def fail(report, cancellation):
        slow(report, cancellation)
        raise ValueError("hopeless")

    told = []
    first = Background(lambda: shared.run("key", fail))
    wait_until(lambda: slow.begun == 1)
    second = Background(lambda: shared.run("key", fail, told.append))
    wait_until(lambda: told)
    slow.go_on.set()
    assert [str(thread.join().error) for thread in (first, second)] == ["hopeless"] * 2
    assert shared.run("key", lambda _report, _cancellation: 7) == 7


def test_without_another_thread_it_is_refused(monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    shared = SharedWork()
    monkeypatch.setattr("threading.Thread.start", fail)
    with pytest.raises(ExhaustionError, match="no thread for compiling can be started"):
        shared.run("key", lambda _report, _cancellation: 7)
    monkeypatch.undo()
    assert shared.run("key", lambda _report, _cancellation: 7) == 7
