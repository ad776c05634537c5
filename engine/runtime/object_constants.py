"""Objects that constant expressions make, at instantiation."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from farcall.engine.abi import objects as abi
from farcall.engine.abi.traps import TrapKind
from farcall.engine.errors import Trap
from farcall.engine.runtime.heap import Heap
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.structure.defined_types import FieldType
from farcall.engine.structure.module import ConstantInstruction, Module

_I31_MASK = 0xFFFFFFFF


class ObjectConstants:
    """Makes the objects of one instance's constant expressions.

    Parameters:
        heap: gives the heap, which may be another one after instances were linked.
        descriptors: of the module's types, by index.
    """

    def __init__(
        self, module: Module, heap: Callable[[], Heap], descriptors: ctypes.Array[ctypes.c_uint64]
    ) -> None:
        self._types = module.defined_types
        self._heap = heap
        self._descriptors = descriptors

    def makes(self, name: str) -> bool:
        """Whether an instruction makes a reference."""
        return name in _RULES

    def apply(self, instruction: ConstantInstruction, stack: list[int]) -> None:
        """Execute an instruction on the stack of slots' contents.

        Raises:
            ExhaustionError: there is no room.
            Trap: a structure would have no descriptor.
        """
        immediates = tuple([each for each in instruction.immediates if isinstance(each, int)])
        stack.append(_RULES[instruction.name](self, immediates, stack))

    def _allocate(self, index: int, size: int, stack: list[int]) -> int:
        place = self._heap().allocate(size, held=[word for word in stack if word < 1 << 64])
        write_words(place, [self._descriptors[index]])
        return place

    def _struct_new(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        place = self._struct_new_default(immediates, stack)
        self._fill_struct(immediates[0], place, stack)
        return place

    def _fill_struct(self, index: int, place: int, stack: list[int]) -> None:
        fields, offsets = self._types[index].struct.fields, abi.struct_layout(self._types[index]).offsets
        for field, offset in zip(reversed(fields), reversed(offsets), strict=True):
            _write(place + offset, field, stack.pop())

    def _struct_new_default(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        return self._allocate(immediates[0], abi.struct_layout(self._types[immediates[0]]).size, stack)

    def _struct_new_desc(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        place = self._struct_new_default_desc(immediates, stack)
        self._fill_struct(immediates[0], place, stack)
        return place

    def _struct_new_default_desc(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        if not stack[-1]:
            raise Trap(TrapKind.NULL_DESCRIPTOR_REFERENCE)
        place = self._struct_new_default(
            immediates, stack
        )  # with the descriptor on the stack, which holds it
        offset = abi.struct_layout(self._types[immediates[0]]).descriptor
        assert offset is not None
        write_words(place + offset, [stack.pop()])
        return place

    def _make_array(self, index: int, length: int, stack: list[int]) -> int:
        size = abi.ARRAY_ELEMENTS + length * abi.element_size(self._types[index].array)
        place = self._allocate(index, size, stack)
        ctypes.c_uint32.from_address(place + abi.ARRAY_LENGTH).value = length
        return place

    def _array_new(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        array = self._types[immediates[0]].array
        length = stack.pop() & 0xFFFFFFFF
        place = self._make_array(immediates[0], length, stack)
        size = abi.element_size(array)
        content = (stack.pop() & (1 << 8 * size) - 1).to_bytes(size, "little") * length
        ctypes.memmove(place + abi.ARRAY_ELEMENTS, content, len(content))
        return place

    def _array_new_default(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        return self._make_array(immediates[0], stack.pop() & 0xFFFFFFFF, stack)

    def _array_new_fixed(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        index, length = immediates
        element = self._types[index].array.element
        place = self._make_array(index, length, stack)
        size = abi.storage_size(element.storage)
        for position in reversed(range(length)):
            _write(place + abi.ARRAY_ELEMENTS + position * size, element, stack.pop())
        return place

    def _ref_i31(self, immediates: tuple[int, ...], stack: list[int]) -> int:
        return (stack.pop() << abi.I31_SHIFT | abi.I31_TAG) & _I31_MASK


_RULES: dict[str, Callable[[ObjectConstants, tuple[int, ...], list[int]], int]] = {
    "struct.new": ObjectConstants._struct_new,
    "struct.new_default": ObjectConstants._struct_new_default,
    "struct.new_desc": ObjectConstants._struct_new_desc,
    "struct.new_default_desc": ObjectConstants._struct_new_default_desc,
    "array.new": ObjectConstants._array_new,
    "array.new_default": ObjectConstants._array_new_default,
    "array.new_fixed": ObjectConstants._array_new_fixed,
    "ref.i31": ObjectConstants._ref_i31,
}


def _write(place: int, field: FieldType, value: int) -> None:
    size = abi.storage_size(field.storage)
    content = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    ctypes.memmove(place, content, size)
