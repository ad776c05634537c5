"""The table itself: every row, found by opcode or by name.

Importing it fails on a duplicate. Each reader calls `check_rules` on the rules it has, which fails on a row
without a rule and on a rule without a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from farcall.engine.instructions import (
    atomic,
    control,
    exceptions,
    function_reference,
    legacy_exceptions,
    memory,
    numeric,
    objects,
    table_and_reference,
    vector,
    vector_conversion,
    vector_float,
    vector_integer,
    vector_memory,
    vector_relaxed,
    wide_arithmetic,
)
from farcall.engine.instructions.instruction import IMPLEMENTED, Feature, Instruction

INSTRUCTIONS: tuple[Instruction, ...] = (
    *control.ROWS,
    *exceptions.ROWS,
    *legacy_exceptions.ROWS,
    *table_and_reference.ROWS,
    *function_reference.ROWS,
    *objects.ROWS,
    *memory.ROWS,
    *numeric.ROWS,
    *wide_arithmetic.ROWS,
    *vector.ROWS,
    *vector_memory.ROWS,
    *vector_integer.ROWS,
    *vector_float.ROWS,
    *vector_conversion.ROWS,
    *vector_relaxed.ROWS,
    *atomic.ROWS,
)


def _index(rows: Iterable[Instruction]) -> tuple[list[Instruction | None], dict[int, dict[int, Instruction]]]:
    single: list[Instruction | None] = [None] * 256
    prefixed: dict[int, dict[int, Instruction]] = {}
    for row in rows:
        if row.prefix is None:
            taken, single[row.opcode] = single[row.opcode], row
        else:
            group = prefixed.setdefault(row.prefix, {})
            taken, group[row.opcode] = group.get(row.opcode), row
        if taken is not None:
            raise ValueError(f"{taken.name} and {row.name} have the same opcode")
    return single, prefixed


BY_OPCODE, BY_PREFIX = _index(INSTRUCTIONS)
"""Rows by one-byte opcode (None where there is none), and by prefix and opcode."""

BY_NAME: Mapping[str, Instruction] = {row.name: row for row in INSTRUCTIONS}

if len(BY_NAME) != len(INSTRUCTIONS):
    raise ValueError("two instructions have the same name")

if any(row.feature not in IMPLEMENTED | {Feature.CORE} for row in INSTRUCTIONS):
    raise ValueError("an instruction is of a feature that is not listed as implemented")

RULES: frozenset[str] = frozenset(row.rule for row in INSTRUCTIONS if row.rule is not None)
"""The names of all rules; validator and lowering have one function for each."""


def check_rules(reader: str, rules: Iterable[str]) -> None:
    """Raise unless `rules`, the names that `reader` has functions for, are exactly those of the table."""
    have = set(rules)
    if have != RULES:
        raise ValueError(
            f"{reader}: rows without a rule {sorted(RULES - have)}, rules without a row {sorted(have - RULES)}"
        )
