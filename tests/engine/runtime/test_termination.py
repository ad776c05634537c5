"""Stopping guests from outside: who is meant stops soon, nobody else does, and all goes on afterwards."""

from __future__ import annotations

import time

import pytest

from farcall.engine import (
    I32,
    ClosedError,
    FunctionType,
    Limits,
    MemoryType,
    Stoppable,
    Store,
    TerminatedError,
)
from farcall.engine.runtime.native.machine import native_runtime
from tests.engine.guests import Background, wait_until, wasm

SOON = 20.0
"""Seconds. What is stopped would run for minutes or for ever; other work on the machine must not fail a test."""

ENDLESS = {
    "empty loop": '(func (export "go") (loop (br 0)))',
    "loop that stores": """(memory 1) (func (export "go") (local i32) (loop
        (i32.store (i32.and (local.get 0) (i32.const 65532)) (local.get 0))
        (local.set 0 (i32.add (local.get 0) (i32.const 4))) (br 0)))""",
    "loop that reads": """(memory 1) (func (export "go") (result i32) (local i32) (loop (result i32)
        (local.set 0 (i32.add (local.get 0) (i32.load (i32.and (local.get 0) (i32.const 65532))))) (br 0)))""",
    "nested loops": """(func (export "go") (local i32) (loop (local.set 0 (i32.const 1000))
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (br 0)))""",
    "recursion without loops": """(func $f (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0)
            (i32.const 1)))))
            (else (i32.const 1))))
        (func (export "go") (drop (call $f (i32.const 60))))""",
    "recursion through a table": """(type $t (func (param i32) (result i32)))
        (table 1 funcref) (elem (i32.const 0) $f)
        (func $f (type $t)
          (if (result i32) (local.get 0)
            (then (i32.add
              (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
              (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
            (else (i32.const 1))))
        (func (export "go") (drop (call $f (i32.const 60))))""",
    "loop that calls": """(func $nothing) (func (export "go") (loop (call $nothing) (br 0)))""",
    "br_table back": '(func (export "go") (loop (br_table 0 0 (i32.const 5))))',
    "memory.fill of gigabytes": """(memory 32768) (func (export "go")
        (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x7fffffff)) (br 0)))""",
    "memory.copy of gigabytes": """(memory 32768) (func (export "go")
        (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x7ffffff0)) (br 0)))""",
    "table.fill": """(table 5000000 funcref) (func (export "go")
        (loop (table.fill (i32.const 0) (ref.null func) (i32.const 5000000)) (br 0)))""",
    "table.copy": """(table 5000000 funcref) (func (export "go")
        (loop (table.copy (i32.const 1) (i32.const 0) (i32.const 4999999)) (br 0)))""",
}
PROBE = '(func (export "probe") (param i32) (result i32) (local.get 0))'


def stop_soon(run, stoppable, *, after=0.01) -> float:
    """Run in a thread, stop after a while, and tell how long that took. It must end with TerminatedError."""
    thread = Background(run)
    time.sleep(after)
    assert thread.running
    asked = time.monotonic()
    stoppable.terminate("enough")
    thread.join()
    assert isinstance(thread.error, TerminatedError), thread.error
    assert thread.error.reason == "enough"
    assert str(thread.error).startswith("terminated: enough")
    return thread.ended_at - asked


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_guest_stops_soon_and_its_instance_stays_usable(make, kind):
    instance = make(f"(module {ENDLESS[kind]} {PROBE})")
    times = []
    for _ in range(5):
        invocation = instance.function("go").invocation(())
        times.append(stop_soon(invocation.run, invocation))
        assert instance.exports.probe(7) == 7
    assert min(times) < SOON, times


def test_recursion_between_instances_stops(make, store):
    """Neither has a loop; each calls the other, one through an import, the other through a shared table."""
    back = make(
        """(module (type $t (func (param i32) (result i32))) (table (export "t") 1 funcref)
        (func (export "call") (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (i32.add (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
                           (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
            (else (i32.const 1)))))"""
    )
    front = make(
        f"""(module (import "b" "call" (func $call (param i32) (result i32))) (import "b" "t" (table 1 funcref))
        (elem (i32.const 0) $f)
        (func $f (param i32) (result i32) (call $call (local.get 0)))
        (func (export "go") (drop (call $f (i32.const 60)))) {PROBE})""",
        {"b": back},
    )
    times = []
    for _ in range(5):
        invocation = front.function("go").invocation(())
        times.append(stop_soon(invocation.run, invocation))
    assert min(times) < SOON, times
    assert front.exports.probe(3) == 3
    assert back.exports.call(3) == 8


