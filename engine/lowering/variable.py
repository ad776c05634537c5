"""Variable instructions (section 4.4.5): locals and globals."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import ALIGNMENT, FunctionLowering, Operand
from farcall.engine.lowering.metadata import GLOBAL, INVARIANT, INVARIANT_POINTER
from farcall.engine.lowering.numeric import constant_operand
from farcall.engine.structure.types import ValueType


def local_get(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`local.get`."""
    index = immediates[0]
    operand = function.known.get(index)
    if operand is None:
        llvm, slot = function.local(index)
        load = "load volatile" if function.is_volatile(index) else "load"
        operand = (llvm, function.define(f"{load} {llvm}, ptr {slot}, align {ALIGNMENT[llvm]}"))
        function.known[index] = operand
    function.stack.append(operand)


def local_set(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`local.set`."""
    local_tee(function, row, immediates)
    function.stack.pop()


def local_tee(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`local.tee`."""
    index = immediates[0]
    llvm, slot = function.local(index)
    operand = function.known[index] = function.stack[-1]
    store = "store volatile" if function.is_volatile(index) else "store"
    function.lines.append(f"{store} {llvm} {operand[1]}, ptr {slot}, align {ALIGNMENT[llvm]}")


def _known_value(function: FunctionLowering, value: ValueType, defined: int) -> Operand | None:
    """The value of an immutable global, if its initializer is a constant."""
    instructions = function.context.module.globals[defined].initializer.instructions
    if len(instructions) != 1:
        return None
    name, immediate = instructions[0].name, instructions[0].immediates[0]
    if name.endswith(".const") and isinstance(immediate, int):
        return constant_operand(function, value, immediate)
    return ("ptr", "null") if name == "ref.null" else None


def _cell(function: FunctionLowering, index: int) -> str:
    """The pointer to a global's cell."""
    offset, imported = function.context.layout.global_(index)
    if imported:
        return function.load("ptr", "%vmctx", offset, INVARIANT_POINTER)
    return function.address("%vmctx", offset)


def global_get(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`global.get`."""
    index = immediates[0]
    context = function.context
    global_type = context.module.global_types[index]
    llvm = global_type.value.llvm
    if global_type.mutable:
        function.stack.append((llvm, function.load(llvm, _cell(function, index), 0, GLOBAL)))
        return
    defined = index - context.layout.imported_globals
    known = _known_value(function, global_type.value, defined) if defined >= 0 else None
    function.stack.append(known or (llvm, function.load(llvm, _cell(function, index), 0, INVARIANT)))


def global_set(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`global.set`: volatile, for what was set before a trap stays set."""
    index = immediates[0]
    llvm = function.context.module.global_types[index].value.llvm
    value = function.pop()
    cell = _cell(function, index)
    function.lines.append(f"store volatile {llvm} {value}, ptr {cell}, align {ALIGNMENT[llvm]}{GLOBAL}")
