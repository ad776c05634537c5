"""Instructions on structures, arrays and i31 (section 4.6.3). Where they may touch objects: `object_access`."""

from __future__ import annotations

from typing import Any

from farcall.engine.abi import layout, objects
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering import object_access
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.metadata import CONTEXT, INVARIANT_POINTER, OBJECT
from farcall.engine.lowering.numeric import constant_operand
from farcall.engine.lowering.reference import check_not_null
from farcall.engine.structure.defined_types import FieldType
from farcall.engine.structure.types import ReferenceType

# -- Allocation --------------------------------------------------------------------------------------------------------


def _heap(function: FunctionLowering) -> str:
    """The pointer to the heap's record: the same as long as a frame of the instance is live."""
    return function.load("ptr", "%vmctx", function.context.layout.heap, INVARIANT_POINTER)


def _allocate(function: FunctionLowering, size: int) -> str:
    """A cell that holds `size` bytes. Nothing can be collected between this and the next allocation or call."""
    heap = _heap(function)
    if size > objects.LARGEST_CELL:
        return function.call_runtime(RuntimeFunction.OBJECT_ALLOCATE_LARGE, heap, str(size))
    number = objects.cell_class(size)
    entry = function.address(heap, number * objects.HEAP_CLASS_SIZE)
    cursor = function.define(f"load ptr, ptr {entry}, align 8{CONTEXT}")
    limit = function.load("ptr", entry, objects.HEAP_LIMIT, CONTEXT)
    following = function.address(cursor, objects.CELL_SIZES[number])
    full = function.define(f"icmp ugt ptr {following}, {limit}")
    name = function.name()
    function.lines.append(f"br i1 {full}, label %{name}.slow, label %{name}.fast, !prof !0")
    function.continue_in(f"{name}.slow")
    slow = function.call_runtime(RuntimeFunction.OBJECT_ALLOCATE, heap, str(number))
    function.lines.append(f"br label %{name}")
    function.continue_in(f"{name}.fast")
    function.lines.append(f"store volatile ptr {following}, ptr {entry}, align 8{CONTEXT}\nbr label %{name}")
    function.continue_in(name)
    return function.define(f"phi ptr [ {slow}, %{name}.slow ], [ {cursor}, %{name}.fast ]")


def type_descriptor(function: FunctionLowering, type_index: int) -> str:
    """The pointer to a type's descriptor."""
    place = function.context.layout.descriptors
    descriptors = function.load("ptr", "%vmctx", place, INVARIANT_POINTER)
    return function.load("ptr", descriptors, 8 * type_index, INVARIANT_POINTER)


def _make_struct(function: FunctionLowering, type_index: int) -> str:
    place = _allocate(function, function.context.struct_layout(type_index).size)
    function.lines.append(
        f"store volatile ptr {type_descriptor(function, type_index)}, ptr {place}, align 8{OBJECT}"
    )
    return place


def _make_array(function: FunctionLowering, type_index: int, length: str) -> str:
    """An array of `length` (an i32) elements, all zero."""
    size = objects.element_size(function.context.module.defined_types[type_index].array)
    return function.call_runtime(
        RuntimeFunction.ARRAY_ALLOCATE,
        _heap(function),
        type_descriptor(function, type_index),
        str(size),
        function.widen(length),
    )


# -- Structures --------------------------------------------------------------------------------------------------------


def _fields(function: FunctionLowering, type_index: int) -> tuple[FieldType, ...]:
    return function.context.module.defined_types[type_index].struct.fields


def struct_new(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.new`."""
    fields = _fields(function, immediates[0])
    _fill_struct(function, immediates[0], function.pop_many(len(fields)))


def struct_new_default(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.new_default`."""
    _fill_struct(
        function, immediates[0], [_default(function, field) for field in _fields(function, immediates[0])]
    )


def _default(function: FunctionLowering, field: FieldType) -> str:
    value = field.unpacked
    if isinstance(value, ReferenceType):
        return "null"
    return "zeroinitializer" if value.size == 16 else constant_operand(function, value, 0)[1]


def struct_new_desc(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.new_desc`."""
    descriptor = check_not_null(function, function.pop(), "null_descriptor_reference")
    fields = _fields(function, immediates[0])
    _fill_struct(function, immediates[0], function.pop_many(len(fields)), descriptor)


def struct_new_default_desc(
    function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]
) -> None:
    """`struct.new_default_desc`."""
    descriptor = check_not_null(function, function.pop(), "null_descriptor_reference")
    fields = [_default(function, field) for field in _fields(function, immediates[0])]
    _fill_struct(function, immediates[0], fields, descriptor)


