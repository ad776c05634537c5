"""What an engine tells of itself: its counters, gathered from all who count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from farcall.engine.cache.code_store import CodeStoreStatistics
from farcall.engine.cache.memory_cache import MemoryCache
from farcall.engine.cache.module_store import ModuleStore
from farcall.engine.jobs.pool import CompilePool, CompilePoolStatistics
from farcall.engine.runtime.compiled_module import CompiledCode
from farcall.engine.statistics import (
    CachePlaceStatistics,
    CompilationStatistics,
    ModuleCodeStatistics,
    QueueStatistics,
    TierLedger,
)


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
        compile_jobs: of the processes that compile.
        compilation: what was compiled, is cached and waits, in detail.
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
    compile_jobs: CompilePoolStatistics
    compilation: CompilationStatistics


def _stored_places(statistics: CodeStoreStatistics) -> list[CachePlaceStatistics]:
    """The places beside memory. What was rejected is counted for all together; it stands with the first."""
    return [
        CachePlaceStatistics(
            place.name,
            hits=place.hits,
            misses=place.misses,
            rejected=0 if position else statistics.rejected,
            entries=place.entries or 0,
            bytes=place.bytes or 0,
        )
        for position, place in enumerate(statistics.places)
    ]


def compilation_statistics(
    cache: MemoryCache[Any, CompiledCode], stored: ModuleStore, pool: CompilePool, ledger: TierLedger
) -> CompilationStatistics:
    """What was compiled, is cached and waits, as of now."""
    counters, codes = cache.counters, cache.values()
    jobs = pool.statistics()
    by_module: dict[str, ModuleCodeStatistics] = {}
    for code in codes:
        digest = code.module.digest
        known = by_module.get(digest, ModuleCodeStatistics(digest, 0, 0, 0, 0))
        uncompiled, fast, optimized = code.functions_by_tier()
        # A module that was compiled in several ways has each function as often.
        by_module[digest] = ModuleCodeStatistics(
            digest,
            known.uncompiled + uncompiled,
            known.fast + fast,
            known.optimized + optimized,
            known.code_bytes + code.size,
        )
    memory = CachePlaceStatistics(
        "memory",
        hits=counters.hits,
        misses=counters.misses,
        entries=len(codes),
        bytes=sum(code.size for code in codes),
    )
    return CompilationStatistics(
        tiers=ledger.statistics(),
        queue=QueueStatistics(jobs.queued, jobs.running, jobs.cancelled, jobs.failed),
        cache_places=(memory, *_stored_places(stored.statistics())),
        modules=tuple(by_module[digest] for digest in sorted(by_module)),
    )
