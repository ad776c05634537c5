"""The optimising tier: in other processes, functions are compiled well, and guests get the new code while they run.

What runs most comes first, by the counts of calls and turns of loops that code of the fast tier keeps; then, once
nothing runs much that is not optimised, all the rest.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.errors import (
    ClosedError,
    CompileLimitError,
    CompilerCrashError,
    EngineBug,
    ExhaustionError,
    QueueFullError,
)
from farcall.engine.jobs import BACKGROUND, LEISURE, CompiledImage, CompileJob, CompilePool
from farcall.engine.lowering import LoweringOptions, Tier, is_complex
from farcall.engine.runtime.tiered_code import OPTIMIZED, TieredCode
from farcall.engine.tiers.compiled import Compiled

_HOT = 200
"""Calls and turns of loops from which on a function runs much."""
_HOT_BATCH = 12 << 10
"""Bytes of bodies that are optimised at once while others run much: some tenths of a second."""
_SMALL_MODULE = 12 << 10
"""Bytes of bodies, with their locals, of a module that is optimised as a whole, so that all its calls are direct."""
_REST_BATCH = 64 << 10
"""Bytes of bodies of a batch of what does not run much; within one, calls are direct."""
_REST_AFTER = 1.0
"""Seconds without a first call of anything after which all the rest is optimised."""
_FAILURES = 20
"""Functions that could not be optimised after which all are given up, if they are not fewer than those that could."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25
"""Seconds between two looks at the counts; they double while nothing new runs much."""


@dataclass(slots=True, eq=False)
class _Watched:
    """Code that is not optimised altogether.

    Attributes:
        code: nobody but its users keeps it.
        options: of its optimised code.
        open: positions of the functions that are neither optimised, nor being so, nor given up.
        small: whether the module is optimised as a whole.
        under_way: how many batches are being compiled.
        failures: functions that could not be optimised.
        called_at: when a function was called that had no code, last.
    """

    code: weakref.ref[TieredCode]
    options: LoweringOptions
    open: set[int]
    small: bool
    under_way: int = 0
    failures: int = 0
    called_at: float = field(default_factory=time.monotonic)


class _Batch(NamedTuple):
    """Functions of some code that are compiled together, by a job."""

    watched: _Watched
    job: CompileJob

    @property
    def positions(self) -> list[int]:
        """Of its functions, among the module's own."""
        first = self.job.module.imported_function_count
        return [index - first for index in self.job.functions]


def _open(code: TieredCode) -> set[int]:
    """The functions that may still be optimised."""
    return {position for position, level in enumerate(code.levels) if level != OPTIMIZED} - code.given_up


