"""The journey of a module, on a page: the one place where the stages meet.

::

    bytes --decode_module--> Module --validate_module--> valid Module
          --ModuleCompiler--> jobs: --lower_functions--> LLVM IR --compile_to_object--> object; --link--> Image
          --CompiledCode--> mapped code, kept in the cache, shared by all instances
          --NativeModuleEngine--> bound to one instance
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.cache.artifact import Artifact
from farcall.engine.cache.configuration import CacheConfiguration, open_store
from farcall.engine.cache.container import ModuleEntry
from farcall.engine.cache.fingerprint import compiler_fingerprint
from farcall.engine.cache.memory_cache import MemoryCache
from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.codegen.linker import Image
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.engine_statistics import EngineStatistics, compilation_statistics
from farcall.engine.errors import ArtifactError, ClosedError
from farcall.engine.instructions.instruction import IMPLEMENTED, features_named
from farcall.engine.interface import AbstractCompiledModule, AbstractEngine, FunctionListener
from farcall.engine.jobs.limits import CompileLimits
from farcall.engine.jobs.module_compiler import ModuleCompiler, is_small
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.jobs.progress import Cancellation, CompileProgress, ProgressListener
from farcall.engine.jobs.shared_work import SharedWork
from farcall.engine.lowering import LoweringOptions, Tier
from farcall.engine.runtime import exception_arena, heap, host_function, listening
from farcall.engine.runtime.compiled_module import CompiledCode, CompiledModule, WholeCode
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.engine.runtime.module_engine import NativeModuleEngine
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.native.profiling import Profiling, start_profiling
from farcall.engine.runtime.store import Store
from farcall.engine.runtime.tiered_code import TieredCode
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.statistics import OPTIMIZED, TierLedger
from farcall.engine.structure.module import Module
from farcall.engine.tiers.completion import all_done
from farcall.engine.tiers.policy import CodePolicy
from farcall.engine.tiers.tiered_codes import TieredCodes
from farcall.engine.validation import validate_module


@dataclass(frozen=True, slots=True)
class _CodeKey:
    """What code depends on, beside the machine and the version of the engine."""

    digest: str
    options: LoweringOptions


@dataclass(frozen=True, slots=True)
class _Compilation:
    """What compiling a module gave, without the module."""

    listeners: tuple[FunctionListener, ...]
    code: weakref.ref[CompiledCode]


def _of_artifact(digest: str, options: LoweringOptions) -> tuple[str, bool, bool]:
    """What an artifact is found by: what its code does, whatever machine it is for."""
    return digest, options.ensure_termination, options.listeners


def _tell_nobody(_progress: CompileProgress) -> None:
    """For makings of which nobody asks how far they are."""


class Engine(AbstractEngine):
    """Compiles WebAssembly to native code and keeps it for all stores that use the engine.

    Thread-safe. A context manager: leaving it closes the engine.
    """

    def __init__(
        self,
        *,
        total_memory_bytes: int | None = None,
        disabled_features: Iterable[str] = (),
        code_policy: CodePolicy | str = CodePolicy.LAZY,
        compile_limits: CompileLimits | None = None,
        profiling: Profiling | str | None = None,
        cache: CacheConfiguration = CacheConfiguration(),  # noqa: B008 - it is frozen
    ) -> None:
        """Make an engine.

        Parameters:
            total_memory_bytes: how much memory the guests of all its stores may have together; None is no limit.
            disabled_features: names of features that modules may not use; `features` lists the others.
            code_policy: when functions are compiled, and how well: `lazy`, `optimized` or `fast`.
            compile_limits: what compiling may take.
            profiling: what is written for Linux `perf`, by the whole process: `map` (`/tmp/perf-PID.map`), or `jitdump`
                (`jit-PID.dump` in the working directory); None is what FARCALL_PERF in the environment says.
            cache: where code is kept beside this process's memory; by default, nowhere.

        Raises:
            ValueError: there is no feature, policy or kind of profiling of such a name.
            UnsafeCacheKeyError: others have access to the cache's key.
            OSError: the file for `perf` cannot be written, or the cache's key neither read nor made.
        """
        self.code_policy = CodePolicy(code_policy)
        profiling = profiling or os.environ.get("FARCALL_PERF") or None
        if profiling is not None:
            start_profiling(Profiling(profiling))
        self._disabled = features_named(disabled_features)
        disabled = [feature.value for feature in self._disabled]
        self._stored = ModuleStore(open_store(cache), disabled, host_target())
        native_runtime()
        self.memory_budget = MemoryBudget(total_memory_bytes)
        host_function.install()
        listening.install()
        exception_arena.install()
        heap.install()
        self.types = TypeRegistry()
        self._cache: MemoryCache[_CodeKey, CompiledCode] = MemoryCache(
            max_bytes=cache.memory_bytes, size=lambda code: code.size, on_eviction=self._keep
        )
        limits = compile_limits or CompileLimits()
        self._pool = CompilePool(
            processes=limits.processes,
            queue_limit=limits.queue,
            nice=limits.nice,
            memory_limit=limits.memory_bytes,
            seconds_limit=limits.seconds,
            idle_seconds=limits.idle_seconds,
        )
        self._compiler = ModuleCompiler(self._pool)
        self._artifacts: dict[tuple[str, bool, bool], Artifact] = {}  # guarded by _lock
        self._compiling: SharedWork[_CodeKey, CompiledCode] = SharedWork()
        self._lock = threading.Lock()
        # How each module was compiled last. No value refers to its key, or no module would ever be forgotten.
        self._latest: weakref.WeakKeyDictionary[Module, _Compilation] = weakref.WeakKeyDictionary()
        self._stores: weakref.WeakSet[Store] = weakref.WeakSet()  # guarded by _lock
        self._compile_seconds = 0.0  # guarded by _lock
        self._found = 0  # codes that the cache's places had; guarded by _lock
        self._ledger = TierLedger()
        self._tiers = TieredCodes(
            self.code_policy, self._pool, self._stored, limits, self.types, self._ledger, self._count
        )
        self._closed = False

    @property
    def target(self) -> str:
        """The machine that code is made for, as LLVM's triple."""
        return host_target().triple

    @property
    def features(self) -> tuple[str, ...]:
        """What modules may use beyond the first version of WebAssembly, by name."""
        return tuple(sorted(feature.value for feature in IMPLEMENTED - self._disabled))

    # -- From bytes to code ----------------------------------------------------------------------------------------

    def load_module(self, source: bytes) -> Module:
        """Decode and validate.

        Raises:
            MalformedModuleError: the bytes are no module.
            InvalidModuleError: the module does not validate.
            UnsupportedFeatureError: it needs a feature that the engine does not have, or that is switched off.
        """
        self._check_open()
        source = bytes(source)
        if self._stored.exists:
            known = self._stored.load_module(source, hashlib.sha256(source).hexdigest())
            if known is not None:
                return known
        module = decode_module(source, self._disabled)
        validate_module(module, self._disabled)
        self._stored.store_module(module)
        return module

    def compile_module(
        self,
        module: Module,
        listeners: Sequence[FunctionListener] = (),
        ensure_termination: bool = False,
        *,
        progress: ProgressListener | None = None,
        cancellation: Cancellation | None = None,
    ) -> CompiledModule:
        """Compile a module that `load_module` returned.

        Code is shared by all that compile the same bytes with the same options, at the same time too. Listeners are
        not: they are told of the calls of those instances only that are made from the result, or from `module`
        until it is compiled again.

        Parameters:
            listeners: told of every guest function call; without any, code that reports no calls is used.
            ensure_termination: whether running guests can be stopped from outside.
            progress: told how far it is, in another thread; of code that is there already it is told nothing.
            cancellation: when not to wait any longer. The jobs end, unless others wait for the same code.

        Raises:
            ClosedError: the engine is closed.
            CompileCancelledError: it was cancelled.
            ExhaustionError: compiling the module would take too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed.
        """
        self._check_open()
        options = LoweringOptions(
            ensure_termination=ensure_termination,
            listeners=bool(listeners),
            capabilities=host_target().capabilities,
            tier=Tier.WHOLE if self.code_policy is CodePolicy.OPTIMIZED else Tier.FAST,
        )
        code = self._code(module, options, progress, cancellation)
        native_runtime().ensure_fault_handlers()
        compiled = CompiledModule(module, tuple(listeners), code)
        with self._lock:
            if not self._closed:
                self._latest[module] = _Compilation(compiled.listeners, weakref.ref(code))
                return compiled
        self._cache.remove(lambda _key: True)
        raise ClosedError("the engine was closed during compilation")

    def _code(
        self,
        module: Module,
        options: LoweringOptions,
        progress: ProgressListener | None,
        cancellation: Cancellation | None,
    ) -> CompiledCode:
        """The module's code from the cache, or made for all who want it now."""
        key = _CodeKey(module.digest, options)
        in_cache = key in self._cache.known() and not self._compiling.is_under_way(key)
        if in_cache or options.tier is not Tier.WHOLE or is_small(module):  # it is there soon
            report = progress or _tell_nobody
            return self._cache.get(key, lambda: self._compile(module, options, report, Cancellation()))
        mine = False

        def make(report: ProgressListener, given_up: Cancellation) -> CompiledCode:
            nonlocal mine
            mine = True
            return self._cache.get(key, lambda: self._compile(module, options, report, given_up))

        code = self._compiling.run(key, make, progress, cancellation)
        return code if mine else self._cache.get(key, lambda: code)  # where it counts as a hit

    def _compile(
        self, module: Module, options: LoweringOptions, report: ProgressListener, cancellation: Cancellation
    ) -> CompiledCode:
        started = time.perf_counter()
        layout = context_layout(module)
        with self._lock:
            artifact = self._artifacts.get(_of_artifact(module.digest, options))
        code: CompiledCode
        if artifact is not None or options.tier is Tier.WHOLE:
            image = artifact.image if artifact else self._whole_image(module, options, report, cancellation)
            code = WholeCode(module, layout, image, self.types, listening=options.listeners)
        else:
            code, found = self._tiers.make(module, layout, options)
            self._count(found=found)
        self._count(time.perf_counter() - started)
        return code

    def _count(self, seconds: float = 0.0, *, found: bool = False) -> None:
        """Compiling took so many seconds more; code was found in the cache's places."""
        with self._lock:
            self._compile_seconds += seconds
            self._found += found

    def _whole_image(
        self, module: Module, options: LoweringOptions, report: ProgressListener, cancellation: Cancellation
    ) -> Image:
        """All of a module's code from the cache's places, else compiled, and kept there."""
        stored = self._stored.load_code(module.digest, options)
        if stored is not None and len(stored.images) == 1:
            self._count(found=True)
            return stored.images[0]
        started = time.perf_counter()
        image = self._compiler.compile(module, options, report, cancellation)
        seconds = time.perf_counter() - started
        self._ledger.record(OPTIMIZED, len(module.functions), len(image.content), seconds)
        self._stored.store_code(module.digest, options, ModuleEntry(images=(image,)))
        return image

    def _keep(self, code: CompiledCode) -> None:
        """Code leaves memory, or has got all that it will: what is new of it is kept."""
        if isinstance(code, TieredCode):
            self._tiers.keeper.keep(code)

    def complete(
        self,
        compiled: CompiledModule,
        *,
        progress: ProgressListener | None = None,
        cancellation: Cancellation | None = None,
    ) -> CompileProgress:
        """Have all functions of a module compiled as well as the policy has it in the end, and wait for that.

        Parameters:
            progress: told how far it is, in another thread.
            cancellation: when not to wait any longer. The jobs end, unless others wait for the same.

        Returns:
            How far it is then.

        Raises:
            ClosedError: the engine is closed.
            CompileCancelledError: it was cancelled.
            ExhaustionError: compiling the module would take too much time or memory, or too many jobs wait.
            CompilerCrashError: the compiler crashed.
        """
        self._check_open()
        code = compiled.code
        if not isinstance(code, TieredCode):
            return all_done(compiled.module)
        return self._tiers.complete(code, progress, cancellation)

    # -- Ahead of time ---------------------------------------------------------------------------------------------

    def compile_ahead(
        self,
        module: Module,
        *,
        target: Target | None = None,
        progress: ProgressListener | None = None,
        cancellation: Cancellation | None = None,
    ) -> Artifact:
        """Compile a module for later: for servers, whose guests can be stopped.

        Parameters:
            target: the machine that the code is for (`choose_target`); None is this one.
            progress: told how far it is.
            cancellation: when to give it up.

        Raises:
            ClosedError: the engine is closed.
            ExhaustionError: compiling the module would take too much time or memory.
            CompilerCrashError: the compiler crashed.
        """
        self._check_open()
        target = target or host_target()
        options = LoweringOptions(ensure_termination=True, listeners=False, capabilities=target.capabilities)
        image = self._compiler.compile(
            module, options, progress or _tell_nobody, cancellation or Cancellation(), target
        )
        return Artifact(module.source, module.digest, options, target, compiler_fingerprint(), image)

    def use_artifact(self, artifact: Artifact) -> None:
        """Have the code of an artifact used where its module is compiled with its options.

        Raises:
            ArtifactError: it was made by another version of the compiler, or for another machine.
        """
        reason = artifact.why_not_usable()
        if reason is not None:
            raise ArtifactError(reason)
        with self._lock:
            self._check_open()
            self._artifacts[_of_artifact(artifact.digest, artifact.options)] = artifact

    def compiled(self, module: Module | AbstractCompiledModule) -> CompiledModule:
        """The module as it was compiled last; compiled now, stoppable and without listeners, if it was not yet."""
        self._check_open()
        if isinstance(module, CompiledModule):
            if module.code.types is not self.types:
                raise ValueError("the module was compiled by another engine")
            return module
        if not isinstance(module, Module):
            raise TypeError(f"a module that this engine loaded or compiled is wanted, not {module!r}")
        with self._lock:
            latest = self._latest.get(module)
        code = None if latest is None else latest.code()
        if latest is None or code is None:
            return self.compile_module(module, ensure_termination=True)
        return CompiledModule(module, latest.listeners, code)

    @property
    def compilation_count(self) -> int:
        """How many modules it has compiled."""
        with self._lock:
            return self._cache.counters.misses - self._found

    def compiled_module_count(self) -> int:
        """How many modules the cache holds in memory."""
        return len({key.digest for key in self._cache.known()})

    def delete_compiled_module(self, module: Module) -> None:
        """Free the cache's hold on a module's code. It is unmapped when no instance uses it any more."""
        for code in self._cache.values():
            if code.module.digest == module.digest:
                self._keep(code)
        self._cache.remove(lambda key: key.digest == module.digest)
        with self._lock:
            for found in [key for key in self._artifacts if key[0] == module.digest]:
                del self._artifacts[found]
            for known in [known for known in self._latest if known.digest == module.digest]:
                del self._latest[known]

    # -- From code to instances ------------------------------------------------------------------------------------

    def new_module_engine(
        self, module: Module | AbstractCompiledModule, instance: Instance
    ) -> NativeModuleEngine:
        """The compiled functions of `module` bound to `instance`; `Store.instantiate` does the rest.

        Raises:
            ClosedError: the engine, or the instance's store, is closed.
            ExhaustionError: the process has as many linked groups as it may.
        """
        if instance.store.engine is not self:
            raise ValueError("the instance is in a store of another engine")
        instance.engine = NativeModuleEngine(self.compiled(module), instance)
        return instance.engine

    def add_store(self, store: Store) -> None:
        """A store is open. Raises ClosedError."""
        with self._lock:
            self._check_open()
            self._stores.add(store)

    def forget_store(self, store: Store) -> None:
        """A store is closed."""
        with self._lock:
            self._stores.discard(store)

    # -- Sight and end ---------------------------------------------------------------------------------------------

    def statistics(self) -> EngineStatistics:
        """Counters, as of now."""
        counters = self._cache.counters
        space = native_runtime().space
        with self._lock:
            stores, seconds, found = list(self._stores), self._compile_seconds, self._found
        return EngineStatistics(
            compilations=counters.misses - found,
            compile_seconds=seconds,
            cache_hits=counters.hits,
            cache_evictions=counters.evictions,
            cache=self._stored.statistics(),
            compiled_modules=self.compiled_module_count(),
            code_bytes=sum(code.size for code in self._cache.values()),
            stores=len(stores),
            instances=sum(store.instance_count for store in stores),
            memory_bytes=self.memory_budget.used,
            memories=space.memories.used + space.regions.used,
            linked_groups=space.contexts.used,
            compile_jobs=self._pool.statistics(),
            compilation=compilation_statistics(self._cache, self._stored, self._pool, self._ledger),
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the engine is closed")

    def close(self) -> None:
        """Close all stores and release all compiled modules; later calls fail with ClosedError.

        Closing twice is nothing.

        Raises:
            ReentrancyError: the calling thread is in a host function that a guest called; nothing changes.
        """
        with self._lock:
            stores = list(self._stores)
        for store in stores:
            store.check_closable()
        with self._lock:
            self._closed = True
            stores = list(self._stores)
        for store in stores:
            store.close()
        self._tiers.stop()
        self._pool.close()
        self._tiers.close()
        self._stored.flush()
        self._cache.remove(lambda _key: True)
        with self._lock:
            self._latest.clear()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
