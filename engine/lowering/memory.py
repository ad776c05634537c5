"""Memory instructions (section 4.4.7). Where they may touch memory is decided in `memory_access`."""

from __future__ import annotations

from typing import Any

from farcall.engine.abi.layout import SEGMENT_LENGTH, RuntimeFunction
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.memory_access import load_guest, memory_length, store_guest
from farcall.engine.lowering.metadata import CONTEXT


def load(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.load` and its narrow forms."""
    _, memory, offset = immediates[0]
    access, result = row.access, row.results[0].llvm
    assert access is not None
    value = load_guest(function, memory, function.pop(), offset, access.llvm, access.size)
    if access.extension is not None:
        value = function.define(f"{access.extension} {access.llvm} {value} to {result}")
    function.stack.append((result, value))


def store(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.store` and its narrow forms."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    llvm, value = function.stack.pop()
    if access.extension is not None:
        value = function.define(f"trunc {llvm} {value} to {access.llvm}")
    store_guest(function, memory, function.pop(), offset, access.llvm, access.size, value)


def memory_size(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.size`: in pages."""
    memory = immediates[0]
    size = memory_length(function, memory)
    memory_type = function.context.module.memories[memory]
    pages = function.define(f"udiv i64 {size}, {memory_type.page_size}")
    function.push_narrowed(memory_type.index_type, pages)


def memory_grow(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.grow`."""
    memory = immediates[0]
    pages = function.pop_wide()
    record = function.memory_record(memory)
    former = function.call_runtime(RuntimeFunction.MEMORY_GROW, record, pages)
    function.push_narrowed(function.context.module.memories[memory].index_type, former)


def _pop_range(function: FunctionLowering) -> tuple[str, str, str]:
    """The three operands of a bulk instruction, all unsigned."""
    count = function.pop_wide()
    source = function.pop_wide()
    destination = function.pop_wide()
    return destination, source, count


def memory_copy(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.copy`; immediates: memory to copy to, memory to copy from."""
    to, source = (function.memory_record(memory) for memory in immediates)
    operands = _pop_range(function)
    function.call_runtime(RuntimeFunction.MEMORY_COPY, function.execution_context(), to, source, *operands)


def memory_fill(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.fill`."""
    count = function.pop_wide()
    byte = function.pop()
    destination = function.pop_wide()
    record = function.memory_record(immediates[0])
    execution = function.execution_context()
    function.call_runtime(RuntimeFunction.MEMORY_FILL, execution, record, destination, byte, count)


def memory_init(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.init`."""
    data, memory = immediates
    operands = _pop_range(function)
    record = function.memory_record(memory)
    segment = function.address("%vmctx", function.context.layout.data_segment(data))
    function.call_runtime(
        RuntimeFunction.MEMORY_INIT, function.execution_context(), record, segment, *operands
    )


def data_drop(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`data.drop`: the segment is as if it were empty."""
    segment = function.context.layout.data_segment(immediates[0])
    length = function.address("%vmctx", segment + SEGMENT_LENGTH)
    function.lines.append(f"store volatile i64 0, ptr {length}, align 8{CONTEXT}")
