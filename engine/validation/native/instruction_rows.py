"""What the routine knows of instructions: the rows of the instruction table as bytes, in which it looks opcodes up."""

from __future__ import annotations

from functools import cache

from farcall.engine.instructions.atomic import ALIGNED_RULES
from farcall.engine.instructions.control import BRANCHING_RULES, CATCHING_RULES
from farcall.engine.instructions.instruction import Features, Immediate, Instruction
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.structure.types import ValueType
from farcall.engine.validation.memory_rules import signature_only
from farcall.engine.validation.native.layout import (
    MOST_PARAMETERS,
    MOST_RESULTS,
    ROW_BYTES,
    At,
    Kind,
    Row,
    RowFlag,
    TypeId,
)
from farcall.engine.validation.native.type_numbers import type_number
from farcall.engine.validation.rules import RULES

_BY_IMMEDIATES: dict[tuple[Immediate, ...], tuple[Kind, int]] = {
    (): (Kind.SIGNATURE, 0),
    (Immediate.SIGNED_32,): (Kind.SIGNED_32, 32),
    (Immediate.SIGNED_64,): (Kind.SIGNED_64, 64),
    (Immediate.FLOAT_32,): (Kind.FIXED_BYTES, 4),
    (Immediate.FLOAT_64,): (Kind.FIXED_BYTES, 8),
    (Immediate.VECTOR,): (Kind.FIXED_BYTES, 16),
    (Immediate.ZERO_BYTE,): (Kind.ZERO_BYTE, 1),
    (Immediate.LANE,): (Kind.LANE, 1),
    (Immediate.LANES,): (Kind.LANES, 16),
}
"""Kind and number of instructions of whose immediates only the encoding matters, or that lanes are there."""

_BY_RULE: dict[str, Kind] = {
    "nop": Kind.SIGNATURE,
    "extract_lane": Kind.LANE,
    "replace_lane": Kind.LANE,
    "shuffle": Kind.LANES,
    **dict.fromkeys(("load", "store", "vector_load", "load_lane", "store_lane", *ALIGNED_RULES), Kind.ACCESS),
    "unreachable": Kind.UNREACHABLE,
    "block": Kind.BLOCK,
    "loop": Kind.LOOP,
    "if": Kind.IF,
    "try": Kind.TRY,
    "try_table": Kind.TRY_TABLE,
    "else": Kind.ELSE,
    "catch": Kind.CATCH,
    "catch_all": Kind.CATCH_ALL,
    "delegate": Kind.DELEGATE,
    "end": Kind.END,
    "throw": Kind.THROW,
    "throw_ref": Kind.THROW_REF,
    "rethrow": Kind.RETHROW,
    "br": Kind.BR,
    "br_if": Kind.BR_IF,
    "br_table": Kind.BR_TABLE,
    "return": Kind.RETURN,
    "call": Kind.CALL,
    "call_indirect": Kind.CALL_INDIRECT,
    "return_call": Kind.RETURN_CALL,
    "return_call_indirect": Kind.RETURN_CALL_INDIRECT,
    "drop": Kind.DROP,
    "select": Kind.SELECT,
    "select_typed": Kind.SELECT_TYPED,
    "local_get": Kind.LOCAL_GET,
    "local_set": Kind.LOCAL_SET,
    "local_tee": Kind.LOCAL_TEE,
    "global_get": Kind.GLOBAL_GET,
    "global_set": Kind.GLOBAL_SET,
    "table_get": Kind.TABLE_GET,
    "table_set": Kind.TABLE_SET,
    "table_size": Kind.TABLE_SIZE,
    "table_grow": Kind.TABLE_GROW,
    "table_fill": Kind.TABLE_FILL,
    "table_copy": Kind.TABLE_COPY,
    "table_init": Kind.TABLE_INIT,
    "elem_drop": Kind.SIGNATURE,
    "ref_null": Kind.REF_NULL,
    "ref_is_null": Kind.REF_IS_NULL,
    "ref_func": Kind.REF_FUNC,
    "memory_size": Kind.MEMORY_SIZE,
    "memory_grow": Kind.MEMORY_GROW,
    "memory_fill": Kind.MEMORY_FILL,
    "memory_copy": Kind.MEMORY_COPY,
    "memory_init": Kind.MEMORY_INIT,
    "data_drop": Kind.SIGNATURE,
}
"""The kinds of instructions that have a rule. Those of other rules are undecided, unless their signature says all."""