def test_a_start_function_stops_and_leaves_nothing_behind(engine, store):
    module = engine.load_module(wasm("(module (memory 1) (start 0) (func (loop (br 0))))"))
    before = engine.statistics()
    times = []
    for _ in range(5):
        instantiation = store.instantiation(module)
        times.append(stop_soon(instantiation.run, instantiation))
    assert min(times) < SOON, times
    after = engine.statistics()
    assert (after.instances, after.memories, after.linked_groups) == (
        before.instances,
        before.memories,
        before.linked_groups,
    )


def test_the_time_for_instantiation_is_over(engine, store):
    module = engine.load_module(wasm("(module (start 0) (func (loop (br 0))))"))
    with pytest.raises(TerminatedError, match="time for instantiation"):
        store.instantiate(module, timeout=0.02)
    assert store.instance_count == 0


def test_a_call_that_waits_for_its_turn_stops_without_disturbing_the_one_that_runs(make):
    instance = make(f"(module {ENDLESS['empty loop']} {PROBE})")
    running = instance.function("go").invocation(())
    runner = Background(running.run)
    time.sleep(0.02)
    waiting = instance.function("go").invocation(())
    times = [stop_soon(waiting.run, waiting)]
    for _ in range(4):
        again = instance.function("go").invocation(())
        times.append(stop_soon(again.run, again))
    assert min(times) < SOON, times
    time.sleep(0.05)
    assert runner.running
    running.terminate("done")
    assert isinstance(runner.join().error, TerminatedError)


def test_a_call_in_a_host_function_stops_when_that_returns(make, store):
    inside = []

    def slow() -> None:
        inside.append(True)
        time.sleep(0.1)

    host = store.host_function(FunctionType((), ()), slow)
    instance = make(
        '(module (import "" "slow" (func $s)) (func (export "go") (loop (call $s) (br 0))))',
        {"": {"slow": host}},
    )
    invocation = instance.function("go").invocation(())
    thread = Background(invocation.run)
    wait_until(lambda: bool(inside))
    invocation.terminate("enough")
    assert isinstance(thread.join().error, TerminatedError)
    assert len(inside) == 1


@pytest.mark.parametrize("loop", [True, False])
def test_a_batch_stops(make, loop):
    """Also one of calls that themselves never look whether they are to stop."""
    body = "(loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))" if loop else ""
    instance = make(f'(module (func (export "f") (param i32) (result i32) {body} (local.get 0)))')
    function = instance.function("f")
    rows = [(1000,)] * 1_000_000
    assert function.call_many(rows[:1]) == [(0 if loop else 1000,)]
    times = []
    while len(times) < 3:
        stoppable = Stoppable()
        thread = Background(lambda stoppable=stoppable: function.call_many(rows, stoppable))
        wait_until(lambda thread=thread: bool(instance.engine.group.targets) or not thread.running)
        time.sleep(0.02)
        if not thread.running:
            continue  # this thread had to wait for too long
        asked = time.monotonic()
        stoppable.terminate("enough")
        outcomes = thread.value()
        times.append(thread.ended_at - asked)
        assert len(outcomes) == len(rows)
        done = sum(type(outcome) is tuple for outcome in outcomes)
        assert done < len(rows)
        assert outcomes[:done] == [(0 if loop else 1000,)] * done
        assert all(isinstance(outcome, TerminatedError) for outcome in outcomes[done:])
        assert outcomes[-1].reason == "enough"
    assert function(5) == (0 if loop else 5)
    assert min(times) < SOON, times


def test_before_and_after_a_run_stopping_does_no_harm(make):
    instance = make(f"(module {ENDLESS['empty loop']} {PROBE})")
    probe = instance.function("probe")
    early = probe.invocation((1,))
    early.terminate("never mind")
    with pytest.raises(TerminatedError, match="never mind"):
        early.run()
    late = probe.invocation((2,))
    assert late.run() == (2,)
    late.terminate("too late")
    late.terminate("again")
    assert probe(3) == 3
    assert probe.invocation((4,)).run() == (4,)
    stoppable = Stoppable()
    stoppable.terminate("early")
    with pytest.raises(TerminatedError, match="early"):
        probe.call_many([(1,)], stoppable)


def test_the_first_reason_counts(make):
    instance = make(f"(module {ENDLESS['empty loop']})")
    invocation = instance.function("go").invocation(())
    thread = Background(invocation.run)
    time.sleep(0.01)
    invocation.terminate("first")
    invocation.terminate("second")
    assert thread.join().error.reason == "first"


