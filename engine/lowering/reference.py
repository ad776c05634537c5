"""Reference instructions (section 4.4.3)."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
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


def ref_func(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.func`: the address of the function's record in the context."""
    record = function.context.layout.function_record(immediates[0])
    function.stack.append(("ptr", function.address("%vmctx", record)))
