"""Reports to function listeners, in code that is compiled for them."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.abi.layout import SLOT_SIZE, RuntimeFunction
from farcall.engine.lowering.function import ALIGNMENT, FunctionLowering, Operand

_SLOTS = "%slots"


def slot_count(operands: Sequence[Operand]) -> int:
    """How many slots values take: a vector two, all others one."""
    return sum(2 if llvm == "<2 x i64>" else 1 for llvm, _ in operands)


def declare_slots(function: FunctionLowering) -> None:
    """Make room for the arguments or the results, whichever are more."""
    types = function.signature.type
    most = max(
        slot_count([(value.llvm, "") for value in values]) for values in (types.parameters, types.results)
    )
    function.entry.append(f"{_SLOTS} = alloca [{max(most, 1)} x i64], align 16")


def report(function: FunctionLowering, event: RuntimeFunction, operands: Sequence[Operand]) -> None:
    """Call the runtime with the values in slots: an i32 widened without sign, a float as its bits."""
    offset = 0
    for llvm, text in operands:
        value_type, value = llvm, text
        if llvm == "i32":
            value_type, value = "i64", function.widen(text)
        elif llvm == "float":
            value_type = "i64"
            value = function.widen(function.define(f"bitcast float {text} to i32"))
        address = function.address(_SLOTS, offset)
        alignment = min(ALIGNMENT[value_type], SLOT_SIZE)
        function.lines.append(f"store {value_type} {value}, ptr {address}, align {alignment}")
        offset += SLOT_SIZE * slot_count([(llvm, text)])
    function.call_runtime(event, "%vmctx", str(function.body.index), _SLOTS)
