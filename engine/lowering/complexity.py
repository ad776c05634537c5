"""Which functions are too complex to be optimised: those on which LLVM's time grows faster than their size.

Its passes are linear on what compilers make, but not on everything that validates: 8,000 locals changed across
8,000 branches took 51 s, 2,000 divisions by one divisor 7 s. Without optimisation both take 0.1 s.
"""

from __future__ import annotations

from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.lowering.memory_access import is_guarded
from farcall.engine.structure.module import FunctionBody, Module

_SIMPLE_BYTES = 4096
"""A body up to this size cannot hold enough of anything else to be complex."""

_BRANCHES_TIMES_LOCALS = 4_000_000
_TRAPPING_ARITHMETIC = 1_000

_CHECKED_ACCESSES = 4_000
"""Accesses to memories without guard pages, each ending LLVM blocks: 4,000 took 5 s, 8,000 four times as long.

Atomic ones count as well, since they check their alignment: 4,000 took 1.4 s, 16,000 seven times as long.
"""

_ATOMIC_RULES = frozenset(
    {"atomic_load", "atomic_store", "atomic_rmw", "atomic_cmpxchg", "atomic_wait", "atomic_notify"}
)

_MANY_VALUES = 100
"""Parameters and results of a function type: with a thousand of each, functions that do nothing else took 10 s."""

_CATCHING_BLOCKS = 200
"""Blocks that catch, over each of which registers are kept: 200 took 0.5 s, 1,000 took 14 s."""

_BRANCHING_RULES = frozenset(
    {
        "block",
        "loop",
        "if",
        "br",
        "br_if",
        "br_on_null",
        "br_on_non_null",
        "br_on_cast",
        "br_on_cast_fail",
        "br_on_cast_desc_eq",
        "br_on_cast_desc_eq_fail",
        "return",
        "throw",
        "rethrow",
    }
)
_CATCHING_RULES = frozenset({"try_table", "try"})
_TYPED_CALL_RULES = frozenset({"call_indirect", "call_ref", "return_call_indirect", "return_call_ref"})


_CATCHING_OPCODES = tuple(bytes([row.opcode]) for row in INSTRUCTIONS if row.rule in _CATCHING_RULES)


def _perhaps_catching(module: Module, body: FunctionBody) -> int:
    """How many blocks that catch there are at most: how often the bytes occur that begin one."""
    return sum(module.source.count(opcode, body.start, body.end) for opcode in _CATCHING_OPCODES)


def _is_wide(module: Module, type_index: int) -> bool:
    function_type = module.signature(type_index)
    return len(function_type.parameters) + len(function_type.results) > _MANY_VALUES


def is_complex(module: Module, body: FunctionBody) -> bool:
    """Whether a function of a validated module is too complex to be optimised."""
    if _is_wide(module, body.type_index):
        return True
    if body.end - body.start <= _SIMPLE_BYTES and _perhaps_catching(module, body) <= _CATCHING_BLOCKS:
        return False
    changed: set[int] = set()
    branches = trapping = checked = catching = 0
    unguarded = {index for index, memory in enumerate(module.memories) if not is_guarded(memory)}
    for row, immediates, _ in decode_body(module.source, body.start, body.end):
        catching += row.rule in _CATCHING_RULES
        if row.traps:
            trapping += 1
        elif row.access is not None:
            checked += immediates[0][1] in unguarded or row.rule in _ATOMIC_RULES
        elif row.rule in ("call", "return_call"):
            if _is_wide(module, module.function_types[immediates[0]]):
                return True
        elif row.rule in _TYPED_CALL_RULES:
            if _is_wide(module, immediates[0]):
                return True
        elif row.rule in ("local_set", "local_tee"):
            changed.add(immediates[0])
        elif row.rule == "br_table":
            branches += len(immediates[0])
        elif row.rule in _BRANCHING_RULES:
            branches += 1
    return (
        branches * len(changed) > _BRANCHES_TIMES_LOCALS
        or trapping > _TRAPPING_ARITHMETIC
        or checked > _CHECKED_ACCESSES
        or catching > _CATCHING_BLOCKS
    )


_SHORT_TEXT = 64 << 10
_SHORT_TEXT_UNOPTIMIZED = 300_000
"""4,000 saturating truncations, in so many characters, took 1 s; nearly all else takes 0.1 s."""


def is_soon_compiled(text: str, *, optimized: bool = True) -> bool:
    """Whether LLVM is certain to compile a text within about a second, whatever it says.

    It is too short then for what takes time that grows with its square.
    """
    return len(text) <= (_SHORT_TEXT if optimized else _SHORT_TEXT_UNOPTIMIZED)
