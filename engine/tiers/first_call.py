"""The fast tier: functions are compiled when they are first called, with those that they call."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.lowering import LoweringOptions, lower_group
from farcall.engine.runtime.tiered_code import FAST, TieredCode
from farcall.engine.tiers.batch import compile_batch

_GROUP_TEXT = 12_000
"""Characters of LLVM IR after which nothing more is compiled along with what is called."""


class _Compiler:
    """Threads that compile for threads that run guests, which may have less of their stack left than LLVM needs."""

    def __init__(self) -> None:
        self._start()
        os.register_at_fork(after_in_child=self._start)  # threads are not forked

    def _start(self) -> None:
        self._executor = ThreadPoolExecutor(2, "farcall-first-call")

    def run(self, task: Callable[[], None]) -> None:
        """Run the task in one of the threads, and wait. Raises what it raises."""
        self._executor.submit(task).result()


_compiler = _Compiler()


class FastTier:
    """Gives functions their first code."""

    def __init__(
        self, options: LoweringOptions, on_compiled: Callable[[TieredCode, int, float], None]
    ) -> None:
        """Make one for code with these options.

        Parameters:
            options: of the tier `FAST`.
            on_compiled: told of (code, how many functions were compiled, seconds).
        """
        self._options = options
        self._on_compiled = on_compiled
        self._lock = threading.Lock()
        self._running: dict[int, Future[None]] = {}  # by function index; guarded by _lock

    def compile(self, code: TieredCode, index: int) -> None:
        """Compile function `index`, unless that is done; who needs the same function meanwhile waits for it.

        Raises:
            ExhaustionError: that would take too much time or memory.
        """
        with self._lock:
            running = self._running.get(index)
            if running is None:
                mine = self._running[index] = Future()
        if running is not None:
            running.result()
            return
        try:
            _compiler.run(lambda: self._compile_group(code, index))
        except BaseException as error:
            self._end(index, mine, error)
            raise
        self._end(index, mine, None)

    def _end(self, index: int, mine: Future[None], error: BaseException | None) -> None:
        with self._lock:
            del self._running[index]
        if error is None:
            mine.set_result(None)
        else:
            mine.set_exception(error)

    def _compile_group(self, code: TieredCode, index: int) -> None:
        module = code.module
        first = module.imported_function_count
        if code.levels[index - first]:
            return
        started = time.perf_counter()
        bodies, text = lower_group(
            module,
            code.layout,
            self._options,
            module.functions[index - first],
            lambda called: not code.levels[called - first],
            _GROUP_TEXT,
        )
        compiled, _ = compile_batch(bodies, text, Optimization.FAST)
        better = code.install(link([read_object(compiled)]), FAST)
        self._on_compiled(code, better, time.perf_counter() - started)
