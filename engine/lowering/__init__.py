"""Validated function bodies to textual LLVM IR: a function for every rule of the instruction table.

`module.lower_functions` is the way in.
"""

from farcall.engine.lowering.complexity import is_complex, is_short, is_soon_compiled
from farcall.engine.lowering.context import LoweringOptions, Tier, tail_calling
from farcall.engine.lowering.module import lower_functions, lower_group, lower_located

__all__ = [
    "LoweringOptions",
    "Tier",
    "is_complex",
    "is_short",
    "is_soon_compiled",
    "lower_functions",
    "lower_group",
    "lower_located",
    "tail_calling",
]
