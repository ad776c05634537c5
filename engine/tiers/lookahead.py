"""Functions that are likely to be called soon, compiled by other processes while the guest runs and compiles.

A function that is called calls others for certain, unless it traps, and these call others again: they are compiled in
jobs, in the order in which they become known. What it calls only if some condition holds is compiled by cores that
would have nothing to do: about a third of that is called in the end.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from farcall.engine.binary.function_facts import known_facts
from farcall.engine.codegen.compiler import Optimization
from farcall.engine.errors import ClosedError, QueueFullError
from farcall.engine.jobs import AHEAD, LARGE_CODE_BYTES, CompiledImage, CompileJob, CompilePool
from farcall.engine.lowering import LoweringOptions
from farcall.engine.runtime.tiered_code import FAST, TieredCode
from farcall.engine.tiers.compiled import Compiled

_BATCH = 4 << 10
"""Bytes of bodies of a job: about 50 ms."""
_PATIENCE = 0.5
"""Seconds without a first call after which nothing more is compiled ahead."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Functions that are being compiled.

    Attributes:
        functions: their indices.
        size: bytes of their bodies.
        ended: done when they are installed, or will not be.
    """

    functions: Sequence[int]
    size: int
    ended: Future[None] = field(default_factory=Future)


class Lookahead:
    """Compiles functions of one module's code ahead of their first calls. Thread-safe."""

    def __init__(
        self,
        options: LoweringOptions,
        pool: CompilePool,
        on_compiled: Callable[[TieredCode, LoweringOptions, Compiled], None],
    ) -> None:
        """Begin nothing yet: see `FastTier`."""
        self._options = options
        self._pool = pool
        self._on_compiled = on_compiled
        self.forget()

    def forget(self) -> None:
        """In a forked process: what was being compiled is so in the parent only."""
        self._lock = threading.Lock()
        self._ready: bool | None = (
            None  # None where nobody has asked; guarded by _lock, like all that follows
        )
        self._called: set[int] = set()  # functions that were called, or are certain to be
        self._certain: deque[int] = deque()  # those of them that had no code when that became known
        self._seen: set[int] = set()  # what is, or was, among the following
        self._possible: deque[int] = deque()  # what called functions may call as well
        self._called_at = 0.0
        self._elsewhere = 0  # guests that wait for jobs of their own
        self._batches: dict[int, _Batch] = {}  # by function

    @contextlib.contextmanager
    def while_compiled_elsewhere(self, code: TieredCode) -> Iterator[None]:
        """As long as this is entered, a guest waits for a job of its own, which takes long, and compiles nothing."""
        with self._lock:
            self._elsewhere += 1
        self._go_on(code)
        try:
            yield
        finally:
            with self._lock:
                self._elsewhere -= 1

    def awaited(self, code: TieredCode, index: int) -> Future[None] | None:
        """What to wait for where function `index` is being compiled, and not sooner by whoever wants it."""
        batch = self._batches.get(index)
        if batch is None:
            return None
        body = code.module.functions[index - code.module.imported_function_count]
        return batch.ended if 2 * (body.end - body.start) >= batch.size else None

    def is_under_way(self, index: int) -> bool:
        """Whether function `index` is being compiled."""
        return index in self._batches

    def called(self, code: TieredCode, index: int) -> None:
        """Function `index` was compiled because it is called."""
        if self._pool.processes < 2 or code.module.functions.code_bytes < LARGE_CODE_BYTES:
            return
        with self._lock:
            self._called_at = time.monotonic()
            self._add_callees(code, index)
            first_time, self._ready = self._ready is None, bool(self._ready)
        if first_time:
            self._get_ready(code)
        else:
            self._go_on(code)

    def _get_ready(self, code: TieredCode) -> None:
        """Have the processes started, by a job for nothing: nobody is to wait that long for functions in a batch."""
        reference = weakref.ref(code)

        def started(ticket: Future[CompiledImage]) -> None:
            with self._lock:
                self._ready = not ticket.cancelled() and ticket.exception() is None
            code = reference()
            if code is not None:
                self._go_on(code)

        ticket = self._submit(code, ())
        if ticket is not None:
            ticket.add_done_callback(started)

    def _go_on(self, code: TieredCode) -> None:
        """Have as much compiled as there are cores that neither the guest nor its own compiling needs.

        What is not certain to be called has to leave another one idle, as it may be a thread of a core that does work,
        unless the guest does not compile.
        """
        while True:
            with self._lock:
                busy = {id(batch) for batch in self._batches.values()}
                late = not self._elsewhere and time.monotonic() - self._called_at > _PATIENCE
                cores = self._pool.processes - 1
                if late or not self._ready or len(busy) >= cores:
                    return
                batch = self._next_batch(code, self._certain)
                if batch is None and (self._elsewhere or len(busy) < cores - 1):
                    batch = self._next_batch(code, self._possible)
                if batch is None:
                    return
                self._batches.update(dict.fromkeys(batch.functions, batch))
            ticket = self._submit(code, batch.functions)
            if ticket is None:
                self._end(batch)
                return
            ticket.add_done_callback(self._taker(weakref.ref(code), batch))

    def _next_batch(self, code: TieredCode, candidates: deque[int]) -> _Batch | None:
        functions: list[int] = []
        size = 0
        while candidates and size < _BATCH:
            index = candidates.popleft()
            if not code.is_compiled(index) and index not in self._batches:
                body = code.module.functions[index - code.module.imported_function_count]
                functions.append(index)
                size += body.end - body.start
        return _Batch(functions, size) if functions else None

    def _add_callees(self, code: TieredCode, called: int) -> None:
        """Note what a called function is certain to call, and what these are, and so on; and what all may call."""
        module, first = code.module, code.module.imported_function_count
        if called in self._called:
            return
        self._called.add(called)
        rest = deque([called])
        while rest:
            facts = known_facts(module, rest.popleft() - first)
            if facts is None:  # they would have to be read, which takes long
                continue
            for callee in facts.certain_callees:
                if callee >= first and callee not in self._called:
                    self._called.add(callee)
                    rest.append(callee)
                    if not code.is_compiled(callee):
                        self._certain.append(callee)
            for callee in facts.callees:
                if callee >= first and callee not in self._seen and not code.is_compiled(callee):
                    self._seen.add(callee)
                    self._possible.append(callee)

    def _submit(self, code: TieredCode, functions: Sequence[int]) -> Future[CompiledImage] | None:
        job = CompileJob(code.module, functions, self._options, Optimization.FAST, AHEAD)
        try:
            return self._pool.submit(job)
        except (ClosedError, QueueFullError):
            return None

    def _taker(
        self, reference: weakref.ref[TieredCode], batch: _Batch
    ) -> Callable[[Future[CompiledImage]], None]:
        def take(ticket: Future[CompiledImage]) -> None:
            code = reference()
            try:
                if code is not None and not ticket.cancelled() and ticket.exception() is None:
                    self._install(code, batch, ticket.result())
            finally:
                self._end(batch)
            if code is not None:
                self._go_on(code)

        return take

    def _install(self, code: TieredCode, batch: _Batch, result: CompiledImage) -> None:
        image = result.linked_image()
        better = code.install(image, FAST)
        self._on_compiled(code, self._options, Compiled(better, len(image.content), result.seconds))

    def _end(self, batch: _Batch) -> None:
        with self._lock:
            for index in batch.functions:
                self._batches.pop(index, None)
        batch.ended.set_result(None)
