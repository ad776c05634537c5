"""Keeping our handler of SIGSEGV and SIGBUS in front of those that come later.

Python's `faulthandler`, and libraries with handlers of their own, may be set up after the first engine was made. A
handler that is asked before ours may take a guest's trap for a crash, so ours is put in front of it again.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable

from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import PREVIOUS_HANDLER_WORDS

_FLAGS = c_library.SA_SIGINFO | c_library.SA_ONSTACK | c_library.SA_NODEFER

MakeEntry = Callable[[int], int]
"""From the address of the words about the handler of before to that of the machine code to install."""


class FaultSignal:
    """One signal by which faults come.

    Each time that another handler is found, ours is installed as another entry, of which nobody knows yet, with the
    one that was found as its handler of before. Entries are kept for ever: whoever came later may call them.
    """

    def __init__(self, number: signal.Signals, make_entry: MakeEntry) -> None:
        self._number = number
        self._make_entry = make_entry
        self._entries: dict[
            int, ctypes.Array[ctypes.c_uint64]
        ] = {}  # the oldest first; with the handler of before

    def ensure_installed(self) -> None:
        """Put our handler in front, if it is not."""
        present = c_library.signal_action(self._number)
        if (present.handler or 0) in self._entries:
            return
        previous = (ctypes.c_uint64 * PREVIOUS_HANDLER_WORDS)()
        _describe(previous, present)
        entry = self._make_entry(ctypes.addressof(previous))
        self._forget(present.handler or 0)
        self._entries[entry] = previous
        _describe(previous, c_library.set_signal_action(self._number, entry, _FLAGS))

    def _forget(self, handler: int) -> None:
        """Let no older entry hand faults on to a handler that was installed anew: it may hand them to that entry."""
        older: ctypes.Array[ctypes.c_uint64] | None = None
        for previous in self._entries.values():
            if handler and previous[0] == handler:
                previous[:] = [0] * PREVIOUS_HANDLER_WORDS if older is None else list(older)
            older = previous


def _describe(previous: ctypes.Array[ctypes.c_uint64], action: c_library.SignalAction) -> None:
    previous[:] = [action.handler or 0, action.flags & c_library.SA_SIGINFO]


class FaultSignals:
    """All signals by which faults come."""

    def __init__(self, make_entry: MakeEntry) -> None:
        # Reentrant: a handler of a signal may make an instance in the middle of this.
        self._lock = threading.RLock()
        self._signals = [FaultSignal(number, make_entry) for number in (signal.SIGSEGV, signal.SIGBUS)]
        self.ensure_installed()

    def ensure_installed(self) -> None:
        """Put our handlers in front, where they are not: two system calls where they are."""
        with self._lock:
            for fault_signal in self._signals:
                fault_signal.ensure_installed()
