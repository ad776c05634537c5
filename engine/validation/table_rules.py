"""Rules of reference and table instructions (sections 3.3.3 and 3.3.6).

`control_rules` says what a rule is.
"""

from __future__ import annotations

from farcall.engine.binary.types import EncodedReference
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import I32, ReferenceType, ValueType
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.memory_rules import shorter
from farcall.engine.validation.rejection import Rejection


def _element(state: FunctionValidator, table: int) -> ReferenceType:
    tables = state.context.module.tables
    if table >= len(tables):
        raise Rejection(f"unknown table {table}")
    return tables[table].element


def segment_element(state: FunctionValidator, segment: int) -> ReferenceType:
    """The type of an element segment's elements. Raises Rejection if it is not there."""
    elements = state.context.module.elements
    if segment >= len(elements):
        raise Rejection(f"unknown elem segment {segment}")
    return elements[segment].type


def _ref_null(state: FunctionValidator, row: Instruction, reference: EncodedReference) -> None:
    state.operands.append(state.context.value_type(reference))


def _ref_is_null(state: FunctionValidator, row: Instruction, immediate: None) -> None:
    state.pop_reference(row)


def _ref_func(state: FunctionValidator, row: Instruction, index: int) -> None:
    if index >= len(state.context.functions):
        raise Rejection(f"unknown function {index}")
    if index not in state.context.declared_functions:
        raise Rejection(f"undeclared function reference: no export, global or element names function {index}")
    state.operands.append(state.context.function_reference(index))


def _index_type(state: FunctionValidator, table: int) -> ValueType:
    """Of a table that is there."""
    return state.context.module.tables[table].index_type


def _table_get(state: FunctionValidator, row: Instruction, table: int) -> None:
    element = _element(state, table)
    state.pop(_index_type(state, table))
    state.operands.append(element)


def _table_set(state: FunctionValidator, row: Instruction, table: int) -> None:
    element = _element(state, table)
    state.pop_all((_index_type(state, table), element))


def _table_size(state: FunctionValidator, row: Instruction, table: int) -> None:
    _element(state, table)
    state.operands.append(_index_type(state, table))


def _table_grow(state: FunctionValidator, row: Instruction, table: int) -> None:
    element = _element(state, table)
    index_type = _index_type(state, table)
    state.pop_all((element, index_type))
    state.operands.append(index_type)


def _table_fill(state: FunctionValidator, row: Instruction, table: int) -> None:
    element = _element(state, table)
    index_type = _index_type(state, table)
    state.pop_all((index_type, element, index_type))


def _table_copy(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    destination, source = immediates
    _same(row, _element(state, destination), _element(state, source))
    to, origin = (_index_type(state, table) for table in immediates)
    state.pop_all((to, origin, shorter(to, origin)))


def _table_init(state: FunctionValidator, row: Instruction, immediates: tuple[int, int]) -> None:
    segment, table = immediates
    element = _element(state, table)
    _same(row, element, segment_element(state, segment))
    state.pop_all((_index_type(state, table), I32, I32))


def _same(row: Instruction, destination: ReferenceType, source: ReferenceType) -> None:
    if not value_matches(source, destination):
        raise Rejection(f"type mismatch: {row.name} of {source.name} to a table of {destination.name}")


def _elem_drop(state: FunctionValidator, row: Instruction, segment: int) -> None:
    segment_element(state, segment)


RULES: dict[str, Rule] = {
    "ref_null": _ref_null,
    "ref_is_null": _ref_is_null,
    "ref_func": _ref_func,
    "table_get": _table_get,
    "table_set": _table_set,
    "table_size": _table_size,
    "table_grow": _table_grow,
    "table_fill": _table_fill,
    "table_copy": _table_copy,
    "table_init": _table_init,
    "elem_drop": _elem_drop,
}
