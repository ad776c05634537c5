"""Validation of function bodies in machine code: most functions, in a hundredth of the time.

`body_routine` walks over a body as `validation.function_body` does, and says of each function that it is valid, or
nothing: that is left to `function_body`, which also knows what is wrong. So there is one place for every message,
and what is accepted here must be accepted there. `tables` makes what the routine reads, out of the instruction table
and the module.
"""

from farcall.engine.validation.native.bodies import undecided_bodies

__all__ = ["undecided_bodies"]
