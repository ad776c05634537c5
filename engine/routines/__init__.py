"""The engine's own inner loops as machine code: routines in a subset of Python that is translated to LLVM IR.

What walks over every byte of a module is a hundred times as fast so, and runs without the interpreter's lock. A
routine knows integers of 64 bits and addresses; what it cannot decide it leaves to the Python that goes with it.
"""

from farcall.engine.routines.machine_code import Compiled
from farcall.engine.routines.memory import set_u8, set_u32, set_u64, u8, u16, u32, u64
from farcall.engine.routines.translation import routine

__all__ = ["Compiled", "routine", "set_u8", "set_u32", "set_u64", "u8", "u16", "u32", "u64"]