def test_the_backtrace_says_where_it_was(make):
    instance = make(
        """(module $m (func $spin (loop (br 0))) (func $middle (call $spin)) (func (export "go") (call $middle)))"""
    )
    for wait in (0.02, 0.2, 2, 10):  # a busy machine may not have come to the loop by then
        invocation = instance.function("go").invocation(())
        thread = Background(invocation.run)
        wait_until(lambda: bool(instance.engine.group.targets))
        time.sleep(wait)
        invocation.terminate("enough")
        backtrace = [str(frame) for frame in thread.join().error.backtrace]
        if len(backtrace) == 3:
            break
    assert backtrace == ["m!spin", "m!middle", "m!go"]


def test_closing_an_instance_stops_all_calls_into_it_and_none_into_others(make):
    """Also calls that nobody prepared to stop."""
    library = make(f'(module (memory (export "m") 1) {ENDLESS["empty loop"]} {PROBE})', name="library")
    user = make(
        f'(module (import "l" "m" (memory 1)) {ENDLESS["empty loop"]} {PROBE})', {"l": library}, name="user"
    )

    # Prepared first, as a thread's first call is announced, taken back, and announced again.
    plain = Background(lambda: (native_runtime().ensure_thread(), user.exports.go()))
    wait_until(lambda: bool(user.engine.group.targets))
    queued = Background(lambda: user.exports.probe(1))
    other = Background(lambda: library.exports.probe(2))
    asked = time.monotonic()
    user.close()
    assert time.monotonic() - asked < SOON
    assert isinstance(plain.join().error, TerminatedError)
    assert "instance 'user' is being closed" in str(plain.error)
    assert isinstance(queued.join().error, ClosedError)
    assert other.value() == 2


def test_closing_an_instance_waits_for_calls_into_others_of_its_group(make):
    library = make(f'(module (memory (export "m") 1) {PROBE})')
    user = make(f'(module (import "l" "m" (memory 1)) {ENDLESS["empty loop"]})', {"l": library})
    running = user.function("go").invocation(())
    runner = Background(running.run)
    wait_until(lambda: bool(user.engine.group.targets))
    closing = Background(library.close)
    time.sleep(0.05)
    assert runner.running
    assert closing.running
    refused = Background(lambda: library.exports.probe(1))
    running.terminate("done")
    assert isinstance(runner.join().error, TerminatedError)
    assert runner.error.reason == "done"
    closing.join()
    assert isinstance(refused.join().error, ClosedError)


def test_closing_one_while_a_call_into_another_is_nested_in_its_own(make, store):
    """The outer call is into the one that is closed, the inner one is not: both have to go."""
    library = make(f'(module (memory (export "m") 1) {ENDLESS["empty loop"]})', name="inner")
    host = store.host_function(FunctionType((), ()), library.exports.go)
    outer = make(
        '(module (import "l" "m" (memory 1)) (import "" "h" (func $h)) (func (export "go") (call $h)))',
        {"l": library, "": {"h": host}},
        name="outer",
    )
    thread = Background(outer.exports.go)
    wait_until(lambda: len(outer.engine.group.targets) == 2)
    outer.close()
    assert isinstance(thread.join().error, TerminatedError)
    assert "'outer' is being closed" in str(thread.error)
    assert not library.closed


def test_a_caught_stop_of_an_inner_call_leaves_the_outer_one_running(make, store):
    inner = make(f"(module {ENDLESS['empty loop']})")
    invocations = []
    seen = []

    def host() -> int:
        invocation = inner.function("go").invocation(())
        invocations.append(invocation)
        try:
            invocation.run()
        except TerminatedError as error:
            seen.append(error.reason)
        return 5

    function = store.host_function(FunctionType((), (I32,)), host)
    outer = make(
        """(module (import "" "h" (func $h (result i32)))
        (func (export "go") (result i32) (local i32 i32) (local.set 0 (call $h)) (local.set 1 (i32.const 1000000))
          (loop (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1))))) (local.get 0)))""",
        {"": {"h": function}},
    )
    thread = Background(outer.exports.go)
    wait_until(lambda: bool(invocations))
    time.sleep(0.01)
    invocations[0].terminate("inner only")
    assert thread.value() == 5
    assert seen == ["inner only"]


