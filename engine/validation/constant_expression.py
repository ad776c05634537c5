"""Constant expressions (section 3.4.13): the instructions that are constant are checked by the same rules as code."""

from __future__ import annotations

from farcall.engine.binary.features import require
from farcall.engine.errors import InvalidModuleError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.instructions.table import BY_NAME
from farcall.engine.structure.module import ConstantExpression, ConstantInstruction
from farcall.engine.structure.types import FunctionType, ValueType
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.module_context import Control, ModuleContext
from farcall.engine.validation.rejection import BASE, Rejection, shorten
from farcall.engine.validation.rules import RULES

_EXTENDED = frozenset(
    f"{value}.{operation}" for value in ("i32", "i64") for operation in ("add", "sub", "mul")
)
"""What the extended-const proposal adds."""

_CONSTANT: frozenset[str] = frozenset(
    {
        *("constant", "ref_null", "ref_i31", "any_convert_extern", "extern_convert_any"),
        *("struct_new", "struct_new_default", "array_new", "array_new_default", "array_new_fixed"),
        *("struct_new_desc", "struct_new_default_desc"),
    }
)
"""The rules whose instructions are constant, and are checked as in code."""


def _ref_func(validator: _Validator, index: int) -> None:
    if index >= len(validator.context.functions):
        raise Rejection(f"unknown function {index}")
    validator.operands.append(validator.context.function_reference(index))


def _global_get(validator: _Validator, index: int) -> None:
    if index >= validator.globals_known:
        raise Rejection(f"unknown global {index}")
    global_type = validator.context.module.global_types[index]
    if global_type.mutable:
        raise Rejection(f"constant expression required: global {index} is mutable")
    validator.operands.append(global_type.value)


_OTHERWISE = {"ref_func": _ref_func, "global_get": _global_get}
"""The rules whose instructions are constant under other conditions than in code."""


class _Validator(FunctionValidator):
    """The stack of one expression.

    Attributes:
        globals_known: how many globals, from the first on, it may refer to.
    """

    __slots__ = ("globals_known",)

    def __init__(self, context: ModuleContext, globals_known: int) -> None:
        super().__init__(context)
        self.globals_known = globals_known
        self.controls = [Control("function", FunctionType((), ()))]
        self.operands = [BASE]

    def step(self, instruction: ConstantInstruction) -> None:
        """Check one instruction. Raises Rejection and UnsupportedFeatureError."""
        row = BY_NAME[instruction.name]
        special = _OTHERWISE.get(row.rule or "")
        if special is not None:
            special(self, instruction.immediates[0])  # type: ignore[arg-type]
            return
        if instruction.name in _EXTENDED:
            require(Feature.EXTENDED_CONST, self.context.disabled, instruction.offset)
        elif row.rule not in _CONSTANT:
            raise Rejection(f"constant expression required: {instruction.name} is not constant")
        else:
            immediates = instruction.immediates
            rule: Rule = RULES[row.rule]
            rule(self, row, immediates[0] if len(immediates) == 1 else immediates or None)
        for expected in reversed(row.parameters):
            self.pop(expected)
        self.push_all(row.results)


def validate_constant_expression(
    context: ModuleContext, expression: ConstantExpression, expected: ValueType, globals_known: int
) -> None:
    """Validate an expression that must be constant and leave one value.

    Args:
        context: the module.
        expression: the expression.
        expected: the type of the value.
        globals_known: how many globals, from the first on, it may refer to: those before it.

    Raises:
        InvalidModuleError: it is not constant, refers to what is not there, or leaves something else.
        UnsupportedFeatureError: it is constant only with a feature that is switched off.
    """
    validator = _Validator(context, globals_known)
    for instruction in expression.instructions:
        try:
            validator.step(instruction)
        except Rejection as rejection:
            raise InvalidModuleError(rejection.explain(instruction.name), instruction.offset) from None
    left = validator.operands[1:]
    try:
        validator.pop(expected)
        complete = validator.operands == [BASE]
    except Rejection:
        complete = False
    if not complete:
        found = shorten(", ".join([value.name for value in left])) or "nothing"
        raise InvalidModuleError(
            f"type mismatch: constant expression expected {expected.name}, found {found}", expression.offset
        )
