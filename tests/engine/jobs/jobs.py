"""Modules and jobs to try."""

from __future__ import annotations

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.target import host_target
from farcall.engine.jobs.job import FOREGROUND, CompileJob
from farcall.engine.lowering import LoweringOptions

OPTIONS = LoweringOptions(ensure_termination=True, listeners=False, capabilities=host_target().capabilities)

_CHAIN = 100_000
"""Operations of which each needs the one before: LLVM's time grows with the square of their number."""
ENDLESS_TEXT = (
    '(module (func (export "f") (param i64) (result i64) (local.get 0)' + " i64.popcnt" * _CHAIN + "))"
)


def small_text(name: str = "f", count: int = 3) -> str:
    """A module that differs by the name."""
    functions = "".join(
        f'(func (export "{name}{index}") (param i32) (result i32) (i32.add (local.get 0) (i32.const {index})))'
        for index in range(count)
    )
    return f"(module {functions})"


def job_for(module, functions=None, **changes) -> CompileJob:
    """A job for all functions of a module."""
    values = {
        "functions": [body.index for body in module.functions] if functions is None else functions,
        "options": OPTIONS,
        "optimization": Optimization.FULL,
        "priority": FOREGROUND,
        "seconds": 600,
        **changes,
    }
    return CompileJob(module, **values)
