"""What a store may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of a store; None is none beyond the engine's own.

    Attributes:
        instances: open instances at a time.
        memory_bytes: size of each memory.
        total_memory_bytes: size of all memories together, with the elements of tables (8 bytes each) and the contexts
            of instances that have more than 64 KiB.
        table_elements: size of each table.
    """

    instances: int | None = None
    memory_bytes: int | None = None
    total_memory_bytes: int | None = None
    table_elements: int | None = None
