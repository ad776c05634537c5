"""All functions of a module to one image: by jobs in parallel, or in place where there is next to nothing to do."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.abi.layout import context_layout
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import Image, link
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.errors import CompileLimitError, CompilerCrashError
from farcall.engine.jobs.batches import bodies_of, body_bytes, split_into_batches
from farcall.engine.jobs.job import FOREGROUND, CompileJob
from farcall.engine.jobs.job_group import JobGroup
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener
from farcall.engine.lowering import LoweringOptions, is_complex, is_soon_compiled, lower_functions
from farcall.engine.structure.module import Module

_OPTIMIZED_CODE_BYTES = 64 << 20
"""Function bodies of a module that are optimised at most: each megabyte takes some 20 s of processor time."""
_SMALL_CODE_BYTES = 4 << 10
"""Function bodies, with their locals, that are compiled in place, if their text is short enough too."""
_FAILURES = 3
"""Batches that may take too long to optimise, before no more time is spent on optimising a module."""


def is_small(module: Module) -> bool:
    """Whether a module has so little code that it is compiled at once, where it is asked for."""
    return module.functions.code_bytes <= _SMALL_CODE_BYTES


class ModuleCompiler:
    """Compiles whole modules. Thread-safe."""

    def __init__(self, pool: CompilePool) -> None:
        self._pool = pool

    def compile(
        self,
        module: Module,
        options: LoweringOptions,
        report: ProgressListener,
        cancellation: Cancellation,
        target: Target | None = None,
    ) -> Image:
        """Compile all functions of a validated module.

        Parameters:
            report: told how far it is.
            cancellation: when to give it up.
            target: the machine that the code is for; None is this one.

        Raises:
            CompileCancelledError: it was given up.
            ExhaustionError: it takes too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed on some functions, without optimisation too.
        """
        large = sum(module.functions.sizes()) > _OPTIMIZED_CODE_BYTES
        parts: dict[Optimization, list[int]] = {Optimization.FULL: [], Optimization.FAST: []}
        for body in module.functions:
            fast = large or is_complex(module, body)
            parts[Optimization.FAST if fast else Optimization.FULL].append(body.index)
        with JobGroup(self._pool, cancellation) as jobs:
            compilation = _Compilation(jobs, module, options, target or host_target(), report)
            for optimization, functions in parts.items():
                if is_small(module):
                    compilation.compile_in_place(functions, optimization)
                else:
                    for batch in split_into_batches(module, functions, self._pool.processes):
                        compilation.submit(batch, optimization)
            compilation.wait()
        return link(map(read_object, compilation.objects()))


class _Compilation:
    """One module that is being compiled."""

    def __init__(
        self,
        jobs: JobGroup,
        module: Module,
        options: LoweringOptions,
        target: Target,
        report: ProgressListener,
    ) -> None:
        self._jobs = jobs
        self._module = module
        self._options = options
        self._target = target
        self._report = report
        self._failures = 0
        # By first function, so that an image does not depend on who was first.
        self._objects: dict[int, bytes] = {}
        self._functions = {Optimization.FULL: 0, Optimization.FAST: 0}
        self._bytes = 0
        self._all_bytes = sum(module.functions.sizes())

    def compile_in_place(self, functions: Sequence[int], optimization: Optimization) -> None:
        """Compile functions in this process, unless LLVM may take long."""
        if not functions:
            return
        layout = context_layout(self._module)
        text = lower_functions(self._module, layout, self._options, bodies_of(self._module, functions))
        if is_soon_compiled(text):
            self._keep(functions, optimization, compile_to_object(text, self._target, optimization))
        else:
            self.submit(functions, optimization)

    def submit(self, functions: Sequence[int], optimization: Optimization) -> None:
        """Have functions compiled by a job."""
        self._jobs.submit(
            CompileJob(
                self._module,
                functions,
                self._options,
                optimization,
                FOREGROUND,
                target=self._target,
                linked=False,
            )
        )

    def wait(self) -> None:
        """Wait for all jobs."""
        self._report_progress()
        for job, ticket in self._jobs.ended():
            try:
                content = ticket.result().object
            except (CompileLimitError, CompilerCrashError):
                if job.optimization is Optimization.FAST:
                    raise
                self._compile_with_less_work(job.functions)
            else:
                assert content is not None
                self._keep(job.functions, job.optimization, content)
                self._report_progress()

    def _compile_with_less_work(self, functions: Sequence[int]) -> None:
        """What could not be optimised is compiled without; after some failures, so is all the rest."""
        self._failures += 1
        self.submit(functions, Optimization.FAST)
        if self._failures == _FAILURES:
            for job in self._jobs.withdraw(lambda job: job.optimization is Optimization.FULL):
                self.submit(job.functions, Optimization.FAST)

    def _keep(self, functions: Sequence[int], optimization: Optimization, content: bytes) -> None:
        self._objects[functions[0]] = content
        self._functions[optimization] += len(functions)
        self._bytes += body_bytes(self._module, functions)

    def _report_progress(self) -> None:
        optimized, fast = self._functions[Optimization.FULL], self._functions[Optimization.FAST]
        self._report(
            CompileProgress(len(self._module.functions), optimized, fast, self._all_bytes, self._bytes)
        )

    def objects(self) -> list[bytes]:
        """What has been compiled, in the order of functions."""
        return [self._objects[first] for first in sorted(self._objects)]
