"""Handlers of SIGSEGV that are installed after the first engine was made: guests' traps stay traps, crashes crashes."""

from __future__ import annotations

import signal

import pytest

from tests.engine.runtime.test_process_events import run

CHAINING = """
import wasmtime
from farcall.engine.runtime.native import c_library, machine
from farcall.engine.runtime.native.traps import address

class Chaining:
    '''A handler that remembers whose place it takes, and hands all faults to it.'''

    def __init__(self):
        self.former = (ctypes.c_uint64 * 1)()
        place = address(ctypes.addressof(self.former))
        self.code = machine._compile(f'''
        define void @h(i32 %signal, ptr %information, ptr %context) #0 {{
          %former = load ptr, ptr {place}
          call void %former(i32 %signal, ptr %information, ptr %context)
          ret void
        }}''')

    def install(self):
        flags = c_library.SA_SIGINFO | c_library.SA_ONSTACK | c_library.SA_NODEFER
        action = c_library.set_signal_action(signal.SIGSEGV, self.code.addresses["h"], flags)
        self.former[0] = action.handler

def present():
    return c_library.signal_action(signal.SIGSEGV).handler
"""


class TestFaulthandler:
    @pytest.mark.parametrize(
        "event",
        [
            "make('(module)')",
            "thread = threading.Thread(target=assert_traps); thread.start(); thread.join()",
            "Engine().compile_module(guest.module)",
        ],
    )
    def test_enabled_late_it_does_not_see_traps(self, event):
        outcome = run(
            f"""
            assert_traps()
            faulthandler.enable()
            {event}
            assert_traps()
            print("fine")
            """
        )
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "fine\n", "")

    def test_enabled_late_it_sees_crashes(self):
        outcome = run(
            """
            faulthandler.enable()
            make('(module)')
            assert_traps()
            print("trapped", flush=True)
            ctypes.string_at(0)
            """
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n")
        assert outcome.stderr.count("Fatal Python error: Segmentation fault") == 1
        assert "string_at" in outcome.stderr

    def test_switched_on_and_off_many_times(self):
        outcome = run(
            """
            for _ in range(5):
                faulthandler.enable()
                make('(module)')
                assert_traps()
                faulthandler.disable()
                assert_traps()
                make('(module)')
                assert_traps()
            faulthandler.enable()
            make('(module)')
            print("trapped", flush=True)
            ctypes.string_at(0)
            """
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n")
        assert outcome.stderr.count("Fatal Python error: Segmentation fault") == 1

    def test_switched_off_crashes_are_plain(self):
        outcome = run(
            """
            faulthandler.enable()
            make('(module)')
            faulthandler.disable()
            make('(module)')
            ctypes.string_at(0)
            """
        )
        assert (outcome.returncode, outcome.stderr) == (-signal.SIGSEGV, "")


class TestOtherHandlers:
    def test_the_default_action_in_its_place(self):
        outcome = run(
            """
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            make('(module)')
            assert_traps()
            print("trapped", flush=True)
            ctypes.string_at(0)
            """
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n")

    def test_another_runtime_in_the_same_process(self):
        """Both take their own faults, whoever came first, and crashes are nobody's."""
        outcome = run(
            CHAINING
            + """
text = '(module (memory 1) (func (export "read") (param i32) (result i32) (i32.load (local.get 0))))'
def assert_theirs_traps():
    try:
        read(other, 65536)
    except wasmtime.Trap as error:
        assert "out of bounds" in str(error), error
    else:
        raise AssertionError("no trap")
ours = present()
other = wasmtime.Store()
read = wasmtime.Instance(other, wasmtime.Module(other.engine, text), []).exports(other)["read"]
for _ in range(3):
    assert_theirs_traps()
    assert_traps()
    make('(module)')
assert present() != ours
for _ in range(200):
    assert_theirs_traps()
    assert_traps()
print("trapped", flush=True)
ctypes.string_at(0)
"""
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n"), outcome

    @pytest.mark.parametrize("handlers", [1, 2])
    def test_handlers_that_are_installed_again_and_again(self, handlers):
        """Each time they remember our newest handler, which then remembers them: a crash must not go round for ever."""
        outcome = run(
            CHAINING
            + f"""
chaining = [Chaining() for _ in range({handlers})]
for _ in range(3):
    for handler in chaining:
        handler.install()
        make('(module)')
        assert_traps()
print("trapped", flush=True)
ctypes.string_at(0)
"""
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n"), outcome

    def test_a_circle_of_handlers_ends(self):
        """What nobody could see: the handler of before hands faults to the one that came after it."""
        outcome = run(
            CHAINING
            + """
handler = Chaining()
handler.install()
make('(module)')
handler.former[0] = present()
assert_traps()
print("trapped", flush=True)
ctypes.string_at(0)
"""
        )
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGSEGV, "trapped\n"), outcome

    def test_nothing_is_installed_where_ours_is_in_front(self):
        outcome = run(
            CHAINING
            + """
ours = present()
for _ in range(3):
    make('(module)')
    assert present() == ours
faulthandler.enable()
assert present() != ours
make('(module)')
newer = present()
for _ in range(3):
    make('(module)')
    assert present() == newer
print("fine")
"""
        )
        assert (outcome.returncode, outcome.stdout) == (0, "fine\n"), outcome
