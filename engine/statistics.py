"""What an engine tells about compiling: by tier, place of the cache, queue and module.

Whoever compiles records it in the engine's `TierLedger`; the cache's places and the pool of compile jobs each
give their part when they are asked for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

FAST, OPTIMIZED = "fast", "optimized"
"""The tiers' names."""


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """What a tier has compiled so far: functions, bytes of their machine code, seconds that it took."""

    tier: str
    functions: int = 0
    code_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CachePlaceStatistics:
    """A place of the cache: how often it had an entry, none, or one that was refused; what it holds."""

    place: str
    hits: int = 0
    misses: int = 0
    rejected: int = 0
    entries: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Compile jobs: those that wait and run now, those that were cancelled or failed so far."""

    waiting: int = 0
    running: int = 0
    cancelled: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class ModuleCodeStatistics:
    """A module's functions by what code they have, and bytes of mapped code."""

    digest: str
    uncompiled: int
    fast: int
    optimized: int
    code_bytes: int


@dataclass(frozen=True, slots=True)
class CompilationStatistics:
    """All of it, as of now; `modules` are ordered by digest."""

    tiers: tuple[TierStatistics, ...] = ()
    cache_places: tuple[CachePlaceStatistics, ...] = ()
    queue: QueueStatistics = field(default_factory=QueueStatistics)
    modules: tuple[ModuleCodeStatistics, ...] = ()


class TierLedger:
    """What each tier has compiled. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiers = {tier: TierStatistics(tier) for tier in (FAST, OPTIMIZED)}  # guarded by _lock

    def record(self, tier: str, functions: int, code_bytes: int, seconds: float) -> None:
        """A tier has compiled so many functions more."""
        with self._lock:
            known = self._tiers[tier]
            self._tiers[tier] = TierStatistics(
                tier, known.functions + functions, known.code_bytes + code_bytes, known.seconds + seconds
            )

    def statistics(self) -> tuple[TierStatistics, ...]:
        """The tiers, the fast one first."""
        with self._lock:
            return tuple(self._tiers.values())