_LIMITS: dict[Immediate, At] = {
    Immediate.LABEL: At.ANY,
    Immediate.LOCAL: At.ANY,
    Immediate.FUNCTION: At.FUNCTION_COUNT,
    Immediate.TYPE: At.TYPE_COUNT,
    Immediate.TABLE: At.TABLE_COUNT,
    Immediate.GLOBAL: At.GLOBAL_COUNT,
    Immediate.ELEMENT_SEGMENT: At.ELEMENT_COUNT,
    Immediate.DATA_SEGMENT: At.DATA_COUNT,
    Immediate.MEMORY: At.MEMORY_COUNT,
    Immediate.TAG: At.TAG_COUNT,
}
"""Where the context says how many there are of what an immediate is the index of; labels and locals are for later."""

_SINGLE_ROWS = 256


def _kind(row: Instruction) -> tuple[Kind, int]:
    """Kind and number."""
    if row.access is not None:
        return _BY_RULE.get(row.rule or "", Kind.UNDECIDED), row.access.size.bit_length() - 1
    if row.rule is None or RULES[row.rule] is signature_only:
        return _BY_IMMEDIATES.get(row.immediates, (Kind.UNDECIDED, 0))
    kind = _BY_RULE.get(row.rule, Kind.UNDECIDED)
    number = _BY_IMMEDIATES[row.immediates][1] if kind in (Kind.LANE, Kind.LANES) else 0
    return kind, number


def _fill(place: bytearray, start: int, row: Instruction) -> None:
    kind, number = _kind(row)
    own: tuple[ValueType, ...] = row.parameters if row.access is None else row.parameters[1:]
    parameters = [type_number(value) for value in reversed(own)]
    results = [type_number(value) for value in row.results]
    if (
        len(parameters) > MOST_PARAMETERS
        or len(results) > MOST_RESULTS
        or TypeId.OTHER in (*parameters, *results)
    ):
        kind = Kind.UNDECIDED
        parameters = results = []
    place[start + Row.KIND] = kind
    place[start + Row.PARAMETER_COUNT] = len(parameters)
    place[start + Row.RESULT_COUNT] = len(results)
    place[start + Row.PARAMETERS : start + Row.PARAMETERS + len(parameters)] = bytes(parameters)
    place[start + Row.RESULTS : start + Row.RESULTS + len(results)] = bytes(results)
    place[start + Row.NUMBER] = number
    place[start + Row.FLAGS] = (
        RowFlag.TRAPS * bool(row.traps)
        | RowFlag.BRANCHES * (row.rule in BRANCHING_RULES)
        | RowFlag.CATCHES * (row.rule in CATCHING_RULES)
        | RowFlag.NATURALLY_ALIGNED * (row.rule in ALIGNED_RULES)
    )
    place[start + Row.LANES] = 1 if kind is Kind.ZERO_BYTE else row.lanes
    limits = [_LIMITS.get(immediate, 0) // 8 for immediate in row.immediates]
    if kind is not Kind.UNDECIDED and all(limits) and limits:
        place[start + Row.FIRST_LIMIT : start + Row.FIRST_LIMIT + len(limits)] = bytes(limits)


@cache
def instruction_rows(disabled: Features) -> bytes:
    """The rows of all instructions but those of disabled features, `ROW_BYTES` each, by opcode.

    Those with a prefix stand behind, where the prefix's row says.
    """
    rows = bytearray(_SINGLE_ROWS * ROW_BYTES)
    groups: dict[int, dict[int, Instruction]] = {}
    for row in INSTRUCTIONS:
        if row.feature in disabled or row.also in disabled:
            continue
        if row.prefix is None:
            _fill(rows, row.opcode * ROW_BYTES, row)
        else:
            groups.setdefault(row.prefix, {})[row.opcode] = row
    for prefix, group in groups.items():
        start, size = len(rows) // ROW_BYTES, max(group) + 1
        place = prefix * ROW_BYTES
        rows[place + Row.KIND] = Kind.PREFIX
        rows[place + Row.GROUP_START : place + Row.GROUP_START + 2] = start.to_bytes(2, "little")
        rows[place + Row.GROUP_SIZE : place + Row.GROUP_SIZE + 2] = size.to_bytes(2, "little")
        rows.extend(bytes(size * ROW_BYTES))
        for opcode, row in group.items():
            _fill(rows, (start + opcode) * ROW_BYTES, row)
    return bytes(rows)
