"""Which functions end after few instructions, whatever they are called with.

That is certain of a function without loops, whose callees are all such functions: an embedder may call it where
it must not wait, without means to stop it. Certain in the sense of a proof: what is not known to be bounded is not.
"""

from __future__ import annotations

from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.module import Module

INSTRUCTION_BUDGET = 1000
"""Instructions that a function may execute at most; the slowest take a microsecond (a page's first touch)."""

_BOUNDED_RULES = frozenset(
    {
        "unreachable", "nop", "block", "if", "else", "end", "br", "br_if", "br_table", "return", "drop",
        "select", "select_typed", "local_get", "local_set", "local_tee", "global_get", "global_set",
        "table_get", "table_set", "table_size", "ref_null", "ref_is_null", "ref_func", "memory_size", "constant",
        "add128", "sub128", "mul_wide_s", "mul_wide_u",
        "atomic_fence",
        "ref_as_non_null", "br_on_null", "br_on_non_null", "struct_get", "struct_get_s", "struct_get_u", "struct_set",
        "array_get", "array_get_s", "array_get_u", "array_set", "array_len", "ref_i31", "i31_get_s", "i31_get_u",
        "ref_test", "ref_test_null", "ref_cast", "ref_cast_null", "br_on_cast", "br_on_cast_fail",
        "ref_get_desc", "ref_cast_desc_eq", "ref_cast_desc_eq_null", "br_on_cast_desc_eq", "br_on_cast_desc_eq_fail",
        "any_convert_extern", "extern_convert_any",
    }
)  # fmt: skip
"""Rules of instructions that take constant time, beside those that a template lowers, and accesses to memory."""

_UNBOUNDED_RULES = frozenset({"atomic_wait", "atomic_notify"})
"""Rules of instructions that access memory and take a time that nobody knows."""


def is_bounded(module: Module, function_index: int) -> bool:
    """Whether a function of a validated module is certain to end within the budget.

    Args:
        module: the module.
        function_index: in its function index space; of imports nothing is known.
    """
    return _left_after(module, function_index, INSTRUCTION_BUDGET) >= 0


def _left_after(module: Module, function_index: int, budget: int) -> int:
    """What is left of the budget after the function at its worst; negative if it may take more.

    Recursion uses the budget up, since each visit costs something.
    """
    position = function_index - module.imported_function_count
    if position < 0:
        return -1
    body = module.functions[position]
    budget -= 1 + sum(count for count, _ in body.locals)
    for row, immediates, _ in decode_body(module.source, body.start, body.end):
        budget -= 1
        if budget < 0:
            return -1
        if row.rule == "call":
            budget = _left_after(module, immediates[0], budget)
        elif not _takes_constant_time(row):
            return -1
    return budget


def _takes_constant_time(row: Instruction) -> bool:
    if row.access is not None:
        return row.rule not in _UNBOUNDED_RULES
    return row.template is not None or row.rule in _BOUNDED_RULES
