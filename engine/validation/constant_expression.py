"""Constant expressions (section 3.3.10)."""

from __future__ import annotations

from collections.abc import Callable

from farcall.engine.binary.features import require
from farcall.engine.errors import InvalidModuleError
from farcall.engine.instructions.instruction import Feature, Instruction
from farcall.engine.instructions.table import BY_NAME
from farcall.engine.structure.module import ConstantExpression, ConstantInstruction
from farcall.engine.structure.types import FUNCREF, ReferenceType, ValueType
from farcall.engine.validation.module_context import ModuleContext
from farcall.engine.validation.rejection import shorten

_EXTENDED = frozenset(
    f"{value}.{operation}" for value in ("i32", "i64") for operation in ("add", "sub", "mul")
)
"""What the extended-const proposal adds."""

_Rule = Callable[[ModuleContext, ConstantInstruction, int], ValueType]


def _constant(context: ModuleContext, instruction: ConstantInstruction, globals_known: int) -> ValueType:
    return BY_NAME[instruction.name].results[0]


def _ref_null(context: ModuleContext, instruction: ConstantInstruction, globals_known: int) -> ValueType:
    reference = instruction.immediates[0]
    assert isinstance(reference, ReferenceType)
    return reference


def _ref_func(context: ModuleContext, instruction: ConstantInstruction, globals_known: int) -> ValueType:
    index = _index(instruction)
    if index >= len(context.functions):
        raise InvalidModuleError(f"unknown function {index}", instruction.offset)
    return FUNCREF


def _global_get(context: ModuleContext, instruction: ConstantInstruction, globals_known: int) -> ValueType:
    index = _index(instruction)
    if index >= globals_known:
        raise InvalidModuleError(f"unknown global {index}", instruction.offset)
    global_type = context.module.global_types[index]
    if global_type.mutable:
        raise InvalidModuleError(
            f"constant expression required: global {index} is mutable", instruction.offset
        )
    return global_type.value


_RULES: dict[str, _Rule] = {
    "constant": _constant,
    "ref_null": _ref_null,
    "ref_func": _ref_func,
    "global_get": _global_get,
}
"""The constant instructions, by the rules of their rows."""


def validate_constant_expression(
    context: ModuleContext, expression: ConstantExpression, expected: ValueType, globals_known: int
) -> None:
    """Validate an expression that must be constant and leave one value.

    Args:
        context: the module.
        expression: the expression.
        expected: the type of the value.
        globals_known: how many globals, from the first on, it may refer to: those before it. Version 2.0 has
            imported ones only; the test suite takes all that stand before, as later versions do.

    Raises:
        InvalidModuleError: it is not constant, refers to what is not there, or leaves something else.
        UnsupportedFeatureError: it is constant only with a feature that is switched off.
    """
    left: list[ValueType] = []
    for instruction in expression.instructions:
        row = BY_NAME[instruction.name]
        rule = _RULES.get(row.rule or "")
        if rule is None:
            if instruction.name in _EXTENDED:
                require(Feature.EXTENDED_CONST, context.disabled, instruction.offset)
                _apply(row, left, instruction.offset)
                continue
            raise InvalidModuleError(
                f"constant expression required: {instruction.name} is not constant", instruction.offset
            )
        left.append(rule(context, instruction, globals_known))
    if left != [expected]:
        found = shorten(", ".join([value.name for value in left])) or "nothing"
        raise InvalidModuleError(
            f"type mismatch: constant expression expected {expected.name}, found {found}", expression.offset
        )


def _apply(row: Instruction, stack: list[ValueType], offset: int) -> None:
    """Take the instruction's operands from the stack and put its results there."""
    for expected in reversed(row.parameters):
        found = stack.pop() if stack else None
        if found is not expected:
            given = "nothing" if found is None else found.name
            raise InvalidModuleError(
                f"type mismatch: {row.name} expected {expected.name}, found {given}", offset
            )
    stack.extend(row.results)


def _index(instruction: ConstantInstruction) -> int:
    index = instruction.immediates[0]
    assert isinstance(index, int)
    return index
