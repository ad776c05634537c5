"""Table instructions (section 4.4.6). An index is checked against the table's length before every access."""

from __future__ import annotations

from typing import Any

from farcall.engine.abi.layout import (
    SEGMENT_LENGTH,
    TABLE_ENTRY_ELEMENTS,
    TABLE_RECORD_LENGTH,
    RuntimeFunction,
)
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.metadata import CONTEXT, ELEMENT, INVARIANT_POINTER
from farcall.engine.structure.types import I64


def _fixed_length(function: FunctionLowering, table: int) -> int | None:
    """The length of a table that the module defines and that cannot grow."""
    context = function.context
    limits = context.module.tables[table].limits
    constant = table >= context.imported_tables and limits.minimum == limits.maximum
    return limits.minimum if constant else None


def element_address(function: FunctionLowering, table: int, index: str, trap: str) -> str:
    """A pointer to the element at `index` (of the table's index type), or the trap where the table has none."""
    fixed = _fixed_length(function, table)
    wide = index if function.context.module.tables[table].index_type is I64 else function.widen(index)
    length = (
        function.load("i64", function.table_record(table), TABLE_RECORD_LENGTH, CONTEXT)
        if fixed is None
        else str(fixed)
    )
    function.trap_if(function.define(f"icmp uge i64 {wide}, {length}"), trap)
    entry = function.context.layout.table(table) + TABLE_ENTRY_ELEMENTS
    elements = function.load("ptr", "%vmctx", entry, INVARIANT_POINTER)
    return function.define(f"getelementptr ptr, ptr {elements}, i64 {wide}")


def table_get(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.get`."""
    address = element_address(function, immediates[0], function.pop(), "out_of_bounds_table_access")
    function.stack.append(("ptr", function.define(f"load ptr, ptr {address}, align 8{ELEMENT}")))


def table_set(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.set`: volatile, for what was set before a trap stays set."""
    reference = function.pop()
    address = element_address(function, immediates[0], function.pop(), "out_of_bounds_table_access")
    function.lines.append(f"store volatile ptr {reference}, ptr {address}, align 8{ELEMENT}")


def table_size(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.size`."""
    table = immediates[0]
    length = function.load("i64", function.table_record(table), TABLE_RECORD_LENGTH, CONTEXT)
    function.push_narrowed(function.context.module.tables[table].index_type, length)


def table_grow(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.grow`."""
    table = immediates[0]
    count = function.pop_wide()
    reference = function.pop()
    record = function.table_record(table)
    former = function.call_runtime(RuntimeFunction.TABLE_GROW, record, count, reference)
    function.push_narrowed(function.context.module.tables[table].index_type, former)


def table_fill(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.fill`."""
    count = function.pop_wide()
    reference = function.pop()
    destination = function.pop_wide()
    record = function.table_record(immediates[0])
    execution = function.execution_context()
    function.call_runtime(RuntimeFunction.TABLE_FILL, execution, record, destination, reference, count)


def _pop_range(function: FunctionLowering) -> list[str]:
    """The three operands of a bulk instruction, all unsigned."""
    operands = function.stack[-3:]
    del function.stack[-3:]
    return [text if llvm == "i64" else function.widen(text) for llvm, text in operands]


def table_copy(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.copy`; immediates: table to copy to, table to copy from."""
    to, source = (function.table_record(table) for table in immediates)
    operands = _pop_range(function)
    function.call_runtime(RuntimeFunction.TABLE_COPY, function.execution_context(), to, source, *operands)


def table_init(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`table.init`."""
    element, table = immediates
    operands = _pop_range(function)
    record = function.table_record(table)
    segment = function.address("%vmctx", function.context.layout.element_segment(element))
    function.call_runtime(
        RuntimeFunction.TABLE_INIT, function.execution_context(), record, segment, *operands
    )


def elem_drop(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`elem.drop`: the segment is as if it were empty."""
    segment = function.context.layout.element_segment(immediates[0])
    length = function.address("%vmctx", segment + SEGMENT_LENGTH)
    function.lines.append(f"store volatile i64 0, ptr {length}, align 8{CONTEXT}")
