"""All of a module at once: the policy `optimized`."""

from __future__ import annotations

from farcall.engine.abi.layout import ContextLayout
from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import Image, link
from farcall.engine.lowering import LoweringOptions, is_complex, lower_in_batches
from farcall.engine.structure.module import FunctionBody, Module
from farcall.engine.tiers.batch import compile_batch

_OPTIMIZED_CODE_BYTES = 4 << 20
"""Function bodies of a module that are optimised at most; that takes about a minute, without optimisation 8 s."""


def compile_whole(module: Module, layout: ContextLayout, options: LoweringOptions) -> Image:
    """The image of all functions of a module.

    Raises:
        ExhaustionError: compiling would take too much time or memory.
    """
    # What would take LLVM's optimiser minutes is left as it is: large modules, complex functions.
    large = sum(body.end - body.start for body in module.functions) > _OPTIMIZED_CODE_BYTES
    parts: dict[Optimization, list[FunctionBody]] = {Optimization.FULL: [], Optimization.FAST: []}
    for body in module.functions:
        fast = large or is_complex(module, body)
        parts[Optimization.FAST if fast else Optimization.FULL].append(body)
    objects = []
    for optimization, bodies in parts.items():
        for batch, text in lower_in_batches(module, layout, options, bodies):
            # Where it took too long once, no more time is spent.
            compiled, optimization = compile_batch(batch, text, optimization)  # noqa: PLW2901
            objects.append(compiled)
    return link(map(read_object, objects))
