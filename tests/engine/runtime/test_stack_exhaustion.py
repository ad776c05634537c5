"""Endless recursion is a trap: from any thread, whatever its stack, by whatever calls, as often as one likes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from farcall.engine import I32, FunctionType, Trap, TrapKind
from tests.engine.guests import Background

RECURSION = {
    "direct": '(func $f (call $f) (call $f)) (func (export "go") (call $f))',
    "mutual": '(func $f (call $g) (call $g)) (func $g (call $f) (call $f)) (func (export "go") (call $f))',
    "indirect": """(table 1 funcref) (elem (i32.const 0) $f)
        (func $f (call_indirect (i32.const 0)) (call_indirect (i32.const 0))) (func (export "go") (call $f))""",
    "many arguments": """(func $f (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64) (result i32)
          (i32.add (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)) (i32.const 1)))
        (func (export "go") (drop (call $f (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 1)
            (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4))))""",
}


def huge_frame(count: int) -> str:
    """A recursive function that keeps `count` values over its call, in a frame of so many words."""
    return f'(memory 4) (func $f {kept_values(count, "(call $f)")}) (func (export "go") (call $f))'


def kept_values(count: int, body: str) -> str:
    """A function's text that keeps `count` values over what its body does."""
    reads = " ".join(f"(local.set {n} (i64.load (i32.const {8 * n})))" for n in range(count))
    writes = " ".join(f"(i64.store (i32.const {8 * n}) (local.get {n}))" for n in range(count))
    return f"(local {'i64 ' * count}) {reads} {body} {writes}"


PROBE = '(func (export "probe") (param i32) (result i32) (local.get 0))'


def assert_exhausts(instance, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(Trap) as raised:
            instance.exports.go()
        assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
        assert len(raised.value.backtrace) == 64
        assert instance.exports.probe(3) == 3


@pytest.mark.parametrize("stack", [None, 128 * 1024, 256 * 1024, 1 << 20, 64 << 20, 256 << 20], ids=str)
@pytest.mark.parametrize("kind", RECURSION)
def test_from_threads_with_any_stack(make, kind, stack):
    instance = make(f"(module {RECURSION[kind]} {PROBE})")
    if stack is None:
        assert_exhausts(instance)
        return
    former = threading.stack_size(stack)
    try:
        threads = [Background(lambda: assert_exhausts(instance)) for _ in range(3)]
    finally:
        threading.stack_size(former)
    for thread in threads:
        thread.value(60)


@pytest.mark.parametrize("locals_", [100, 1000, 8000])
@pytest.mark.parametrize("stack", [None, 128 * 1024, 256 * 1024, 8 << 20], ids=str)
def test_huge_frames_do_not_jump_over_the_guard(make, locals_, stack):
    instance = make(f"(module {huge_frame(locals_)} {PROBE})")

    def run() -> None:
        for _ in range(3):
            with pytest.raises(Trap) as raised:
                instance.exports.go()
            assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
            assert instance.exports.probe(3) == 3

    if stack is None:
        run()
        return
    former = threading.stack_size(stack)
    try:
        thread = Background(run)
    finally:
        threading.stack_size(former)
    thread.value(60)


def test_through_imports_of_another_instance(make):
    one = make(
        """(module (table (export "t") 1 funcref)
        (func (export "f") (call_indirect (i32.const 0)) (call_indirect (i32.const 0))))"""
    )
    two = make(
        f"""(module (import "o" "f" (func $f)) (import "o" "t" (table 1 funcref)) (elem (i32.const 0) $g)
        (func $g (call $f) (call $f)) (func (export "go") (call $g)) {PROBE})""",
        {"o": one},
    )
    assert_exhausts(two)


def test_a_thousand_times(make):
    assert_exhausts(make(f"(module {RECURSION['direct']} {PROBE})"), 1000)


def test_a_host_function_with_little_stack_left_is_not_called(make, store):
    calls = []
    host = store.host_function(FunctionType((), ()), lambda: calls.append(None))
    instance = make(
        f"""(module (import "" "h" (func $h)) (global $depth (export "depth") (mut i32) (i32.const 0))
        (func $f (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $h) (call $f) (call $h))
        (func (export "go") (global.set $depth (i32.const 0)) (call $f)) {PROBE})""",
        {"": {"h": host}},
    )
    with pytest.raises(Trap) as raised:
        instance.exports.go()
    assert raised.value.kind is TrapKind.CALL_STACK_EXHAUSTED
    # The last level came to the call and found too little stack; all before had their call.
    assert len(calls) == instance.global_("depth").value - 1
    assert instance.exports.probe(1) == 1


@pytest.mark.parametrize("stack", [128 * 1024, 256 * 1024, 512 * 1024], ids=str)
def test_host_functions_run_on_small_stacks(make, store, stack):
    host = store.host_function(FunctionType((I32,), (I32,)), lambda value: value + 1)
    instance = make(
        f"""(module (import "" "h" (func $h (param i32) (result i32)))
        (func (export "go") (param i32) (result i32) (call $h (local.get 0))) {PROBE})""",
        {"": {"h": host}},
    )
    former = threading.stack_size(stack)
    try:
        thread = Background(lambda: instance.exports.go(4))
    finally:
        threading.stack_size(former)
    assert thread.value() == 5


PROGRAM = textwrap.dedent(
    """
    import sys, threading
    sys.path.insert(0, {root!r})
    from farcall.engine import Engine, FunctionType, Store, Trap, TrapKind
    from tests.engine.guests import wasm
    from tests.engine.runtime.test_stack_exhaustion import kept_values
    with Engine() as engine, Store(engine) as store:
        host = store.host_function(FunctionType((), ()), lambda: None)
        text = '''(module (import "" "h" (func $h)) (memory 1)
            (func $f (param i32) (call $f (local.get 0)) (call $f (local.get 0)))
            (func $g ''' + kept_values(1000, "(call $h) (call $g)") + ''')
            (func (export "go") (call $f (i32.const 1))) (func (export "host") (call $g))
            (func (export "probe") (result i32) (i32.const 7)))'''
        instance = store.instantiate(engine.load_module(wasm(text)), {{"": {{"h": host}}}})
        def check():
            for name in ["go", "host"] * 3:
                try:
                    instance.function(name)()
                except Trap as trap:
                    assert trap.kind is TrapKind.CALL_STACK_EXHAUSTED, trap
                else:
                    raise AssertionError("no trap")
                assert instance.exports.probe() == 7
        check()
        thread = threading.Thread(target=check)
        thread.start()
        thread.join()
        print("fine")
    """
)


@pytest.mark.parametrize("limit", ["unlimited", "1024", "65536", "1000000"])
def test_with_other_limits_of_the_main_threads_stack(limit):
    from pathlib import Path

    program = PROGRAM.format(root=str(Path(__file__).parents[3]))
    run = subprocess.run(
        ["sh", "-c", f'ulimit -s {limit} && exec "$0" -c "$1"', sys.executable, program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "ulimit" in run.stderr:
        pytest.skip(f"this machine allows no stack of {limit} KiB: {run.stderr.strip()}")
    assert run.stdout == "fine\n", (run.returncode, run.stderr[-2000:])
    assert run.returncode == 0
