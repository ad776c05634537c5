"""All rules by the names that the instruction table gives them."""

from __future__ import annotations

from farcall.engine.instructions.table import check_rules
from farcall.engine.validation import (
    atomic_rules,
    cast_rules,
    control_rules,
    descriptor_rules,
    exception_rules,
    legacy_exception_rules,
    memory_rules,
    object_rules,
    reference_rules,
    table_rules,
)
from farcall.engine.validation.control_rules import Rule

RULES: dict[str, Rule] = {
    **control_rules.RULES,
    **exception_rules.RULES,
    **legacy_exception_rules.RULES,
    **memory_rules.RULES,
    **table_rules.RULES,
    **reference_rules.RULES,
    **object_rules.RULES,
    **cast_rules.RULES,
    **descriptor_rules.RULES,
    **atomic_rules.RULES,
}

check_rules("validator", RULES)
