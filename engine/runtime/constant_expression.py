"""Evaluation of constant expressions (section 3.3.13), at instantiation."""

from __future__ import annotations

import operator
from collections.abc import Callable

from farcall.engine.errors import EngineBug
from farcall.engine.runtime.object_constants import ObjectConstants
from farcall.engine.structure.module import ConstantExpression, ConstantInstruction

Evaluate = Callable[[int], int]
"""From an index to a slot's content."""

_ARITHMETIC: dict[str, tuple[Callable[[int, int], int], int]] = {
    f"{value}.{name}": (operation, mask)
    for value, mask in (("i32", 0xFFFFFFFF), ("i64", 0xFFFFFFFFFFFFFFFF))
    for name, operation in (("add", operator.add), ("sub", operator.sub), ("mul", operator.mul))
}
"""What instructions with two operands compute, and the bits of their result."""


def evaluate(
    expression: ConstantExpression,
    global_bits: Evaluate,
    function_reference: Evaluate,
    objects: ObjectConstants,
) -> int:
    """The value, as the content of its slots (an unsigned pattern of 64 bits, of a vector of 128).

    Parameters:
        global_bits: content of a global by its index.
        function_reference: the funcref of a function by its index.
        objects: makes objects.
    """
    stack: list[int] = []
    for instruction in expression.instructions:
        match instruction.name:
            case "global.get":
                stack.append(global_bits(_index(instruction)))
            case "ref.func":
                stack.append(function_reference(_index(instruction)))
            case "ref.null":
                stack.append(0)
            case "i32.const":
                stack.append(_index(instruction) & 0xFFFFFFFF)
            case "i64.const" | "f32.const" | "f64.const":
                stack.append(_index(instruction) & 0xFFFFFFFFFFFFFFFF)
            case "v128.const":
                stack.append(_index(instruction))
            case name if name in _ARITHMETIC:
                operation, mask = _ARITHMETIC[name]
                second = stack.pop()
                stack.append(operation(stack.pop(), second) & mask)
            case "any.convert_extern" | "extern.convert_any":
                pass  # both have the same references
            case name if objects.makes(name):
                objects.apply(instruction, stack)
            case name:
                raise EngineBug(f"{name} in a validated constant expression")
    if len(stack) != 1:
        raise EngineBug("a validated constant expression left no single value")
    return stack[0]


def _index(instruction: ConstantInstruction) -> int:
    immediate = instruction.immediates[0]
    assert isinstance(immediate, int)
    return immediate
