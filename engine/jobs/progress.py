"""How far compiling a module is, and the end of waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from farcall.engine.errors import CompileCancelledError


@dataclass(frozen=True, slots=True)
class CompileProgress:
    """How far compiling a module is.

    Attributes:
        functions: how many are to be compiled.
        optimized: how many of them are compiled by the optimising tier.
        fast: how many are compiled without optimisation.
        bytes: size of all their bodies.
        bytes_done: size of the bodies of those that are compiled.
    """

    functions: int
    optimized: int
    fast: int
    bytes: int
    bytes_done: int

    @property
    def done(self) -> int:
        """How many functions are compiled."""
        return self.optimized + self.fast


ProgressListener = Callable[[CompileProgress], object]
"""Is told each time that something more is compiled, in a thread of the engine's."""


class Cancellation:
    """A wish that something is not waited for any longer; another thread can have it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False  # guarded by _lock
        self._listeners: list[Callable[[], object]] = []  # guarded by _lock

    def cancel(self) -> None:
        """Have it. Twice is once."""
        with self._lock:
            self._cancelled = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def attach(self, listener: Callable[[], object]) -> None:
        """Call the listener when it is cancelled: at once, if it is already."""
        with self._lock:
            if not self._cancelled:
                self._listeners.append(listener)
                return
        listener()

    def check(self) -> None:
        """Raise CompileCancelledError if it is cancelled."""
        if self._cancelled:
            raise CompileCancelledError
