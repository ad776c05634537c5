"""What happens to the process around guests: foreign faults, signals, forks, threads that end, the end of Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from farcall.engine import FunctionType, Trap
from tests.engine.guests import Background, mappings

ROOT = str(Path(__file__).parents[3])

PREAMBLE = """
import ctypes, faulthandler, os, signal, sys, threading, time
from farcall.engine import Engine, FunctionType, I32, Store, Trap, TrapKind
from tests.engine.guests import wasm
engine = Engine()
store = Store(engine)
def make(text, imports={}):
    return store.instantiate(engine.load_module(wasm(text)), imports)
waiter = make('(module (memory 1 1 shared) (func (export "wait") (result i32)'
              ' (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))')
guest = make('(module (memory 1) (func (export "trap") unreachable) (func (export "spin") (loop (br 0)))'
             ' (func (export "read") (param i32) (result i32) (i32.load (local.get 0)))'
             ' (func (export "fill") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))))')
def assert_traps():
    for name, arguments in ("trap", ()), ("read", (65536,)):
        try:
            guest.function(name)(*arguments)
        except Trap:
            pass
        else:
            raise AssertionError("no trap")
"""


def run(program: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=ROOT,
    )


class TestForeignFaults:
    @pytest.mark.parametrize(
        "crash",
        [
            "ctypes.string_at(0)",
            "ctypes.memset(8, 0, 1)",
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "ctypes.string_at(engine_memory)",
        ],
    )
    def test_a_crash_elsewhere_kills_the_process_as_ever(self, crash):
        """Also one in the guests' reservation, when no guest runs."""
        outcome = run(
            f"""
            from farcall.engine.runtime.native.machine import native_runtime
            engine_memory = native_runtime().space.memories.end - 4096
            assert_traps()
            {crash}
            time.sleep(1)
            print("swallowed")
            """
        )
        assert outcome.returncode == -signal.SIGSEGV, outcome
        assert outcome.stdout == ""

    def test_in_a_host_function_too(self):
        outcome = run(
            """
            host = store.host_function(FunctionType((), ()), lambda: ctypes.string_at(0))
            outer = make('(module (import "" "h" (func $h)) (func (export "go") (call $h)))', {"": {"h": host}})
            outer.exports.go()
            print("swallowed")
            """
        )
        assert outcome.returncode == -signal.SIGSEGV, outcome
        assert outcome.stdout == ""

    def test_in_another_thread_while_guests_trap(self):
        outcome = run(
            """
            def trap():
                while True:
                    assert_traps()
            threading.Thread(target=trap, daemon=True).start()
            time.sleep(0.1)
            ctypes.string_at(0)
            """
        )
        assert outcome.returncode == -signal.SIGSEGV, outcome

    def test_the_handler_of_before_is_called(self):
        """Python's fault handler, enabled first, prints where Python was; traps do not disturb it."""
        program = (
            "import faulthandler; faulthandler.enable()\n"
            + PREAMBLE
            + "assert_traps()\nctypes.string_at(0)\n"
        )
        outcome = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
        )
        assert outcome.returncode == -signal.SIGSEGV, outcome
        assert "Fatal Python error: Segmentation fault" in outcome.stderr
        assert "string_at" in outcome.stderr

    def test_nothing_is_printed_about_traps(self):
        program = (
            "import faulthandler; faulthandler.enable()\n" + PREAMBLE + "assert_traps()\nstore.close()\n"
        )
        outcome = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
        )
        assert (outcome.returncode, outcome.stderr) == (0, "")


