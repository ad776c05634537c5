"""Vector instructions whose templates need more than operands (section 4.4.2): immediates, memory, the machine."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.memory_access import load_guest, store_guest
from farcall.engine.structure.types import F32, F64


def _emit(function: FunctionLowering, row: Instruction, *operands: str) -> str:
    """Emit the row's template for the machine; the result's text."""
    emit = row.operation(function.context.options.capabilities)
    name = function.name()
    first, second, third = (*operands, *("" for _ in range(3 - len(operands))))
    function.lines.append(emit(name, first, second, third))
    return f"%{name}"


def _push(function: FunctionLowering, row: Instruction, value: str) -> None:
    function.stack.append((row.results[0].llvm, value))


def native(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """Instructions that have a template for the machine at hand."""
    _push(function, row, _emit(function, row, *function.pop_many(len(row.parameters))))


def extract_lane(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`extract_lane`."""
    vector = function.pop()
    value = _emit(function, row, vector, str(immediates[0]))
    if vector[0] != "%" and row.results[0] in (F32, F64):
        # LLVM must not know floats that scalar arithmetic comes to see (see CONTEXT_FLOAT_CONSTANTS).
        value = function.opaque((row.results[0].llvm, value))
    _push(function, row, value)


def replace_lane(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`replace_lane`."""
    vector, value = function.pop_many(2)
    _push(function, row, _emit(function, row, vector, value, str(immediates[0])))


def shuffle(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`i8x16.shuffle`."""
    lanes = ", ".join(f"i32 {lane}" for lane in immediates[0])
    _push(function, row, _emit(function, row, *function.pop_many(2), lanes))


def load(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """Loads that make a vector of less than one: `load8x8_s`, `load32_splat`, `load64_zero` and their like."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    loaded = load_guest(function, memory, function.pop(), offset, access.llvm, access.size)
    _push(function, row, _emit(function, row, loaded))


def load_lane(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`load8_lane` and its like: the other lanes are the operand's."""
    (_, memory, offset), lane = immediates
    access = row.access
    assert access is not None
    index, vector = function.pop_many(2)
    loaded = load_guest(function, memory, index, offset, access.llvm, access.size)
    _push(function, row, _emit(function, row, vector, loaded, str(lane)))


def store_lane(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`store8_lane` and its like."""
    (_, memory, offset), lane = immediates
    access = row.access
    assert access is not None
    index, vector = function.pop_many(2)
    value = _emit(function, row, vector, str(lane))
    store_guest(function, memory, index, offset, access.llvm, access.size, value)
