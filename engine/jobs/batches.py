"""How a module's functions are divided among jobs, and how long a job may take."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.structure.module import FunctionBody, Module

LARGE_CODE_BYTES = 128 << 10
"""Bytes of bodies of a module for which it is worth the third of a second of another core until there are jobs."""
_SHARES = 4
"""Batches for each process: the more, the better they come out even, and the fewer calls are within one."""
_SMALLEST_BATCH = 16 << 10
"""Bytes of bodies that are worth a job: half a second of LLVM's time, against some milliseconds for the process."""
_LARGEST_BATCH = 384 << 10
"""Bytes of bodies in one job; LLVM needs some hundred megabytes for them."""


def bodies_of(module: Module, functions: Sequence[int]) -> list[FunctionBody]:
    """The bodies of functions that the module defines, by index."""
    first = module.imported_function_count
    return [module.functions[index - first] for index in functions]


def body_bytes(module: Module, functions: Sequence[int]) -> int:
    """How many bytes of code functions have together."""
    first, size = module.imported_function_count, module.functions.size
    return sum([size(index - first) for index in functions])


def split_into_batches(module: Module, functions: Sequence[int], processes: int) -> list[list[int]]:
    """Divide functions so that so many processes all have work, and end at about the same time.

    Neighbours stay together, since they call each other more than others. A function that is larger than a batch
    should be is one by itself.

    Parameters:
        functions: indices of functions that the module defines.
        processes: how many jobs run at a time.
    """
    share = body_bytes(module, functions) // (processes * _SHARES)
    wanted = min(max(share, _SMALLEST_BATCH), _LARGEST_BATCH)
    batches: list[list[int]] = []
    size = wanted  # so that the first function begins a batch
    first = module.imported_function_count
    for index in functions:
        more = module.functions.size(index - first)
        if size >= wanted or (size and size + more > _LARGEST_BATCH):
            batches.append([])
            size = 0
        batches[-1].append(index)
        size += more
    return batches


def allowed_seconds(module: Module, functions: Sequence[int], optimization: Optimization) -> int:
    """Processor time that compiling may take: several times what it takes for what compilers make."""
    size = body_bytes(module, functions)
    if optimization is Optimization.FULL:
        return 5 + size // 10_000
    return 10 + size // 30_000
