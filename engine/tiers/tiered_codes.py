"""Code that comes by and by, of one engine: made with what the cache has of it, compiled by the tiers, and kept."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from farcall.engine.abi.layout import ContextLayout
from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.jobs.limits import CompileLimits
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener
from farcall.engine.jobs.shared_work import SharedWork
from farcall.engine.lowering import LoweringOptions, tail_calling
from farcall.engine.runtime import tiered_code
from farcall.engine.runtime.tiered_code import TieredCode
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.statistics import FAST, OPTIMIZED, TierLedger
from farcall.engine.structure.module import Module
from farcall.engine.tiers.code_keeper import CodeKeeper
from farcall.engine.tiers.compiled import Compiled
from farcall.engine.tiers.completion import Completion, progress_of
from farcall.engine.tiers.first_call import FastTier
from farcall.engine.tiers.optimizer import Optimizer
from farcall.engine.tiers.policy import CodePolicy


class TieredCodes:
    """Makes such code, and sees to it. Thread-safe.

    Attributes:
        optimizer: where the policy has code optimised in the background, what does that.
        keeper: writes code to the cache's places.
    """

    def __init__(
        self,
        policy: CodePolicy,
        pool: CompilePool,
        stored: ModuleStore,
        limits: CompileLimits,
        types: TypeRegistry,
        ledger: TierLedger,
        on_compiled: Callable[[float], None],
    ) -> None:
        """Begin with none.

        Parameters:
            policy: `lazy` or `fast`; of `optimized`, nothing is made here.
            pool: compiles what is not compiled in place, within the limits.
            stored: the cache's places.
            types: whose numbers the code has.
            ledger: where is recorded what was compiled.
            on_compiled: told of the seconds that something took.
        """
        self._policy = policy
        self._pool = pool
        self._types = types
        self._ledger = ledger
        self._on_compiled = on_compiled
        self._lock = threading.Lock()
        # With what options; guarded by _lock.
        self._options: weakref.WeakKeyDictionary[TieredCode, LoweringOptions] = weakref.WeakKeyDictionary()
        self._completing: SharedWork[TieredCode, None] = SharedWork()
        self.keeper = CodeKeeper(stored, limits)
        lazy = policy is CodePolicy.LAZY
        self.optimizer = Optimizer(pool, self._compiled_well, self.keeper.keep) if lazy else None

    def make(
        self, module: Module, layout: ContextLayout, options: LoweringOptions
    ) -> tuple[TieredCode, bool]:
        """Code of a module, and whether the cache's places had anything of it.

        Parameters:
            options: of the tier `FAST`.
        """
        code = TieredCode(
            module,
            layout,
            self._types,
            listening=options.listeners,
            tail_calling=tail_calling(module),
            first_call=FastTier(options, self._pool, self._compiled_fast).compile,
        )
        found = self.keeper.load(code, options)
        with self._lock:
            self._options[code] = options
        if found and self.optimizer is not None and code.functions_by_tier()[2] < len(module.functions):
            self.optimizer.called(code, options)  # nothing may be called again that has no code
        return code, found

    def complete(
        self, code: TieredCode, progress: ProgressListener | None, cancellation: Cancellation | None
    ) -> CompileProgress:
        """Have all functions compiled as well as the policy has it in the end; how far it is then.

        Raises:
            CompileCancelledError: it was cancelled.
            ExhaustionError: compiling them would take too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed.
        """
        with self._lock:
            options = self._options[code]
        level = tiered_code.FAST if self._policy is CodePolicy.FAST else tiered_code.OPTIMIZED

        def make(report: ProgressListener, given_up: Cancellation) -> None:
            completion = Completion(self._pool, code, options, self._note, report, given_up)
            try:
                completion.run(level)
            finally:
                self.keeper.keep(code)

        self._completing.run(code, make, progress, cancellation)
        return progress_of(code)

    def stop(self) -> None:
        """Optimise no more."""
        if self.optimizer is not None:
            self.optimizer.close()

    def close(self) -> None:
        """Write what is not written. The pool is closed."""
        self.keeper.close()

    def _compiled_fast(self, code: TieredCode, options: LoweringOptions, compiled: Compiled) -> None:
        self._note(code, tiered_code.FAST, compiled)
        if self.optimizer is not None:
            self.optimizer.called(code, options)

    def _compiled_well(self, code: TieredCode, compiled: Compiled) -> None:
        self._note(code, tiered_code.OPTIMIZED, compiled)

    def _note(self, code: TieredCode, level: int, compiled: Compiled) -> None:
        """Some code has got something."""
        tier = FAST if level == tiered_code.FAST else OPTIMIZED
        self._on_compiled(compiled.seconds)
        self._ledger.record(tier, compiled.functions, compiled.code_bytes, compiled.seconds)
        self.keeper.changed(code)
