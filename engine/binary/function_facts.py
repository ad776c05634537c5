"""The facts of functions, where validation has not collected them: read from the code (see `structure`)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.atomic import ALIGNED_RULES
from farcall.engine.instructions.control import (
    BLOCK_RULES,
    BRANCHING_RULES,
    CATCHING_RULES,
    CLOSING_RULES,
    DIVIDING_RULES,
    TAIL_CALL_RULES,
    TYPED_CALL_RULES,
)
from farcall.engine.structure.function_facts import CALLEE_MASK, FACT_COUNT, UNCONDITIONAL, Fact
from farcall.engine.structure.module import FunctionBody, Module


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one function's code.

    Attributes:
        counts: by `Fact`.
        calls: what it calls directly, in the order of its code, as in `FunctionFacts.calls`.
    """

    counts: array[int]
    calls: array[int]

    @property
    def callees(self) -> list[int]:
        """The functions that it calls directly, as often as it does, imports among them."""
        return [call & CALLEE_MASK for call in self.calls]

    @property
    def certain_callees(self) -> list[int]:
        """Those of them that it calls whenever it returns."""
        return [call & CALLEE_MASK for call in self.calls if call >= UNCONDITIONAL]


def known_facts(module: Module, position: int) -> Facts | None:
    """The facts of a function, by its position among the module's own, if validation has collected them."""
    collected = module.facts
    if not collected.is_known(position):
        return None
    counts = collected.rows[position * FACT_COUNT : (position + 1) * FACT_COUNT]
    return Facts(counts, collected.direct_calls(position))


def function_facts(module: Module, position: int) -> Facts:
    """The same of a function of a validated module in any case: if need be, they are read."""
    return known_facts(module, position) or read_facts(module, module.functions[position])


def read_facts(module: Module, body: FunctionBody) -> Facts:
    """Read the facts of a function of a validated module."""
    counts = array("I", bytes(4 * FACT_COUNT))
    calls = array("I")
    paths = _Paths()
    changed: set[int] = set()
    for row, immediates, _ in decode_body(module.source, body.start, body.end):
        rule = row.rule
        certain = paths.certain
        paths.follow(rule, immediates)
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
            calls.append(immediates[0] + (UNCONDITIONAL if certain else 0))
            _note_callee(counts, module, module.function_types[immediates[0]])
        elif rule in TYPED_CALL_RULES:
            _note_callee(counts, module, immediates[0])
        if rule in TAIL_CALL_RULES:
            counts[Fact.TAIL_CALLS] = 1
    counts[Fact.CHANGED_LOCALS] = len(changed)
    counts[Fact.CALL_COUNT] = len(calls)
    counts[Fact.KNOWN] = 1
    return Facts(counts, calls)


class _Paths:
    """What of a function's code is reached whenever the function returns.

    Attributes:
        certain: whether the next instruction is.
    """

    def __init__(self) -> None:
        self._blocks: list[str] = ["function"]  # the rules of those that are open
        self._maybe: int | None = None  # which of them is the outermost whose rest some path leads past

    @property
    def certain(self) -> bool:
        return self._maybe is None

    def follow(self, rule: str | None, immediates: Sequence[Any]) -> None:
        """Go on with an instruction."""
        if rule in BLOCK_RULES:
            self._blocks.append(rule)
            if rule == "if":
                self._lead_past(len(self._blocks) - 1)
        elif rule in CLOSING_RULES:
            self._blocks.pop()
            if self._maybe is not None and self._maybe >= len(self._blocks):
                self._maybe = None
        elif rule in DIVIDING_RULES:
            self._lead_past(len(self._blocks) - 1)
        elif rule in ("br", "br_if"):
            target = len(self._blocks) - 1 - immediates[0]
            if self._blocks[target] != "loop":
                self._lead_past(target)
        elif rule in ("return", "br_table") or rule in TAIL_CALL_RULES or str(rule).startswith("br_"):
            self._lead_past(0)

    def _lead_past(self, block: int) -> None:
        if self._maybe is None or block < self._maybe:
            self._maybe = block


def _access_fact(rule: str | None, memory: int) -> Fact:
    if rule in ALIGNED_RULES:
        return Fact.ATOMIC_ACCESSES
    return Fact.ACCESSES_OTHER if memory else Fact.ACCESSES_0


def _note_callee(counts: array[int], module: Module, type_index: int) -> None:
    signature = module.signature(type_index)
    width = len(signature.parameters) + len(signature.results)
    counts[Fact.WIDEST_CALLEE] = max(counts[Fact.WIDEST_CALLEE], width)
