"""Constants (section 4.4.1). All other numeric instructions are templates of the instruction table."""

from __future__ import annotations

from typing import Any

from farcall.engine.abi.layout import FLOAT_CONSTANTS_32, FLOAT_CONSTANTS_64
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering, Operand
from farcall.engine.lowering.metadata import INVARIANT
from farcall.engine.structure.types import F32, F64, V128, ValueType

_FLOAT_CONSTANTS: dict[ValueType, tuple[str, dict[int, int]]] = {
    F32: ("i32", FLOAT_CONSTANTS_32),
    F64: ("i64", FLOAT_CONSTANTS_64),
}


_LOW_HALF = (1 << 64) - 1


def constant_operand(function: FunctionLowering, value_type: ValueType, value: int) -> Operand:
    """A constant: `value` is a signed integer, or the bits of a float or vector.

    Floats are given by their bits, which keeps the payload of a NaN; the neutral elements of arithmetic are
    loaded, for LLVM would make `x * 1.0` an x that is not quieted (see CONTEXT_FLOAT_CONSTANTS).
    """
    llvm = value_type.llvm
    if value_type is V128:
        return llvm, f"<i64 {value & _LOW_HALF}, i64 {value >> 64}>"
    integer = _FLOAT_CONSTANTS.get(value_type)
    if integer is None:
        return llvm, str(value)
    bits, loaded = integer
    offset = loaded.get(value)
    if offset is not None:
        return llvm, function.load(llvm, "%vmctx", offset, INVARIANT)
    return llvm, f"bitcast ({bits} {value} to {llvm})"


def constant(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.const`."""
    function.stack.append(constant_operand(function, row.results[0], immediates[0]))
