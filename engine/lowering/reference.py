"""Reference instructions (section 4.4.3)."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.control import branch_if
from farcall.engine.lowering.function import FunctionLowering


def ref_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.null`."""
    function.stack.append(("ptr", "null"))


def ref_is_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.is_null`: in the form of the table's comparisons, which `pop_condition` knows."""
    reference = function.pop()
    name = function.name()
    function.lines.append(f"%{name}.c = icmp eq ptr {reference}, null\n%{name} = zext i1 %{name}.c to i32")
    function.stack.append(("i32", f"%{name}"))


def check_not_null(function: FunctionLowering, reference: str, trap: str) -> str:
    """Trap where a reference is null; the reference."""
    if reference not in function.not_null:
        function.trap_if(function.define(f"icmp eq ptr {reference}, null"), trap)
        function.not_null.add(reference)
    return reference


def ref_as_non_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.as_non_null`."""
    check_not_null(function, function.stack[-1][1], "null_reference")


def br_on_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_on_null`: the reference is carried no further when it is null."""
    reference = function.stack.pop()
    condition = function.define(f"icmp eq ptr {reference[1]}, null")
    branch_if(function, condition, immediates[0])
    function.not_null.add(reference[1])
    function.stack.append(reference)


def br_on_non_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_on_non_null`: the branch carries the reference, what goes on does not."""
    condition = function.define(f"icmp ne ptr {function.stack[-1][1]}, null")
    branch_if(function, condition, immediates[0])
    function.stack.pop()


def ref_func(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.func`: the address of the function's record in the context."""
    record = function.context.layout.function_record(immediates[0])
    function.stack.append(("ptr", function.address("%vmctx", record)))
