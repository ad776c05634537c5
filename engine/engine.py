"""The journey of a module, on a page: the one place where the stages meet.

::

    bytes --decode_module--> Module --validate_module--> valid Module
          --lower_in_batches--> LLVM IR --compile_to_object--> object --link--> Image
          --CompiledCode--> mapped code, kept in the cache, shared by all instances
          --NativeModuleEngine--> bound to one instance
"""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from farcall.engine.abi.layout import ContextLayout, context_layout
from farcall.engine.binary import decode_module
from farcall.engine.cache.code_store import CodeStoreStatistics
from farcall.engine.cache.configuration import CacheConfiguration, open_store
from farcall.engine.cache.memory_cache import MemoryCache
from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.codegen.bounded_compiler import OutOfBudgetError, compile_within
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import Image, link
from farcall.engine.codegen.target import host_target
from farcall.engine.errors import ClosedError, ExhaustionError
from farcall.engine.instructions.instruction import IMPLEMENTED, features_named
from farcall.engine.interface import AbstractCompiledModule, AbstractEngine, FunctionListener
from farcall.engine.lowering import LoweringOptions, is_complex, is_soon_compiled, lower_in_batches
from farcall.engine.runtime import exception_arena, function, heap, listening
from farcall.engine.runtime.compiled_module import CompiledCode, CompiledModule
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.engine.runtime.module_engine import NativeModuleEngine
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.store import Store
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.structure.module import FunctionBody, Module
from farcall.engine.validation import validate_module

