"""Requests to stop at every moment: a stale one never hits the next call, and nothing hangs."""

from __future__ import annotations

import random
import threading
import time

import pytest

from farcall.engine import ClosedError, FunctionType, Store, TerminatedError
from tests.engine.guests import Background, wasm

COUNT = 3000

WORK = """(func (export "work") (param i32) (result i32)
  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 42))"""


class Stopper:
    """A thread that stops what it is handed, at random moments around its run."""

    def __init__(self) -> None:
        self._work: list = []
        self._ready = threading.Semaphore(0)
        self._done = False
        self._thread = Background(self._run)

    def _run(self) -> None:
        random_numbers = random.Random(1)
        while True:
            self._ready.acquire()
            if self._done:
                return
            for _ in range(random_numbers.randrange(300)):
                pass
            self._work.pop().terminate("race")

    def stop(self, stoppable) -> None:
        self._work.append(stoppable)
        self._ready.release()

    def close(self) -> None:
        self._done = True
        self._ready.release()
        self._thread.value()


def was_stopped(run, expected, *, reason: str = "race") -> bool:
    """Whether a run was stopped, for that reason; if not, it gave what was expected."""
    try:
        result = run()
    except TerminatedError as error:
        found = error.reason
    else:
        assert result == expected
        return False
    assert found == reason
    return True


@pytest.fixture
def stopper():
    stopper = Stopper()
    yield stopper
    stopper.close()


def test_a_stale_request_never_hits_the_next_call(make, stopper):
    instance = make(f"(module {WORK})")
    work = instance.function("work")
    stopped = 0
    for turn in range(COUNT):
        invocation = work.invocation((turn % 40 * 1000 + 1,))
        stopper.stop(invocation)
        stopped += was_stopped(invocation.run, (42,))
        # These were never asked to stop, whichever way they go.
        assert work(1000) == 42
        assert work.invocation((10,)).run() == (42,)
        assert work.call_many([(5,), (6,)]) == [(42,), (42,)]
    assert stopped > 0


def test_requests_for_one_of_several_callers_of_a_group(make, stopper):
    """Two threads call into one group, one of them is stopped all the time."""
    library = make(f'(module (memory (export "m") 1) {WORK})')
    user = make(f'(module (import "l" "m" (memory 1)) {WORK})', {"l": library})
    ended = []

    def innocent() -> int:
        calls = 0
        while not ended:
            assert user.exports.work(2000) == 42
            calls += 1
        return calls

    other = Background(innocent)
    try:
        for _ in range(COUNT // 3):
            invocation = library.function("work").invocation((20_000,))
            stopper.stop(invocation)
            was_stopped(invocation.run, (42,))
    finally:
        ended.append(True)
    assert other.value() > 0


def test_requests_through_host_functions(make, store, stopper):
    """Calls nested in calls of the same group, either of which is stopped."""
    inner = make(f"(module {WORK})")
    again = []

    def host() -> None:
        invocation = inner.function("work").invocation((3000,))
        if again and again[-1]:
            stopper.stop(invocation)
        was_stopped(invocation.run, (42,))

    function = store.host_function(FunctionType((), ()), host)
    outer = make(
        f"""(module (import "" "h" (func $h)) (import "i" "work" (func $w (param i32) (result i32))) {WORK}
        (func (export "go") (result i32) (call $h) (drop (call $w (i32.const 3000))) (call $h) (i32.const 7)))""",
        {"": {"h": function}, "i": inner},
    )
    for turn in range(COUNT // 3):
        again.append(turn % 2 == 0)
        invocation = outer.function("go").invocation(())
        if not again[-1]:
            stopper.stop(invocation)
        if was_stopped(invocation.run, (7,)):
            assert not again[-1], "the outer call was not asked to stop"
        assert outer.exports.work(100) == 42


def test_closing_and_calling_at_the_same_time(engine, store):
    """Calls into an instance that is being closed end in one of three ways, and no call into others is touched."""
    module = engine.load_module(wasm(f'(module (memory (export "m") 1) {WORK})'))
    user_module = engine.load_module(wasm(f'(module (import "l" "m" (memory 1)) {WORK})'))
    library = store.instantiate(module)
    ended = []

    def innocent() -> int:
        calls = 0
        while not ended:
            assert library.exports.work(500) == 42
            calls += 1
        return calls

    other = Background(innocent)
    outcomes = set()
    try:
        for _ in range(200):
            user = store.instantiate(user_module, {"l": library})
            work = user.function("work")

            def call(work=work) -> None:
                for _ in range(50):
                    work(20_000)

            callers = [Background(call) for _ in range(2)]
            time.sleep(random.random() * 0.003)
            user.close()
            outcomes |= {type(caller.join().error) for caller in callers}
    finally:
        ended.append(True)
    assert other.value() > 0
    assert outcomes <= {TerminatedError, ClosedError, type(None)}
    assert engine.statistics().memories == 1


def test_stores_that_close_while_everything_happens(engine):
    """Instantiation, linking, calls, memory access and closing at once: nothing but clear errors, nothing left."""
    library_module = engine.load_module(
        wasm(
            f'(module (memory (export "m") 1) (table (export "t") 4 funcref) (elem (i32.const 0) $f)'
            f" (func $f) {WORK})"
        )
    )
    user_module = engine.load_module(
        wasm(
            f"""(module (import "l" "m" (memory 1)) (import "l" "t" (table 4 funcref)) (elem (i32.const 1) $f)
            (func $f) (func (export "reach") (call_indirect (i32.const 1))) {WORK})"""
        )
    )
    before = engine.statistics()
    for _ in range(30):
        store = Store(engine)
        library = store.instantiate(library_module)

        def link(store=store, library=library) -> None:
            while True:
                user = store.instantiate(user_module, {"l": library})
                user.exports.reach()
                user.exports.work(100)
                user.close()

        def call(library=library) -> None:
            while True:
                library.exports.work(10_000)

        def access(library=library) -> None:
            memory, table = library.memory("m"), library.table("t")
            while True:
                memory.write(5, memory.read(4, 100))
                table.set(2, table.get(0))

        threads = [Background(work) for work in (link, link, call, access)]
        time.sleep(0.02)
        store.close()
        for thread in threads:
            assert isinstance(thread.join().error, ClosedError | TerminatedError), thread.error
    after = engine.statistics()
    assert (after.stores, after.instances, after.memories, after.linked_groups) == (
        before.stores,
        before.instances,
        before.memories,
        before.linked_groups,
    )


def test_stopping_from_a_signal_handler_of_the_same_thread(make):
    """The handler runs between two of Python's instructions, perhaps in the middle of the call's bookkeeping."""
    import signal

    instance = make(f"(module {WORK})")
    work = instance.function("work")
    current = []
    former = signal.signal(signal.SIGALRM, lambda *_: current and current[-1].terminate("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(5000):
            current[:] = [work.invocation((50,))]
            was_stopped(current[0].run, (42,), reason="alarm")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert work(10) == 42
