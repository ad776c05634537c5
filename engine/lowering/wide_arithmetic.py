"""Wide arithmetic: LLVM's 128-bit integers, made of pairs of i64 and taken apart again."""

from __future__ import annotations

from typing import Any

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import FunctionLowering, Rule


def _join(function: FunctionLowering, low: str, high: str) -> str:
    """An i128 of two i64."""
    wide_low = function.define(f"zext i64 {low} to i128")
    wide_high = function.define(f"zext i64 {high} to i128")
    shifted = function.define(f"shl i128 {wide_high}, 64")
    return function.define(f"or i128 {shifted}, {wide_low}")


def _push_halves(function: FunctionLowering, wide: str) -> None:
    low = function.define(f"trunc i128 {wide} to i64")
    shifted = function.define(f"lshr i128 {wide}, 64")
    high = function.define(f"trunc i128 {shifted} to i64")
    function.stack += [("i64", low), ("i64", high)]


def _on_pairs(operation: str) -> Rule:
    def lower(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
        low, high, other_low, other_high = function.pop_many(4)
        first = _join(function, low, high)
        second = _join(function, other_low, other_high)
        _push_halves(function, function.define(f"{operation} i128 {first}, {second}"))

    return lower


def _multiplication(extension: str) -> Rule:
    def lower(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
        first, second = (function.define(f"{extension} i64 {text} to i128") for text in function.pop_many(2))
        _push_halves(function, function.define(f"mul i128 {first}, {second}"))

    return lower


RULES: dict[str, Rule] = {
    "add128": _on_pairs("add"),
    "sub128": _on_pairs("sub"),
    "mul_wide_s": _multiplication("sext"),
    "mul_wide_u": _multiplication("zext"),
}