class TestSignals:
    LOOP = """(module (import "" "h" (func $h)) (func (export "go") (param i32) (local i32)
        (loop (local.set 1 (i32.const 200000))
          (loop (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
          (call $h)
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""

    def test_ctrl_c_ends_a_guest_that_calls_host_functions(self, make, store):
        """The signal comes while the guest runs; Python sees it before the first instruction of the callback."""
        calls = []
        host = store.host_function(FunctionType((), ()), lambda: calls.append(None))
        instance = make(self.LOOP, {"": {"h": host}})
        for _ in range(10):
            timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                instance.exports.go(1_000_000)
            timer.join()
        calls.clear()
        instance.exports.go(5)
        assert len(calls) == 5

    def test_what_a_signals_handler_raises_comes_through_as_it_is(self, make, store):
        def handler(*_) -> None:
            raise TimeoutError("alarm")

        host = store.host_function(FunctionType((), ()), lambda: None)
        instance = make(self.LOOP, {"": {"h": host}})

        def go_until_the_alarm() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            instance.exports.go(1_000_000)

        former = signal.signal(signal.SIGALRM, handler)
        try:
            for _ in range(10):
                with pytest.raises(TimeoutError, match="alarm") as raised:
                    go_until_the_alarm()
                assert raised.traceback[-1].name == "handler"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    def test_handlers_that_return_do_not_disturb_guests(self, make, store):
        seen = []
        calls = []
        host = store.host_function(FunctionType((), ()), lambda: calls.append(None))
        instance = make(self.LOOP, {"": {"h": host}})
        former = signal.signal(signal.SIGALRM, lambda *_: seen.append(None))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            instance.exports.go(3000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)
        assert len(calls) == 3000
        assert seen


class TestFork:
    def test_guests_run_and_trap_in_the_child_and_in_the_parent(self):
        outcome = run(
            """
            import warnings
            warnings.simplefilter("ignore")
            shared = make('(module (memory (export "m") 1) (func (export "put") (param i32)'
                          ' (i32.store (i32.const 0) (local.get 0))))')
            shared.exports.put(1)
            assert_traps()
            child = os.fork()
            if child == 0:
                shared.exports.put(2)
                assert_traps()
                thread = threading.Thread(target=assert_traps)
                thread.start()
                thread.join()
                invocation = guest.function("spin").invocation(())
                threading.Timer(0.05, invocation.terminate, ("enough",)).start()
                try:
                    invocation.run()
                except Exception as error:
                    assert "enough" in str(error)
                with Store(engine) as other:
                    other.instantiate(engine.load_module(wasm('(module (memory 1))')))
                store.close()
                engine.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert shared.memory("m").read(0, 1) == b"\\1"
            assert_traps()
            store.close()
            print("fine")
            """
        )
        assert outcome.stdout == "fine\n", outcome


class TestThreads:
    def test_two_thousand_threads_leave_nothing(self, make):
        instance = make(
            '(module (func (export "f") (param i32) (result i32) (local.get 0)) (func (export "trap") unreachable))'
        )

        def work() -> int:
            with pytest.raises(Trap):
                instance.exports.trap()
            return instance.exports.f(3)

        def round_of(count: int) -> None:
            for _ in range(count // 20):
                for thread in [Background(work) for _ in range(20)]:
                    assert thread.value() == 3

        round_of(200)
        before = len(mappings())
        round_of(2000)
        assert len(mappings()) <= before + 20

    def test_a_thread_without_guests_costs_nothing(self, make):
        from farcall.engine.runtime.native.machine import native_runtime

        make("(module)")
        runtime = native_runtime()

        def known() -> bool:
            from farcall.engine.runtime.native import c_library

            return bool(c_library.get_thread_specific(runtime._key))

        assert Background(known).value() is False


class TestEndOfThePython:
    @pytest.mark.parametrize("guest", ["guest.exports.spin", "guest.exports.fill", "waiter.exports.wait"])
    def test_with_a_daemon_thread_in_a_guest(self, guest):
        for _ in range(5):
            outcome = run(
                f"""
                threading.Thread(target={guest}, daemon=True).start()
                time.sleep(0.05)
                print("end")
                """
            )
            assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "end\n", "")

    def test_with_a_daemon_thread_in_a_guest_that_calls_the_host(self):
        for _ in range(5):
            outcome = run(
                """
                host = store.host_function(FunctionType((), ()), lambda: None)
                outer = make('(module (import "" "h" (func $h)) (func (export "go") (loop (call $h) (br 0))))',
                             {"": {"h": host}})
                threading.Thread(target=outer.exports.go, daemon=True).start()
                time.sleep(0.05)
                print("end")
                """
            )
            assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "end\n", "")

    def test_with_a_first_call_when_the_interpreter_ends(self):
        outcome = run(
            """
            import atexit
            engine = Engine(code_policy="fast")
            store = Store(engine)
            late = make('(module (func (export "f") (result f32) (f32.const 2)))')
            atexit.register(lambda: print(late.exports.f()))
            print("end")
            """
        )
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "end\n2.0\n", "")

    def test_without_closing_anything(self):
        outcome = run("assert_traps()\n")
        assert (outcome.returncode, outcome.stderr) == (0, "")

    def test_the_loop_is_not_ended_by_the_end_of_another_thread(self, make):
        instance = make('(module (func (export "spin") (loop (br 0))))')
        invocation = instance.function("spin").invocation(())
        spinning = Background(invocation.run)
        for _ in range(50):
            Background(lambda: None).value()
        time.sleep(0.02)
        assert spinning.running
        invocation.terminate("done")
        spinning.join()
