"""What compiling may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What the compile jobs of an engine may take.

    Attributes:
        processes: how many run at a time; None is as many as there are cores. What somebody waits for does not wait
            for what is done in the background.
        queue: how many may wait. A module of a megabyte makes some ten jobs, one of 64 MB two hundred.
        seconds: processor time of one job at most; None is what its size makes reasonable (`allowed_seconds`).
        memory_bytes: address space of one job's process.
        nice: how much jobs stand back behind this process, 0 to 19.
        idle_seconds: how long processes are kept that have nothing to do.
    """

    processes: int | None = None
    queue: int = 10_000
    seconds: int | None = None
    memory_bytes: int = 4 << 30
    nice: int = 10
    idle_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("processes", "queue", "seconds", "memory_bytes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be more than 0, not {value}")
        if not 0 <= self.nice <= 19:
            raise ValueError(f"nice must be from 0 to 19, not {self.nice}")
        if self.idle_seconds < 0:
            raise ValueError(f"idle_seconds must not be negative, but is {self.idle_seconds}")
