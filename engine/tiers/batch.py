"""Texts of LLVM IR to objects, within limits."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.codegen.bounded_compiler import OutOfBudgetError, compile_within
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.target import host_target
from farcall.engine.errors import ExhaustionError
from farcall.engine.lowering import is_soon_compiled
from farcall.engine.structure.module import FunctionBody


def _seconds(text: str, optimization: Optimization) -> int:
    """Processor time that compiling may take: several times what it takes for what compilers make."""
    if optimization is Optimization.FULL:
        return 5 + len(text) // 300_000
    return 10 + len(text) // 1_000_000


def compile_batch(
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
            return compile_batch(bodies, text, Optimization.FAST)
        first, last = bodies[0].index, bodies[-1].index
        raise ExhaustionError(f"functions {first} to {last} are too complex to compile: {error}") from None
