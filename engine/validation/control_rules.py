"""Rules of control, parametric and variable instructions (sections 3.3.4, 3.3.5 and 3.3.8).

A rule checks what the row's own stack signature does not say; the row's parameters are popped and its results
pushed after it. Its arguments are the state, the row, and the immediate (a tuple where there are several).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from farcall.engine.binary.types import BlockType, EncodedType
from farcall.engine.instructions.control import CONDITION
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.types import FunctionType
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.rejection import Rejection, TypeMismatch, shorten
from farcall.engine.validation.type_lists import UNKNOWN

Rule = Callable[[FunctionValidator, Instruction, Any], None]


def _unreachable(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.set_unreachable()


def _nop(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    pass


def _block(state: FunctionValidator, row: Instruction, block_type: BlockType) -> None:
    state.push_control(state.context.blocks[block_type])


def _loop(state: FunctionValidator, row: Instruction, block_type: BlockType) -> None:
    state.push_control(state.context.loops[block_type])


def _if(state: FunctionValidator, row: Instruction, block_type: BlockType) -> None:
    control = state.context.ifs[block_type]
    state.pop(CONDITION)
    state.push_control(control)


def _else(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    control = state.pop_control()
    if control.alternative is None:
        raise Rejection("END opcode expected, found else outside of an if")
    state.open(control.alternative)


def _end(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    control = state.pop_control()
    block_type = control.type
    if control.opener == "if" and not state.context.type_lists.match(
        block_type.parameters, block_type.results
    ):
        raise Rejection(f"type mismatch: an if without else has the type {shorten(str(block_type))}")
    state.push_all(block_type.results)


def _br(state: FunctionValidator, row: Instruction, depth: int) -> None:
    state.pop_all(state.label(depth).label_types)
    state.set_unreachable()


def _br_if(state: FunctionValidator, row: Instruction, depth: int) -> None:
    state.pop(CONDITION)
    state.retype(state.label(depth).label_types)


def _br_table(state: FunctionValidator, row: Instruction, depths: tuple[int, ...]) -> None:
    state.pop(CONDITION)
    default = state.label(depths[-1]).label_types
    wanted = {id(types): types for types in [state.label(depth).label_types for depth in set(depths)]}
    for types in wanted.values():
        if len(types) != len(default):
            raise Rejection(f"type mismatch: labels of br_table take {len(types)} and {len(default)} values")
        state.match(types)
    state.set_unreachable()


def _return(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.pop_all(state.controls[0].label_types)
    state.set_unreachable()


def _callee(state: FunctionValidator, index: int) -> FunctionType:
    functions = state.context.functions
    if index >= len(functions):
        raise Rejection(f"unknown function {index}")
    return functions[index]


def _call(state: FunctionValidator, row: Instruction, index: int) -> None:
    function_type = _callee(state, index)
    state.pop_all(function_type.parameters)
    state.push_all(function_type.results)


def _indirect_callee(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> FunctionType:
    type_index, table = immediates
    module = state.context.module
    if table >= len(module.tables):
        raise Rejection(f"unknown table {table}")
    element = module.tables[table].element
    if element.top != "func":
        raise Rejection(f"type mismatch: {row.name} through a table of {element.name}")
    return state.context.function_type(type_index)


def _call_indirect(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    function_type = _indirect_callee(state, row, immediates)
    state.pop(state.context.module.tables[immediates[1]].index_type)
    state.pop_all(function_type.parameters)
    state.push_all(function_type.results)


def _return_call(state: FunctionValidator, row: Instruction, index: int) -> None:
    tail_call(state, row, _callee(state, index))


def _return_call_indirect(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    function_type = _indirect_callee(state, row, immediates)
    state.pop(state.context.module.tables[immediates[1]].index_type)
    tail_call(state, row, function_type)


def tail_call(state: FunctionValidator, row: Instruction, callee: FunctionType) -> None:
    """Tail calls: the callee returns in the caller's place."""
    wanted = state.controls[0].label_types
    if not state.context.type_lists.match(callee.results, wanted):
        own = shorten(", ".join([value.name for value in wanted]))
        found = shorten(", ".join([value.name for value in callee.results]))
        raise Rejection(f"type mismatch: {row.name} of a function with results ({found}) in one with ({own})")
    state.pop_all(callee.parameters)
    state.set_unreachable()


def _drop(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.pop_any()


def _select(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.pop(CONDITION)
    second = state.pop_any()
    first = state.pop_any()
    for operand in (first, second):
        if operand.is_reference:
            raise Rejection(f"type mismatch: select without a type cannot choose a {operand.name}")
    if first is not second and first is not UNKNOWN and second is not UNKNOWN:
        raise TypeMismatch(first, second)
    state.operands.append(second if first is UNKNOWN else first)


def _select_typed(state: FunctionValidator, row: Instruction, types: tuple[EncodedType, ...]) -> None:
    if len(types) != 1:
        raise Rejection(f"invalid result arity: select with {len(types)} types")
    chosen = state.context.value_type(types[0])
    state.pop(CONDITION)
    state.pop(chosen)
    state.pop(chosen)
    state.operands.append(chosen)


def _local_get(state: FunctionValidator, row: Instruction, index: int) -> None:
    try:
        state.operands.append(state.readable_locals[index])
    except IndexError:
        state.operands.append(state.local_type(index))


def _local_set(state: FunctionValidator, row: Instruction, index: int) -> None:
    try:
        expected = state.local_types[index]
    except IndexError:
        expected = state.local_type(index)
    found = state.operands.pop()
    if found is not expected:
        state.accept(found, expected)
    if state.unset_locals is not None:
        state.unset_locals.set(index)


def _local_tee(state: FunctionValidator, row: Instruction, index: int) -> None:
    try:
        expected = state.local_types[index]
    except IndexError:
        expected = state.local_type(index)
    if state.operands[-1] is not expected:
        state.pop(expected)
        state.operands.append(expected)
    if state.unset_locals is not None:
        state.unset_locals.set(index)


def _global_get(state: FunctionValidator, row: Instruction, index: int) -> None:
    globals_ = state.context.module.global_types
    if index >= len(globals_):
        raise Rejection(f"unknown global {index}")
    state.operands.append(globals_[index].value)


def _global_set(state: FunctionValidator, row: Instruction, index: int) -> None:
    globals_ = state.context.module.global_types
    if index >= len(globals_):
        raise Rejection(f"unknown global {index}")
    if not globals_[index].mutable:
        raise Rejection(f"immutable global {index}: global.set needs a mutable one")
    state.pop(globals_[index].value)


RULES: dict[str, Rule] = {
    "unreachable": _unreachable,
    "nop": _nop,
    "block": _block,
    "loop": _loop,
    "if": _if,
    "else": _else,
    "end": _end,
    "br": _br,
    "br_if": _br_if,
    "br_table": _br_table,
    "return": _return,
    "call": _call,
    "call_indirect": _call_indirect,
    "return_call": _return_call,
    "return_call_indirect": _return_call_indirect,
    "drop": _drop,
    "select": _select,
    "select_typed": _select_typed,
    "local_get": _local_get,
    "local_set": _local_set,
    "local_tee": _local_tee,
    "global_get": _global_get,
    "global_set": _global_set,
}