def ref_get_desc(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.get_desc`."""
    reference = check_not_null(function, function.pop(), "null_reference")
    found = object_access.load_descriptor(function, immediates[0], reference)
    function.not_null.add(found)
    function.stack.append(("ptr", found))


def _fill_struct(
    function: FunctionLowering, type_index: int, values: list[str], descriptor: str | None = None
) -> None:
    place = _make_struct(function, type_index)
    if descriptor is not None:
        object_access.store_descriptor(function, type_index, place, descriptor)
    offsets = function.context.struct_layout(type_index).offsets
    for field, offset, value in zip(_fields(function, type_index), offsets, values, strict=True):
        object_access.store_field(function, field, function.address(place, offset), value)
    function.not_null.add(place)
    function.stack.append(("ptr", place))


def _struct_get(function: FunctionLowering, immediates: tuple[Any, ...], extension: str) -> None:
    type_index, position = immediates
    address = object_access.field_address(function, type_index, position, function.pop())
    field = _fields(function, type_index)[position]
    function.stack.append(object_access.load_field(function, field, address, extension))


def struct_get(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.get`, and `struct.get_u` of packed fields."""
    _struct_get(function, immediates, "zext")


def struct_get_s(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.get_s`."""
    _struct_get(function, immediates, "sext")


def struct_set(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`struct.set`."""
    type_index, position = immediates
    value = function.pop()
    address = object_access.field_address(function, type_index, position, function.pop())
    object_access.store_field(function, _fields(function, type_index)[position], address, value)


# -- Arrays ------------------------------------------------------------------------------------------------------------


def _element(function: FunctionLowering, type_index: int) -> FieldType:
    return function.context.module.defined_types[type_index].array.element


def _element_size(function: FunctionLowering, type_index: int) -> int:
    return objects.element_size(function.context.module.defined_types[type_index].array)


def array_new(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.new`."""
    index = immediates[0]
    length = function.pop()
    value = function.pop()
    array = _make_array(function, index, length)
    _fill(function, index, function.address(array, objects.ARRAY_ELEMENTS), value, length)
    function.stack.append(("ptr", array))


def array_new_default(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.new_default`."""
    function.stack.append(("ptr", _make_array(function, immediates[0], function.pop())))


def array_new_fixed(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.new_fixed`."""
    index, count = immediates
    values = function.pop_many(count)
    array = _make_array(function, index, str(count))
    element, size = _element(function, index), _element_size(function, index)
    for position, value in enumerate(values):
        address = function.address(array, objects.ARRAY_ELEMENTS + position * size)
        object_access.store_field(function, element, address, value)
    function.stack.append(("ptr", array))


def _fill(function: FunctionLowering, type_index: int, first: str, value: str, count: str) -> None:
    """Store the same value to elements: through a slot, from which the runtime copies it."""
    element, size = _element(function, type_index), _element_size(function, type_index)
    slot = f"{function.define_slot()}"
    object_access.store_field(function, element, slot, value)
    function.call_runtime(
        RuntimeFunction.ARRAY_FILL,
        function.execution_context(),
        first,
        slot,
        str(size),
        function.widen(count),
    )


def _segment_part(
    function: FunctionLowering, segment: int, start: str, count: str, size: int, trap: str
) -> str:
    """A pointer into a segment, at `start` (an i32), or the trap where it has not `count` elements from there.

    Of element segments, `start` counts references, of data segments bytes. An element has `size` bytes.
    """
    length = function.load("i64", segment_address(function, segment), layout.SEGMENT_LENGTH, CONTEXT)
    first, wanted = function.widen(start), function.widen(count)
    if trap == "out_of_bounds_memory_access":
        wanted = function.define(f"mul i64 {wanted}, {size}")
    end = function.define(f"add i64 {first}, {wanted}")
    function.trap_if(function.define(f"icmp ugt i64 {end}, {length}"), trap)
    content = function.load("ptr", segment_address(function, segment), layout.SEGMENT_POINTER, CONTEXT)
    unit = 1 if trap == "out_of_bounds_memory_access" else size
    return function.define(f"getelementptr [{unit} x i8], ptr {content}, i64 {first}")


def segment_address(function: FunctionLowering, offset: int) -> str:
    """A pointer to a segment's entry in the context."""
    return function.address("%vmctx", offset)


_DATA_TRAP, _ELEMENTS_TRAP = "out_of_bounds_memory_access", "out_of_bounds_table_access"


def _new_from(function: FunctionLowering, index: int, segment: int, trap: str) -> None:
    size = _element_size(function, index)
    start, count = function.pop_many(2)
    source = _segment_part(function, segment, start, count, size, trap)
    array = _make_array(function, index, count)
    first = function.address(array, objects.ARRAY_ELEMENTS)
    _move(function, first, source, count, size)
    function.stack.append(("ptr", array))


def _init_from(function: FunctionLowering, index: int, segment: int, trap: str) -> None:
    size = _element_size(function, index)
    array, to, start, count = function.pop_many(4)
    first = object_access.elements_address(function, index, array, to, count)
    source = _segment_part(function, segment, start, count, size, trap)
    _move(function, first, source, count, size)


def _move(function: FunctionLowering, to: str, source: str, count: str, size: int) -> None:
    size_text = function.define(f"mul i64 {function.widen(count)}, {size}")
    function.call_runtime(RuntimeFunction.BYTES_MOVE, function.execution_context(), to, source, size_text)


def array_new_data(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.new_data`."""
    index, data = immediates
    _new_from(function, index, function.context.layout.data_segment(data), _DATA_TRAP)


def array_new_elem(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.new_elem`."""
    index, element = immediates
    _new_from(function, index, function.context.layout.element_segment(element), _ELEMENTS_TRAP)


def array_init_data(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.init_data`."""
    index, data = immediates
    _init_from(function, index, function.context.layout.data_segment(data), _DATA_TRAP)


def array_init_elem(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.init_elem`."""
    index, element = immediates
    _init_from(function, index, function.context.layout.element_segment(element), _ELEMENTS_TRAP)


def _array_get(function: FunctionLowering, index: int, extension: str) -> None:
    array, position = function.pop_many(2)
    address = object_access.element_address(function, index, array, position)
    function.stack.append(object_access.load_field(function, _element(function, index), address, extension))


def array_get(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.get`, and `array.get_u` of packed elements."""
    _array_get(function, immediates[0], "zext")


def array_get_s(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.get_s`."""
    _array_get(function, immediates[0], "sext")


def array_set(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.set`."""
    index = immediates[0]
    array, position, value = function.pop_many(3)
    address = object_access.element_address(function, index, array, position)
    object_access.store_field(function, _element(function, index), address, value)


def array_len(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.len`."""
    function.stack.append(("i32", object_access.array_length(function, function.pop())))


def array_fill(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.fill`."""
    index = immediates[0]
    array, start, value, count = function.pop_many(4)
    first = object_access.elements_address(function, index, array, start, count)
    _fill(function, index, first, value, count)


def array_copy(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`array.copy`; immediates: type of the array to copy to, of the one to copy from."""
    to_index, from_index = immediates
    to_array, to, from_array, start, count = function.pop_many(5)
    target = object_access.elements_address(function, to_index, to_array, to, count)
    source = object_access.elements_address(function, from_index, from_array, start, count)
    _move(function, target, source, count, _element_size(function, to_index))


# -- i31 and conversions -----------------------------------------------------------------------------------------------


def ref_i31(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.i31`."""
    shifted = function.define(f"shl i32 {function.pop()}, {objects.I31_SHIFT}")
    tagged = function.widen(function.define(f"or i32 {shifted}, {objects.I31_TAG}"))
    function.stack.append(("ptr", function.define(f"inttoptr i64 {tagged} to ptr")))


def _i31_get(function: FunctionLowering, shift: str) -> None:
    reference = check_not_null(function, function.pop(), "null_i31_reference")
    word = function.define(f"ptrtoint ptr {reference} to i64")
    tagged = function.define(f"trunc i64 {word} to i32")
    function.stack.append(("i32", function.define(f"{shift} i32 {tagged}, {objects.I31_SHIFT}")))


def i31_get_s(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`i31.get_s`."""
    _i31_get(function, "ashr")


def i31_get_u(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`i31.get_u`."""
    _i31_get(function, "lshr")


def convert(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`any.convert_extern` and `extern.convert_any`: both hierarchies have the same references."""
