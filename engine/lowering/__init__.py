"""Validated function bodies to textual LLVM IR: a function for every rule of the instruction table.

`module.lower_functions` and `module.lower_in_batches` are the ways in.
"""

from farcall.engine.lowering.complexity import is_complex, is_soon_compiled
from farcall.engine.lowering.context import LoweringOptions
from farcall.engine.lowering.module import lower_functions, lower_in_batches, lower_located

__all__ = [
    "LoweringOptions",
    "is_complex",
    "is_soon_compiled",
    "lower_functions",
    "lower_in_batches",
    "lower_located",
]
