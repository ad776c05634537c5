"""Where a guest may touch structures and arrays.

WARNING: this file is what keeps a guest inside of its own objects. A mistake here lets it read and write the server's
memory. All decisions about null and bounds of objects are made here; no rule computes an address in an object by other
means.

What protects: validation says that a reference is null or refers to an object of the type, or of a subtype, whose first
fields lie where the type's do. So a field's offset needs no check, once the reference is known not to be null; an
array's index is compared with the length that the object says.

Collection finds references in registers and on the stack, also those that point into an object. What it cannot find is
an object of which the code has kept nothing but an address outside of it, as loops may do with arrays that they walk
through. So the address of an element is computed, at every access, from a copy of the reference of which LLVM does not
know that it is one: the reference itself stays where it was.
"""

from __future__ import annotations

from farcall.engine.abi import objects as abi
from farcall.engine.lowering.function import ALIGNMENT, FunctionLowering, Operand
from farcall.engine.lowering.metadata import LENGTH, OBJECT
from farcall.engine.lowering.reference import check_not_null
from farcall.engine.structure.defined_types import FieldType, PackedType

_ALIGNMENT: dict[str, int] = {**ALIGNMENT, "i8": 1, "i16": 2}


def field_address(function: FunctionLowering, type_index: int, field: int, reference: str) -> str:
    """A pointer to a field of a structure, or the trap where it is null."""
    check_not_null(function, reference, "null_structure_reference")
    layout = function.context.struct_layout(type_index)
    return function.address(reference, layout.offsets[field])


def load_descriptor(function: FunctionLowering, type_index: int, reference: str) -> str:
    """The structure that describes the one that `reference`, which is not null, refers to."""
    return function.load("ptr", reference, _descriptor_offset(function, type_index), OBJECT)


def store_descriptor(function: FunctionLowering, type_index: int, reference: str, value: str) -> None:
    """Store it, to a structure that was just made."""
    address = function.address(reference, _descriptor_offset(function, type_index))
    function.lines.append(f"store volatile ptr {value}, ptr {address}, align 8{OBJECT}")


def _descriptor_offset(function: FunctionLowering, type_index: int) -> int:
    offset = function.context.struct_layout(type_index).descriptor
    assert offset is not None
    return offset


def array_length(function: FunctionLowering, reference: str) -> str:
    """The length of an array as an i32, or the trap where it is null."""
    check_not_null(function, reference, "null_array_reference")
    return function.load("i32", reference, abi.ARRAY_LENGTH, LENGTH)


def element_address(function: FunctionLowering, type_index: int, reference: str, index: str) -> str:
    """A pointer to the element at `index` (an i32), or the trap where there is none."""
    length = array_length(function, reference)
    function.trap_if(function.define(f"icmp uge i32 {index}, {length}"), "out_of_bounds_array_access")
    return _element(function, type_index, reference, function.widen(index))


def elements_address(
    function: FunctionLowering, type_index: int, reference: str, start: str, count: str
) -> str:
    """A pointer to the first of `count` elements from `start` on (both i32), or the trap where they are not there."""
    length = function.widen(array_length(function, reference))
    first = function.widen(start)
    # Both terms are below 2**32: the sum cannot wrap around.
    end = function.define(f"add i64 {first}, {function.widen(count)}")
    function.trap_if(function.define(f"icmp ugt i64 {end}, {length}"), "out_of_bounds_array_access")
    return _element(function, type_index, reference, first)


def _element(function: FunctionLowering, type_index: int, reference: str, index: str) -> str:
    size = abi.element_size(function.context.module.defined_types[type_index].array)
    copy = function.define(f'call ptr asm sideeffect "", "=r,0"(ptr {reference})')
    elements = function.address(copy, abi.ARRAY_ELEMENTS)
    return function.define(f"getelementptr [{size} x i8], ptr {elements}, i64 {index}")


def load_field(function: FunctionLowering, field: FieldType, address: str, extension: str) -> Operand:
    """The value of a field or element; a packed one is widened by `extension` (`sext`, `zext`)."""
    llvm = field.storage.llvm
    value = function.define(f"load {llvm}, ptr {address}, align {_ALIGNMENT[llvm]}{OBJECT}")
    if isinstance(field.storage, PackedType):
        return "i32", function.define(f"{extension} {llvm} {value} to i32")
    return llvm, value


def store_field(function: FunctionLowering, field: FieldType, address: str, value: str) -> None:
    """Store to a field or element.

    Volatile, like all stores to objects, to fresh ones too: what was stored before a trap stays stored, and nobody can
    get hold of an object that is not complete.
    """
    llvm = field.storage.llvm
    if isinstance(field.storage, PackedType):
        value = function.define(f"trunc i32 {value} to {llvm}")
    function.lines.append(f"store volatile {llvm} {value}, ptr {address}, align {_ALIGNMENT[llvm]}{OBJECT}")
