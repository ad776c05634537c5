"""What a tier says of its work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a tier has compiled: how many functions, bytes of machine code, and the seconds that it took."""

    functions: int
    code_bytes: int
    seconds: float