_OPTIMIZED_CODE_BYTES = 4 << 20
"""Function bodies of a module that are optimised at most; that takes about a minute, without optimisation 8 s."""


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


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Counters of an engine.

    Attributes:
        compilations: modules compiled so far.
        compile_seconds: time that took.
        cache_hits: compilations that were asked for and cost nothing: the code was in memory.
        cache_evictions: codes that left memory to make room.
        cache: counters of the places beside memory.
        compiled_modules: modules whose code the cache holds.
        code_bytes: memory of that code.
        stores: open stores.
        instances: open instances of all stores.
        memory_bytes: what the guests of all stores have.
        memories: memories in use in the process.
        linked_groups: groups of linked instances in the process.
    """

    compilations: int
    compile_seconds: float
    cache_hits: int
    cache_evictions: int
    cache: CodeStoreStatistics
    compiled_modules: int
    code_bytes: int
    stores: int
    instances: int
    memory_bytes: int
    memories: int
    linked_groups: int


def _seconds(text: str, optimization: Optimization) -> int:
    """Processor time that compiling may take: several times what it takes for what compilers make."""
    if optimization is Optimization.FULL:
        return 5 + len(text) // 300_000
    return 10 + len(text) // 1_000_000


def _compile_batch(
    bodies: Sequence[FunctionBody], text: str, optimization: Optimization
) -> tuple[bytes, Optimization]:
    """The object of some functions, whose text is given, and how it was made: as wanted, or with less work.

    Raises:
        ExhaustionError: that takes too long as well.
    """
    target = host_target()
    if is_soon_compiled(text):
        return compile_to_object(text, target, optimization), optimization
    try:
        return compile_within(text, target, optimization, _seconds(text, optimization)), optimization
    except OutOfBudgetError as error:
        if optimization is not Optimization.FAST:
            return _compile_batch(bodies, text, Optimization.FAST)
        first, last = bodies[0].index, bodies[-1].index
        raise ExhaustionError(f"functions {first} to {last} are too complex to compile: {error}") from None


class Engine(AbstractEngine):
    """Compiles WebAssembly to native code and keeps it for all stores that use the engine.

    Thread-safe. A context manager: leaving it closes the engine.
    """

    def __init__(
        self,
        *,
        total_memory_bytes: int | None = None,
        disabled_features: Iterable[str] = (),
        cache: CacheConfiguration = CacheConfiguration(),  # noqa: B008 - it is frozen
    ) -> None:
        """Make an engine.

        Parameters:
            total_memory_bytes: how much memory the guests of all its stores may have together; None is no limit.
            disabled_features: names of features that modules may not use; `features` lists the others.
            cache: where code is kept beside this process's memory; by default, nowhere.

        Raises:
            ValueError: there is no feature of such a name, or no file system for the cache's URL.
            UnsafeCacheKeyError: others have access to the cache's key.
            OSError: the cache's key can neither be read nor made.
        """
        self._disabled = features_named(disabled_features)
        self._stored = ModuleStore(
            open_store(cache), [feature.value for feature in self._disabled], host_target()
        )
        native_runtime()
        self.memory_budget = MemoryBudget(total_memory_bytes)
        function.install()
        listening.install()
        exception_arena.install()
        heap.install()
        self.types = TypeRegistry()
        self._cache: MemoryCache[_CodeKey, CompiledCode] = MemoryCache(
            max_bytes=cache.memory_bytes, size=lambda code: code.size
        )
        self._lock = threading.Lock()
        # How each module was compiled last. No value refers to its key, or no module would ever be forgotten.
        self._latest: weakref.WeakKeyDictionary[Module, _Compilation] = weakref.WeakKeyDictionary()
        self._stores: weakref.WeakSet[Store] = weakref.WeakSet()  # guarded by _lock
        self._compilations = 0  # guarded by _lock
        self._compile_seconds = 0.0  # guarded by _lock
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
        self, module: Module, listeners: Sequence[FunctionListener] = (), ensure_termination: bool = False
    ) -> CompiledModule:
        """Compile a module that `load_module` returned.

        Code is shared by all that compile the same bytes with the same options, at the same time too. Listeners are
        not: they are told of the calls of those instances only that are made from the result, or from `module`
        until it is compiled again.

        Parameters:
            listeners: told of every guest function call; without any, code that reports no calls is used.
            ensure_termination: whether running guests can be stopped from outside.

        Raises:
            ClosedError: the engine is closed.
            ExhaustionError: compiling the module would take too much time or memory.
        """
        self._check_open()
        options = LoweringOptions(
            ensure_termination=ensure_termination,
            listeners=bool(listeners),
            capabilities=host_target().capabilities,
        )
        code = self._cache.get(_CodeKey(module.digest, options), lambda: self._obtain(module, options))
        native_runtime().ensure_fault_handlers()
        compiled = CompiledModule(module, tuple(listeners), code)
        with self._lock:
            if not self._closed:
                self._latest[module] = _Compilation(compiled.listeners, weakref.ref(code))
                return compiled
        self._cache.remove(lambda _key: True)
        raise ClosedError("the engine was closed during compilation")

    def _obtain(self, module: Module, options: LoweringOptions) -> CompiledCode:
        """Code from the cache's places, else compiled, and kept there. The one point where compilation meets them."""
        layout = context_layout(module)
        images = self._stored.load_images(module.digest, options)
        if len(images) != 1:
            images = (self._compile(module, layout, options),)
            self._stored.store_images(module.digest, options, images)
        return CompiledCode(module, layout, images[0], self.types, listening=options.listeners)

    def _compile(self, module: Module, layout: ContextLayout, options: LoweringOptions) -> Image:
        started = time.perf_counter()
        # What would take LLVM's optimiser minutes is left as it is: large modules, complex functions.
        large = sum(body.end - body.start for body in module.functions) > _OPTIMIZED_CODE_BYTES
        parts: dict[Optimization, list[FunctionBody]] = {Optimization.FULL: [], Optimization.FAST: []}
        for body in module.functions:
            fast = large or is_complex(module, body)
            parts[Optimization.FAST if fast else Optimization.FULL].append(body)
        objects = []
        for optimization, bodies in parts.items():
            for batch, text in lower_in_batches(module, layout, options, bodies):
                # Where it took too long once, no more time is spent.
                compiled, optimization = _compile_batch(batch, text, optimization)  # noqa: PLW2901
                objects.append(compiled)
        image: Image = link(map(read_object, objects))
        with self._lock:
            self._compilations += 1
            self._compile_seconds += time.perf_counter() - started
        return image

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

    def compiled_module_count(self) -> int:
        """How many modules the cache holds in memory."""
        return len({key.digest for key in self._cache.known()})

    def delete_compiled_module(self, module: Module) -> None:
        """Free the cache's hold on a module's code. It is unmapped when no instance uses it any more."""
        self._cache.remove(lambda key: key.digest == module.digest)
        with self._lock:
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
            stores = list(self._stores)
            compilations, seconds = self._compilations, self._compile_seconds
        return EngineStatistics(
            compilations=compilations,
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
        self._cache.remove(lambda _key: True)
        with self._lock:
            self._latest.clear()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
