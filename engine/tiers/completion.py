"""All functions of a module before somebody goes on: compiled well, or as well as the policy says, with progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.errors import CompileLimitError, CompilerCrashError, ExhaustionError
from farcall.engine.jobs import (
    FOREGROUND,
    CompiledImage,
    CompileJob,
    CompilePool,
    JobGroup,
    split_into_batches,
)
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener
from farcall.engine.lowering import LoweringOptions, Tier, is_complex
from farcall.engine.runtime.tiered_code import FAST, OPTIMIZED, TieredCode
from farcall.engine.structure.module import Module
from farcall.engine.tiers.compiled import Compiled


class Completion:
    """The functions of some code that are not compiled as well as they are to be, on their way to that."""

    def __init__(
        self,
        pool: CompilePool,
        code: TieredCode,
        options: LoweringOptions,
        on_compiled: Callable[[TieredCode, int, Compiled], None],
        report: ProgressListener,
        cancellation: Cancellation,
    ) -> None:
        """Begin nothing yet.

        Parameters:
            options: of the code; the tier does not matter.
            on_compiled: told of (code, the level, what was compiled).
            report: told how far it is.
            cancellation: when to give it up.
        """
        self._pool = pool
        self._code = code
        self._options = options
        self._on_compiled = on_compiled
        self._report = report
        self._cancellation = cancellation

    def run(self, level: int) -> None:
        """Have all functions compiled.

        Parameters:
            level: `FAST` or `OPTIMIZED`. What would take too long to optimise is compiled fast all the same.

        Raises:
            CompileCancelledError: it was given up.
            ExhaustionError: it takes too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed on a function, without optimisation too.
        """
        well, fast = self._missing(level)
        with JobGroup(self._pool, self._cancellation) as jobs:
            for functions, optimization in ((well, Optimization.FULL), (fast, Optimization.FAST)):
                for batch in split_into_batches(self._code.module, functions, self._pool.processes):
                    jobs.submit(self._job(batch, optimization))
            if jobs:
                self._report_progress()
            for job, ticket in jobs.ended():
                try:
                    compiled = ticket.result()
                except (ExhaustionError, CompilerCrashError) as error:
                    for less in self._less(job, error):
                        jobs.submit(less)
                else:
                    self._install(job, compiled)

    def _missing(self, wanted: int) -> tuple[list[int], list[int]]:
        """The functions that are to be compiled well, and those fast."""
        module, well, fast = self._code.module, [], []
        for position, now in enumerate(bytes(self._code.levels)):
            if now >= wanted:
                continue
            index = module.imported_function_count + position
            given_up = position in self._code.given_up or is_complex(module, module.functions[position])
            if wanted == OPTIMIZED and not given_up:
                well.append(index)
            elif now < FAST:
                fast.append(index)
        return well, fast

    def _job(self, functions: Sequence[int], optimization: Optimization) -> CompileJob:
        tier = Tier.OPTIMIZED if optimization is Optimization.FULL else Tier.FAST
        options = replace(self._options, tier=tier)
        return CompileJob(self._code.module, tuple(functions), options, optimization, FOREGROUND)

    def _install(self, job: CompileJob, compiled: CompiledImage) -> None:
        image = compiled.linked_image()
        level = OPTIMIZED if job.optimization is Optimization.FULL else FAST
        better = self._code.install(image, level)
        self._on_compiled(self._code, level, Compiled(better, len(image.content), compiled.seconds))
        self._report_progress()

    def _less(self, job: CompileJob, error: Exception) -> Sequence[CompileJob]:
        """What cannot be optimised together is tried in halves; what cannot be alone is compiled fast, or refused."""
        if len(job.functions) > 1:
            return job.halves()
        if job.optimization is Optimization.FAST:
            raise error
        (index,) = job.functions
        if isinstance(error, CompileLimitError):
            self._code.give_up([index - self._code.module.imported_function_count])
        if self._code.is_compiled(index):
            return ()
        if not isinstance(error, CompileLimitError | CompilerCrashError):
            raise error
        return (self._job(job.functions, Optimization.FAST),)

    def _report_progress(self) -> None:
        self._report(progress_of(self._code))


def progress_of(code: TieredCode) -> CompileProgress:
    """How far code is."""
    sizes, levels = code.module.functions.sizes(), bytes(code.levels)
    done = sum(compress(sizes, levels))
    return CompileProgress(len(levels), levels.count(OPTIMIZED), levels.count(FAST), sum(sizes), done)


def all_done(module: Module) -> CompileProgress:
    """Of a module that was compiled before its first call; which functions were optimised nobody knows any more."""
    size = sum(module.functions.sizes())
    return CompileProgress(len(module.functions), len(module.functions), 0, size, size)
