"""The facts of functions, where validation has not collected them: read from the code (see `structure`)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.atomic import ALIGNED_RULES
from farcall.engine.instructions.control import (
    BRANCHING_RULES,
    CATCHING_RULES,
    TAIL_CALL_RULES,
    TYPED_CALL_RULES,
)
from farcall.engine.structure.function_facts import FACT_COUNT, Fact
from farcall.engine.structure.module import FunctionBody, Module


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one function's code.

    Attributes:
        counts: by `Fact`.
        callees: the functions that it calls directly, as often as it does, imports among them.
    """

    counts: array[int]
    callees: array[int]


def function_facts(module: Module, position: int) -> Facts:
    """The facts of a function of a validated module, by its position among the module's own."""
    collected = module.facts
    if collected.is_known(position):
        counts = collected.rows[position * FACT_COUNT : (position + 1) * FACT_COUNT]
        return Facts(counts, collected.direct_callees(position))
    return read_facts(module, module.functions[position])


def read_facts(module: Module, body: FunctionBody) -> Facts:
    """Read the facts of a function of a validated module."""
    counts = array("I", bytes(4 * FACT_COUNT))
    callees = array("I")
    changed: set[int] = set()
    for row, immediates, _ in decode_body(module.source, body.start, body.end):
        rule = row.rule
        counts[Fact.INSTRUCTIONS] += 1
        counts[Fact.TRAPPING_ARITHMETIC] += bool(row.traps)
        counts[Fact.BRANCHES] += rule in BRANCHING_RULES
        counts[Fact.CATCHING_BLOCKS] += rule in CATCHING_RULES
        if row.access is not None:
            # Where there is a lane beside it, the place comes first.
            counts[_access_fact(rule, immediates[0][1])] += 1
        elif rule in ("local_set", "local_tee"):
            changed.add(immediates[0])
        elif rule == "br_table":
            counts[Fact.BRANCHES] += len(immediates[0])
        elif rule in ("call", "return_call"):
            callees.append(immediates[0])
            _note_callee(counts, module, module.function_types[immediates[0]])
        elif rule in TYPED_CALL_RULES:
            _note_callee(counts, module, immediates[0])
        if rule in TAIL_CALL_RULES:
            counts[Fact.TAIL_CALLS] = 1
    counts[Fact.CHANGED_LOCALS] = len(changed)
    counts[Fact.CALL_COUNT] = len(callees)
    counts[Fact.KNOWN] = 1
    return Facts(counts, callees)


def _access_fact(rule: str | None, memory: int) -> Fact:
    if rule in ALIGNED_RULES:
        return Fact.ATOMIC_ACCESSES
    return Fact.ACCESSES_OTHER if memory else Fact.ACCESSES_0


def _note_callee(counts: array[int], module: Module, type_index: int) -> None:
    signature = module.signature(type_index)
    width = len(signature.parameters) + len(signature.results)
    counts[Fact.WIDEST_CALLEE] = max(counts[Fact.WIDEST_CALLEE], width)
