"""The fast tier: functions are compiled when they are first called, with those that they call."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import Image, link
from farcall.engine.codegen.target import host_target
from farcall.engine.jobs import FOREGROUND, CompileJob, CompilePool, allowed_seconds
from farcall.engine.lowering import LoweringOptions, is_short, is_soon_compiled, lower_group
from farcall.engine.runtime.module_engine import wait_for_guest
from farcall.engine.runtime.native.compile_thread import start_with_stack
from farcall.engine.runtime.tiered_code import FAST, TieredCode
from farcall.engine.structure.module import FunctionBody, Module
from farcall.engine.tiers.compiled import Compiled
from farcall.engine.tiers.lookahead import Lookahead

_GROUP_TEXT = 80_000
"""Characters of LLVM IR after which nothing more is compiled along with what is called."""


class FastTier:
    """Gives functions their first code."""

    def __init__(
        self,
        options: LoweringOptions,
        pool: CompilePool,
        on_compiled: Callable[[TieredCode, LoweringOptions, Compiled], None],
    ) -> None:
        """Make one for code with these options.

        Parameters:
            options: of the tier `FAST`.
            pool: compiles what may take long.
            on_compiled: told of (code, the options, what was compiled).
        """
        self._options = options
        self._pool = pool
        self._on_compiled = on_compiled
        self._lookahead = Lookahead(options, pool, on_compiled)
        self._reset()
        _tiers.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, Future[None]] = {}  # by function index; guarded by _lock

    def forget(self) -> None:
        """In a forked process: what was being compiled is so in the parent only."""
        self._reset()
        self._lookahead.forget()

    def compile(self, code: TieredCode, index: int) -> None:
        """Compile function `index`, unless that is done; who needs the same function meanwhile waits for it.

        Raises:
            ExhaustionError: that would take too much time or memory.
            CompilerCrashError: the compiler crashed.
            TerminatedError: the guest is to stop, and does not wait for it.
        """
        ahead = self._lookahead.awaited(code, index)
        if ahead is not None:
            wait_for_guest(ahead)
            if code.is_compiled(index):
                return
        with self._lock:
            running = self._running.get(index)
            if running is None:
                started = start_with_stack(lambda: self._compile_group(code, index))
                running = self._running[index] = started
        wait_for_guest(running)

    def _compile_group(self, code: TieredCode, index: int) -> None:
        try:
            self._compile(code, index)
        finally:
            with self._lock:
                del self._running[index]

    def _compile(self, code: TieredCode, index: int) -> None:
        module = code.module
        first = module.imported_function_count
        if code.levels[index - first]:
            return
        started = time.perf_counter()
        body = module.functions[index - first]
        bodies: Sequence[FunctionBody] = [body]
        text = None
        if is_short(body):
            bodies, text = lower_group(
                module,
                code.layout,
                self._options,
                body,
                lambda called: not (code.levels[called - first] or self._lookahead.is_under_way(called)),
                _GROUP_TEXT,
            )
        if text is not None and is_soon_compiled(text, optimized=False):
            image = link([read_object(compile_to_object(text, host_target(), Optimization.FAST))])
        else:
            with self._lookahead.while_compiled_elsewhere(code):
                image = self._compile_elsewhere(module, [body.index for body in bodies])
        better = code.install(image, FAST)
        compiled = Compiled(better, len(image.content), time.perf_counter() - started)
        self._on_compiled(code, self._options, compiled)
        self._lookahead.called(code, index)

    def _compile_elsewhere(self, module: Module, functions: Sequence[int]) -> Image:
        """Compile what may take LLVM long, in a process that has limits."""
        seconds = allowed_seconds(module, functions, Optimization.FAST)
        job = CompileJob(module, functions, self._options, Optimization.FAST, FOREGROUND, seconds)
        return self._pool.submit(job).result().linked_image()


_tiers: weakref.WeakSet[FastTier] = weakref.WeakSet()


def _forget_all() -> None:
    for tier in list(_tiers):
        tier.forget()


os.register_at_fork(after_in_child=_forget_all)
