"""Parametric instructions (section 4.4.4)."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering


def drop(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`drop`."""
    function.stack.pop()


def select(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`select`, with or without a type: the operands know theirs."""
    condition = function.pop_condition()
    second = function.pop()
    llvm, first = function.stack[-1]
    chosen = function.define(f"select i1 {condition}, {llvm} {first}, {llvm} {second}")
    function.stack[-1] = (llvm, chosen)
