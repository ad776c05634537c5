"""Which functions are too complex to be optimised: those on which LLVM's time grows faster than their size.

Its passes are linear on what compilers make, but not on everything that validates: 8,000 locals changed across
8,000 branches took 51 s, 2,000 divisions by one divisor 7 s. Without optimisation both take 0.1 s.
"""

from __future__ import annotations

from array import array

from farcall.engine.binary.function_facts import function_facts
from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.atomic import ALIGNED_RULES
from farcall.engine.instructions.control import CATCHING_RULES
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.lowering.memory_access import is_guarded
from farcall.engine.structure.function_facts import Fact
from farcall.engine.structure.module import FunctionBody, Module

_SIMPLE_BYTES = 4096
"""A body up to this size cannot hold enough of anything else to be complex."""

_BRANCHES_TIMES_LOCALS = 4_000_000
_TRAPPING_ARITHMETIC = 1_000

_CHECKED_ACCESSES = 4_000
"""Accesses to memories without guard pages, each ending LLVM blocks: 4,000 took 5 s, 8,000 four times as long.

Atomic ones count as well, since they check their alignment: 4,000 took 1.4 s, 16,000 seven times as long.
"""

_MANY_VALUES = 100
"""Parameters and results of a function type: with a thousand of each, functions that do nothing else took 10 s."""

_CATCHING_BLOCKS = 200
"""Blocks that catch, over each of which registers are kept: 200 took 0.5 s, 1,000 took 14 s."""

_CATCHING_OPCODES = tuple(bytes([row.opcode]) for row in INSTRUCTIONS if row.rule in CATCHING_RULES)


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
    counts = function_facts(module, body.index - module.imported_function_count).counts
    return (
        counts[Fact.WIDEST_CALLEE] > _MANY_VALUES
        or counts[Fact.BRANCHES] * counts[Fact.CHANGED_LOCALS] > _BRANCHES_TIMES_LOCALS
        or counts[Fact.TRAPPING_ARITHMETIC] > _TRAPPING_ARITHMETIC
        or _checked_accesses(module, body, counts) > _CHECKED_ACCESSES
        or counts[Fact.CATCHING_BLOCKS] > _CATCHING_BLOCKS
    )


def _checked_accesses(module: Module, body: FunctionBody, counts: array[int]) -> int:
    """How many accesses end LLVM blocks: all atomic ones, and those to memories without guard pages."""
    checked = [not is_guarded(memory) for memory in module.memories]
    others = counts[Fact.ACCESSES_OTHER]
    if others and len(set(checked[1:])) > 1:
        unguarded = {index for index, found in enumerate(checked) if found}
        others = sum(
            immediates[0][1] in unguarded
            for row, immediates, _ in decode_body(module.source, body.start, body.end)
            if row.access is not None and row.rule not in ALIGNED_RULES and immediates[0][1]
        )
    elif others and not checked[1]:
        others = 0
    first = counts[Fact.ACCESSES_0] if checked and checked[0] else 0
    return counts[Fact.ATOMIC_ACCESSES] + first + others


TEXT_PER_BYTE = 25
"""Characters of text that a byte of code becomes, about."""
_SHORT_TEXT = 64 << 10
_SHORT_TEXT_UNOPTIMIZED = 300_000
"""4,000 saturating truncations, in so many characters, took 1 s; nearly all else takes 0.1 s."""


def is_soon_compiled(text: str, *, optimized: bool = True) -> bool:
    """Whether LLVM is certain to compile a text within about a second, whatever it says.

    It is too short then for what takes time that grows with its square.
    """
    return len(text) <= (_SHORT_TEXT if optimized else _SHORT_TEXT_UNOPTIMIZED)


def is_short(body: FunctionBody) -> bool:
    """Whether a function's text is likely to be soon compiled without optimisation; else it need not be made to see."""
    return (body.end - body.start) * TEXT_PER_BYTE <= _SHORT_TEXT_UNOPTIMIZED