def test_closing_a_store_stops_plain_calls_batches_and_start_functions(engine):
    store = Store(engine)
    spin = engine.load_module(wasm(f"(module (memory 1) {ENDLESS['empty loop']} {PROBE})"))
    instances = [store.instantiate(spin) for _ in range(3)]
    start = engine.load_module(wasm("(module (memory 1) (start 0) (func (loop (br 0))))"))
    threads = [
        Background(instances[0].exports.go),
        Background(lambda: instances[1].function("go").call_many([()] * 10)),
        Background(lambda: store.instantiate(start)),
        Background(lambda: instances[2].function("go").invocation(()).run()),
    ]
    wait_until(lambda: all(instance.engine.group.targets for instance in instances))
    threads.append(Background(lambda: instances[2].exports.probe(1)))
    time.sleep(0.1)
    store.close()
    plain, batch, starting, invocation, queued = (thread.join() for thread in threads)
    for stopped in (plain, starting, invocation):
        assert isinstance(stopped.error, TerminatedError | ClosedError), stopped.error
    assert isinstance(queued.error, ClosedError)
    assert all(isinstance(outcome, TerminatedError) for outcome in batch.result)
    statistics = engine.statistics()
    assert (statistics.stores, statistics.instances) == (0, 0)


def test_groups_that_merge_after_stops_can_be_stopped_and_run(make, store):
    """A page that was protected must not come back protected in the next group that gets it."""
    for _ in range(20):
        one = make(f'(module (memory (export "m") 1) {ENDLESS["empty loop"]} {PROBE})')
        two = make(f'(module (memory (export "m") 1) {ENDLESS["empty loop"]} {PROBE})')
        for instance in (one, two):
            invocation = instance.function("go").invocation(())
            stop_soon(invocation.run, invocation, after=0.003)
        both = make(
            f"""(module (import "a" "m" (memory 1)) (import "b" "probe" (func $p (param i32) (result i32)))
            {ENDLESS["empty loop"]} (func (export "probe") (param i32) (result i32) (call $p (local.get 0))))""",
            {"a": one, "b": two},
        )
        for instance in (one, two, both):
            assert instance.exports.probe(9) == 9
        for instance in (one, two, both):
            invocation = instance.function("go").invocation(())
            stop_soon(invocation.run, invocation, after=0.003)
            assert both.exports.probe(4) == 4
        for instance in (one, two, both):
            instance.close()


def test_linking_waits_for_a_busy_instance_and_gets_its_turn(make, store):
    """Four threads never leave the library idle for long; linking to it must not starve."""
    library = make(
        """(module (memory (export "m") 1) (func (export "work") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    )
    ends = []
    workers = [
        Background(lambda: [library.exports.work(1_000_000) for _ in iter(lambda: bool(ends), True)])
        for _ in range(4)
    ]
    try:
        for _ in range(5):
            started = time.monotonic()
            make('(module (import "l" "m" (memory 1)))', {"l": library}).close()
            assert time.monotonic() - started < SOON
    finally:
        ends.append(True)
    for worker in workers:
        worker.value()


def test_instantiation_that_waits_for_a_busy_instance_can_be_stopped(engine, make, store):
    library = make(f'(module (memory (export "m") 1) {ENDLESS["empty loop"]})')
    running = library.function("go").invocation(())
    runner = Background(running.run)
    time.sleep(0.02)
    module = engine.load_module(wasm('(module (import "l" "m" (memory 1)))'))
    times = []
    for _ in range(3):
        instantiation = store.instantiation(module, {"l": library})
        times.append(stop_soon(instantiation.run, instantiation))
    assert min(times) < SOON
    assert runner.running
    running.terminate("done")
    runner.join()


def test_memories_of_a_running_instance_are_read_after_the_call(make):
    instance = make(
        """(module (memory (export "m") 1) (func (export "go") (local i32) (local.set 0 (i32.const 30000000))
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.store8 (i32.const 0)
        (i32.const 1))))"""
    )
    thread = Background(instance.function("go").invocation(()).run)
    wait_until(lambda: bool(instance.engine.group.targets) or not thread.running)
    assert instance.memory("m").read(0, 1) == b"\1"
    thread.value()


def test_host_memories_take_part(store, make):
    memory = store.memory(MemoryType(Limits(1)))
    instance = make(f'(module (import "" "m" (memory 1)) {ENDLESS["loop that calls"]})', {"": {"m": memory}})
    invocation = instance.function("go").invocation(())
    stop_soon(invocation.run, invocation)
    memory.write(0, b"abc")
    assert memory.read(0, 3) == b"abc"
