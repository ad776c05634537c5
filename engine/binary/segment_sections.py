"""The element, data count and data sections (sections 5.5.12, 5.5.14 and 5.5.16)."""

from __future__ import annotations

from array import array
from typing import Literal

from farcall.engine.binary.constant_expression import read_constant_expression
from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import (
    MAXIMUM_DATA_SEGMENTS,
    MAXIMUM_ELEMENT_SEGMENT_LENGTH,
    MAXIMUM_ELEMENT_SEGMENTS,
)
from farcall.engine.binary.native_reading import is_worth_it, read_data_segments, read_indices
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.module import (
    ConstantExpression,
    DataSegment,
    ElementSegment,
)
from farcall.engine.structure.packed import FunctionElements
from farcall.engine.structure.types import FUNCREF, ReferenceType, reference_to

# Bits of an element segment's flags.
_NOT_ACTIVE = 0x01
_EXPLICIT_TABLE = 0x02  # of an active segment; of others: declarative
_EXPRESSIONS = 0x04
_ELEMENT_FLAGS = _NOT_ACTIVE | _EXPLICIT_TABLE | _EXPRESSIONS

_FUNCTION_ELEMENTS = 0x00

_FUNCTIONS = reference_to("func", nullable=False)
"""The type of elements that are given as functions."""

# A data segment's flags.
_ACTIVE, _PASSIVE, _ACTIVE_WITH_INDEX = 0, 1, 2


def decode_element_section(reader: Reader, contents: Contents) -> None:
    """Read the element segments."""
    initializers = _Initializers(reader, contents)
    for _ in range(reader.count("element segments", MAXIMUM_ELEMENT_SEGMENTS)):
        contents.elements.append(_read_element_segment(reader, initializers))


def decode_data_count_section(reader: Reader, contents: Contents) -> None:
    """Read how many data segments there will be, which code must know before it comes to them."""
    reader.require(Feature.BULK_MEMORY, reader.position)
    contents.data_count = reader.u32()


def decode_data_section(reader: Reader, contents: Contents) -> None:
    """Read the data segments; their bytes stay where they are."""
    count = reader.count("data segments", MAXIMUM_DATA_SEGMENTS)
    while len(contents.data) < count:
        left = count - len(contents.data)
        if is_worth_it(left) and read_data_segments(reader.source, reader.position, left, contents.data):
            reader.position = contents.data.end
            continue
        contents.data.append(_read_data_segment(reader))


class _Initializers:
    """Reads initial elements, of which there can be millions.

    Functions stay packed. Of expressions, equal ones become one object, since a table repeats few functions often;
    and so do invalid ones of a kind, of which validation refuses the first. So there are no more objects than
    functions and globals.
    """

    def __init__(self, reader: Reader, contents: Contents) -> None:
        self._reader = reader
        self._function_count = len(contents.function_types)
        self._global_count = len(contents.global_types)
        self._known: dict[tuple[str, object], ConstantExpression] = {}

    def functions(self, count: int) -> FunctionElements:
        """Read function indices, each of which stands for `ref.func` of it."""
        reader = self._reader
        if is_worth_it(count):
            found = read_indices(reader.source, reader.position, count)
            if found is not None:
                indices, offsets, reader.position = found
                return FunctionElements(indices, offsets, self._function_count)
        indices, offsets = array("I"), array("I")
        for _ in range(count):
            offsets.append(reader.position)
            indices.append(reader.u32())
        return FunctionElements(indices, offsets, self._function_count)

    def expressions(self, count: int) -> tuple[ConstantExpression, ...]:
        """Read expressions."""
        return tuple([self._expression() for _ in range(count)])

    def _expression(self) -> ConstantExpression:
        expression = read_constant_expression(self._reader)
        return self._known.setdefault(self._identity(expression), expression)

    def _identity(self, expression: ConstantExpression) -> tuple[str, object]:
        """What two expressions have in common that are equal, or invalid for the same reason."""
        if len(expression.instructions) != 1:
            content = [(instruction.name, instruction.immediates) for instruction in expression.instructions]
            return "several instructions", tuple(content)
        instruction = expression.instructions[0]
        match instruction.name, instruction.immediates:
            case "ref.func", (int() as index,):
                return "ref.func", min(index, self._function_count)
            case "global.get", (int() as index,):
                return "global.get", min(index, self._global_count)
            case "ref.null", (reference,):
                return "ref.null", reference
        return instruction.name, None


def _read_element_segment(reader: Reader, initializers: _Initializers) -> ElementSegment:
    start = reader.position
    flags = reader.u32()
    if flags > _ELEMENT_FLAGS:
        raise MalformedModuleError(f"malformed elements segment kind: {flags:#x}", start)
    if flags & (_NOT_ACTIVE | _EXPRESSIONS):
        reader.require(Feature.BULK_MEMORY, start)
    mode: Literal["active", "passive", "declarative"] = "active"
    table, table_offset = 0, None
    if not flags & _NOT_ACTIVE:
        if flags & _EXPLICIT_TABLE:
            table = reader.u32()
        table_offset = read_constant_expression(reader)
    else:
        mode = "declarative" if flags & _EXPLICIT_TABLE else "passive"
    element = FUNCREF if flags & _EXPRESSIONS else _FUNCTIONS
    if flags & (_NOT_ACTIVE | _EXPLICIT_TABLE):  # the two forms without them leave the type out
        element = _read_element_type(reader, bool(flags & _EXPRESSIONS))
    count = reader.count("elements", MAXIMUM_ELEMENT_SEGMENT_LENGTH)
    elements = initializers.expressions(count) if flags & _EXPRESSIONS else initializers.functions(count)
    return ElementSegment(mode, element, elements, table, table_offset, start)


def _read_element_type(reader: Reader, expressions: bool) -> ReferenceType:
    if expressions:
        return reader.reference_type()
    start = reader.position
    kind = reader.byte()
    if kind != _FUNCTION_ELEMENTS:
        raise MalformedModuleError(f"malformed element kind: {kind:#04x}", start)
    return _FUNCTIONS


def _read_data_segment(reader: Reader) -> DataSegment:
    start = reader.position
    flags = reader.u32()
    if flags > _ACTIVE_WITH_INDEX:
        raise MalformedModuleError(f"malformed data segment kind: {flags:#x}", start)
    if flags != _ACTIVE:
        reader.require(Feature.BULK_MEMORY, start)
    memory = reader.u32() if flags == _ACTIVE_WITH_INDEX else 0
    memory_offset = None if flags == _PASSIVE else read_constant_expression(reader)
    mode: Literal["active", "passive"] = "passive" if flags == _PASSIVE else "active"
    size = reader.u32()
    content = reader.skip(size, "a data segment")
    return DataSegment(mode, content, content + size, memory, memory_offset, start)