class Optimizer:
    """Optimises the code of one engine's modules in the background. Thread-safe."""

    def __init__(
        self,
        pool: CompilePool,
        on_compiled: Callable[[TieredCode, Compiled], None],
        on_through: Callable[[TieredCode], None] = lambda _code: None,
    ) -> None:
        """Make one; it does nothing until it is told of code.

        Parameters:
            pool: compiles.
            on_compiled: told of (code, what was compiled).
            on_through: told of code that is optimised as far as it will be, before it counts as that.
        """
        self._pool = pool
        self._on_compiled = on_compiled
        self._on_through = on_through
        self._closed = False
        self._reset()
        _optimizers.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._watched: dict[
            int, _Watched
        ] = {}  # by identity of the code; guarded by _lock, like all that follows
        self._tickets: dict[Future[CompiledImage], _Batch] = {}
        self._thread: threading.Thread | None = None
        self._news = False

    def forget(self) -> None:
        """In a forked process: thread and jobs are the parent's. The next first call of anything begins anew."""
        watched = list(self._watched.values())
        self._reset()
        for entry in watched:
            code = entry.code()
            if code is not None:
                entry.open = _open(code)
                entry.under_way = 0
                self._watched[id(code)] = entry

    # -- For those who run guests ----------------------------------------------------------------------------------

    def called(self, code: TieredCode, options: LoweringOptions) -> None:
        """A function of some code was called that had been compiled fast for that."""
        with self._lock:
            if self._closed:
                return
            watched = self._watched.get(id(code))
            if watched is None or watched.code() is not code:
                optimized = replace(options, tier=Tier.OPTIMIZED)
                small = code.module.functions.code_bytes <= _SMALL_MODULE
                self._watched[id(code)] = _Watched(weakref.ref(code), optimized, _open(code), small)
            else:
                watched.called_at = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="farcall-optimizer", daemon=True)
                self._thread.start()
            self._news = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop; what is under way is given up. Closing twice is nothing."""
        with self._lock:
            self._closed = True
            self._watched.clear()
            tickets = list(self._tickets)
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        for ticket in tickets:
            ticket.cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def idle(self) -> bool:
        """Whether all code that it was told of is optimised as far as it will be."""
        with self._lock:
            return not self._watched and not self._tickets

    # -- The thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            with self._lock:
                self._changed.wait_for(lambda: self._closed or self._news, pause)
                if self._closed:
                    return
                if self._news:
                    pause, self._news = _SHORTEST_PAUSE, False
            self._give_up_unwanted()
            started = self._start_batches()
            pause = _SHORTEST_PAUSE if started else min(2 * pause, _LONGEST_PAUSE)
            with self._lock:
                if not self._watched and not self._tickets and not self._news:
                    self._thread = None
                    return

    def _give_up_unwanted(self) -> None:
        """End batches of code that nobody uses any more."""
        with self._lock:
            tickets = [ticket for ticket, batch in self._tickets.items() if batch.watched.code() is None]
        for ticket in tickets:
            ticket.cancel()

    def _start_batches(self) -> bool:
        """Start as many batches as there are processes; whether there was any to start."""
        started = False
        while True:
            with self._lock:
                full = self._closed or len(self._tickets) >= self._pool.processes
                watched = list(self._watched.values())
            batch = None if full else self._choose(watched)
            if batch is None or not self._start(batch):
                return started
            started = True

    def _choose(self, watched: Sequence[_Watched]) -> _Batch | None:
        """What is to be optimised next: the code with the function that runs most, else one that has been quiet.

        Code of which less is being optimised goes before that of which more is: none keeps the others waiting.
        """
        claim: tuple[float, int] = (-math.inf, 0)
        chosen, hot = None, []
        quiet: _Watched | None = None
        now = time.monotonic()
        for entry in watched:
            code = entry.code()
            if code is None or not (entry.open or entry.under_way):
                if code is not None:
                    self._on_through(code)
                self._forget(entry)
                continue
            counts = code.counts()
            # All counts first, since next to none are high, and this thread shall not keep the others' waiting.
            high = [position for position, count in enumerate(counts) if count >= _HOT]
            running = [position for position in high if position in entry.open]
            if running:
                running.sort(key=counts.__getitem__, reverse=True)
                if (-entry.under_way, counts[running[0]]) > claim:
                    claim, chosen, hot = (-entry.under_way, counts[running[0]]), entry, running
            elif entry.open and now - entry.called_at >= _REST_AFTER and quiet is None:
                quiet = entry
        if chosen is not None:
            return self._batch(chosen, hot, _HOT_BATCH, BACKGROUND)
        if quiet is not None:
            return self._batch(quiet, sorted(quiet.open), _REST_BATCH, LEISURE)
        return None

    def _forget(self, entry: _Watched) -> None:
        with self._lock:
            for key in [key for key, known in self._watched.items() if known is entry]:
                del self._watched[key]

    def _batch(self, entry: _Watched, positions: Sequence[int], limit: int, priority: int) -> _Batch | None:
        """The first of the functions that can be optimised, up to so many bytes of bodies; they are open no more."""
        code = entry.code()
        if code is None:
            return None
        module = code.module
        if entry.small:
            positions, limit = sorted(entry.open), _SMALL_MODULE
        functions: list[int] = []
        size = 0
        for position in positions:
            body = module.functions[position]
            if functions and size + body.end - body.start > limit:
                break
            entry.open.discard(position)
            if code.levels[position] != OPTIMIZED and not is_complex(module, body):  # else it stays as it is
                functions.append(body.index)
                size += body.end - body.start
        if not functions:
            return None
        return _Batch(entry, CompileJob(module, tuple(functions), entry.options, Optimization.FULL, priority))

    def _start(self, batch: _Batch) -> bool:
        """Have a batch compiled. Whether the pool takes it."""
        try:
            ticket = self._pool.submit(batch.job)
        except (ClosedError, QueueFullError):
            batch.watched.open.update(batch.positions)
            return False
        with self._lock:
            batch.watched.under_way += 1
            self._tickets[ticket] = batch
        ticket.add_done_callback(self._done)
        return True

    def _done(self, ticket: Future[CompiledImage]) -> None:
        """A batch is compiled, or cannot be: then its halves are tried, and what cannot be alone is given up."""
        with self._lock:
            batch = self._tickets[ticket]
        try:
            if not ticket.cancelled():
                self._take(batch, ticket)
        finally:  # not before, or the code would count as optimised too early
            with self._lock:
                del self._tickets[ticket]
                batch.watched.under_way -= 1
                self._news = True
                self._changed.notify_all()

    def _take(self, batch: _Batch, ticket: Future[CompiledImage]) -> None:
        error = ticket.exception()
        if error is None:
            self._install(batch, ticket.result())
        elif not isinstance(error, ExhaustionError | CompilerCrashError | EngineBug):
            return
        elif len(batch.job.functions) > 1:
            for half in batch.job.halves():
                self._start(_Batch(batch.watched, half))
        else:
            self._give_up(batch, error)

    def _give_up(self, batch: _Batch, error: BaseException) -> None:
        """A function stays as it is. That a limit was in the way is remembered: it will be in the way again.

        A crash may have been the system's doing. Another time, it takes no longer than until there.
        """
        watched, code = batch.watched, batch.watched.code()
        if code is None:
            return
        watched.failures += 1
        if isinstance(error, CompileLimitError):
            code.give_up(batch.positions)
            if watched.failures >= max(_FAILURES, code.functions_by_tier()[2]):
                code.give_up(watched.open)
                watched.open.clear()

    def _install(self, batch: _Batch, result: CompiledImage) -> None:
        code = batch.watched.code()
        if code is not None:  # else nobody uses it any more
            image = result.linked_image()
            better = code.install(image, OPTIMIZED)
            self._on_compiled(code, Compiled(better, len(image.content), result.seconds))


_optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()


def _forget_all() -> None:
    for optimizer in list(_optimizers):
        optimizer.forget()


os.register_at_fork(after_in_child=_forget_all)
