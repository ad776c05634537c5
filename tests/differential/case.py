"""What is compared: a module and calls of its exports, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass

Call = tuple[str, tuple[int, ...]]
"""An export's name, and arguments as bit patterns."""


@dataclass(frozen=True, slots=True)
class Case:
    """A module, calls to make in order, and which exports to look at in the end.

    Attributes:
        library: a module that is instantiated before, and of which `module` imports as `library`.
    """

    module: bytes
    calls: tuple[Call, ...]
    memory: str | None = None
    globals: tuple[str, ...] = ()
    library: bytes | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What came of a case.

    Attributes:
        outcomes: of each call, in order: bit patterns of the results, or the name of the trap.
        memory: the memory's content afterwards.
        globals: bit patterns of the globals afterwards.
    """

    outcomes: tuple[tuple[int, ...] | str, ...]
    memory: bytes | None
    globals: tuple[int, ...]
