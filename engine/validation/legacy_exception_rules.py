"""Rules of the exception handling proposal's first version.

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.types import BlockType
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.types import ValueType
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.exception_rules import carried
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.module_context import Control
from farcall.engine.validation.rejection import Rejection


def _try(state: FunctionValidator, row: Instruction, block_type: BlockType) -> None:
    state.push_control(state.context.tries[block_type])


def _catch(state: FunctionValidator, row: Instruction, tag: int) -> None:
    _begin_catch(state, row, carried(state, tag))


def _catch_all(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    _begin_catch(state, row, ())


def _begin_catch(state: FunctionValidator, row: Instruction, values: tuple[ValueType, ...]) -> None:
    """End the part before, and begin one that has the exception's values as its operands."""
    control = state.pop_control()
    if control.opener not in ("try", "catch"):
        raise Rejection(f"END opcode expected, found {row.name} outside of a try")
    state.open(Control(row.name, control.type), values)


def _delegate(state: FunctionValidator, row: Instruction, depth: int) -> None:
    state.label(depth + 1)  # the labels are those around the block
    control = state.pop_control()
    if control.opener != "try":
        raise Rejection("END opcode expected, found delegate outside of a try")
    state.push_all(control.type.results)


def _rethrow(state: FunctionValidator, row: Instruction, depth: int) -> None:
    if state.label(depth).opener not in ("catch", "catch_all"):
        raise Rejection(f"invalid rethrow label: {depth} is no catch")
    state.set_unreachable()


RULES: dict[str, Rule] = {
    "try": _try,
    "catch": _catch,
    "catch_all": _catch_all,
    "delegate": _delegate,
    "rethrow": _rethrow,
}
