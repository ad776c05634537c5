"""How guest functions call each other."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.structure.types import ValueType

CALLING_CONVENTION = "fastcc"
"""LLVM's calling convention of every guest function; the first parameter is the instance's context."""


def result_type(results: Sequence[ValueType]) -> str:
    """LLVM's return type for these results: void, the one type, or a structure of all."""
    if not results:
        return "void"
    if len(results) == 1:
        return results[0].llvm
    return "{" + ", ".join(value_type.llvm for value_type in results) + "}"
