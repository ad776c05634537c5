"""Rules of atomic memory instructions (threads proposal).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.memory_rules import access, signature_only
from farcall.engine.validation.rejection import Rejection


def _atomic_access(state: FunctionValidator, row: Instruction, immediate: tuple[int, int, int]) -> None:
    access(state, row, immediate)
    exponent = immediate[0]
    assert row.access is not None
    # Here the alignment is no hint: it says what an address must be a multiple of.
    if 1 << exponent != row.access.size:
        raise Rejection(f"atomic alignment must be natural: 2**{exponent} for {row.access.size} bytes")


RULES: dict[str, Rule] = {
    "atomic_load": _atomic_access,
    "atomic_store": _atomic_access,
    "atomic_rmw": _atomic_access,
    "atomic_cmpxchg": _atomic_access,
    "atomic_wait": _atomic_access,
    "atomic_notify": _atomic_access,
    "atomic_fence": signature_only,
}
