"""All functions of a module before somebody goes on: compiled well, or as well as the policy says, with progress."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import replace

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.errors import (
    CompileCancelledError,
    CompileLimitError,
    CompilerCrashError,
    ExhaustionError,
)
from farcall.engine.jobs import (
    FOREGROUND,
    CompileJob,
    CompilePool,
    CompileTicket,
    allowed_seconds,
    split_into_batches,
)
from farcall.engine.jobs.limits import CompileLimits
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener
from farcall.engine.lowering import LoweringOptions, Tier, is_complex
from farcall.engine.runtime.tiered_code import FAST, OPTIMIZED, TieredCode
from farcall.engine.structure.module import Module


class Completion:
    """The functions of some code that are not compiled as well as they are to be, on their way to that."""

    def __init__(
        self,
        pool: CompilePool,
        limits: CompileLimits,
        code: TieredCode,
        options: LoweringOptions,
        report: ProgressListener,
        cancellation: Cancellation,
    ) -> None:
        """Begin nothing yet.

        Parameters:
            options: of the code; the tier does not matter.
            report: told how far it is.
            cancellation: when to give it up.
        """
        self._pool = pool
        self._limits = limits
        self._code = code
        self._options = options
        self._report = report
        self._cancellation = cancellation
        self._waiting: dict[CompileTicket, tuple[Sequence[int], Optimization]] = {}
        self._ended: queue.SimpleQueue[CompileTicket | None] = queue.SimpleQueue()

    def run(self, level: int) -> None:
        """Have all functions compiled.

        Parameters:
            level: `FAST` or `OPTIMIZED`. What would take too long to optimise is compiled fast all the same.

        Raises:
            CompileCancelledError: it was given up.
            ExhaustionError: it takes too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed on a function, without optimisation too.
        """
        self._cancellation.check()
        self._cancellation.attach(lambda: self._ended.put(None))
        module, levels = self._code.module, self._code.levels
        well: list[int] = []
        fast: list[int] = []
        for body, now in zip(module.functions, bytes(levels), strict=True):
            if level == OPTIMIZED and now < OPTIMIZED and not is_complex(module, body):
                well.append(body.index)
            elif now < FAST:
                fast.append(body.index)
        try:
            for functions, optimization in ((well, Optimization.FULL), (fast, Optimization.FAST)):
                for batch in split_into_batches(module, functions, self._pool.processes):
                    self._submit(batch, optimization)
            if self._waiting:
                self._report_progress()
            while self._waiting:
                ticket = self._ended.get()
                self._cancellation.check()
                if ticket in self._waiting:
                    assert ticket is not None
                    self._take(ticket, *self._waiting.pop(ticket))
        finally:
            for ticket in self._waiting:
                ticket.cancel()

    def _submit(self, functions: Sequence[int], optimization: Optimization) -> None:
        module = self._code.module
        tier = Tier.OPTIMIZED if optimization is Optimization.FULL else Tier.FAST
        seconds = self._limits.allowed(allowed_seconds(module, functions, optimization))
        options = replace(self._options, tier=tier)
        ticket = self._pool.submit(
            CompileJob(module, tuple(functions), options, optimization, FOREGROUND, seconds)
        )
        self._waiting[ticket] = functions, optimization
        ticket.add_done_callback(lambda _: self._ended.put(ticket))

    def _take(self, ticket: CompileTicket, functions: Sequence[int], optimization: Optimization) -> None:
        try:
            image = ticket.result().linked_image()
        except CancelledError:
            raise CompileCancelledError from None
        except (ExhaustionError, CompilerCrashError) as error:
            self._try_less(functions, optimization, error)
            return
        self._code.install(image, OPTIMIZED if optimization is Optimization.FULL else FAST)
        self._report_progress()

    def _try_less(self, functions: Sequence[int], optimization: Optimization, error: Exception) -> None:
        """What cannot be optimised together is tried in halves; what cannot be alone is compiled fast, or refused."""
        first = self._code.module.imported_function_count
        if len(functions) > 1:
            middle = len(functions) // 2
            for half in (functions[:middle], functions[middle:]):
                self._submit(half, optimization)
        elif optimization is Optimization.FAST:
            raise error
        elif not self._code.levels[functions[0] - first] and isinstance(
            error, CompileLimitError | CompilerCrashError
        ):
            self._submit(functions, Optimization.FAST)
        elif not self._code.levels[functions[0] - first]:
            raise error

    def _report_progress(self) -> None:
        self._report(progress_of(self._code))


def progress_of(code: TieredCode) -> CompileProgress:
    """How far code is."""
    sizes = [body.end - body.start for body in code.module.functions]
    levels = bytes(code.levels)
    done = sum(size for size, level in zip(sizes, levels, strict=True) if level)
    return CompileProgress(len(levels), levels.count(OPTIMIZED), levels.count(FAST), sum(sizes), done)


def all_done(module: Module) -> CompileProgress:
    """Of a module that was compiled before its first call; which functions were optimised nobody knows any more."""
    size = sum(body.end - body.start for body in module.functions)
    return CompileProgress(len(module.functions), len(module.functions), 0, size, size)
