"""The rules of the instruction table and the functions that lower them."""

from __future__ import annotations

from farcall.engine.instructions.table import check_rules
from farcall.engine.lowering import (
    call,
    control,
    memory,
    numeric,
    parametric,
    reference,
    table,
    variable,
    wide_arithmetic,
)
from farcall.engine.lowering.function import Rule

RULES: dict[str, Rule] = {
    "unreachable": control.unreachable,
    "nop": control.nop,
    "block": control.block,
    "loop": control.loop,
    "if": control.if_,
    "else": control.else_,
    "end": control.end,
    "br": control.br,
    "br_if": control.br_if,
    "br_table": control.br_table,
    "return": control.return_,
    "call": call.call,
    "call_indirect": call.call_indirect,
    "drop": parametric.drop,
    "select": parametric.select,
    "select_typed": parametric.select,
    "local_get": variable.local_get,
    "local_set": variable.local_set,
    "local_tee": variable.local_tee,
    "global_get": variable.global_get,
    "global_set": variable.global_set,
    "table_get": table.table_get,
    "table_set": table.table_set,
    "table_init": table.table_init,
    "elem_drop": table.elem_drop,
    "table_copy": table.table_copy,
    "table_grow": table.table_grow,
    "table_size": table.table_size,
    "table_fill": table.table_fill,
    "ref_null": reference.ref_null,
    "ref_is_null": reference.ref_is_null,
    "ref_func": reference.ref_func,
    "load": memory.load,
    "store": memory.store,
    "memory_size": memory.memory_size,
    "memory_grow": memory.memory_grow,
    "memory_init": memory.memory_init,
    "data_drop": memory.data_drop,
    "memory_copy": memory.memory_copy,
    "memory_fill": memory.memory_fill,
    "constant": numeric.constant,
    **wide_arithmetic.RULES,
}

check_rules("lowering", RULES)
