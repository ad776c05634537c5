"""Canonical ids of types, and their descriptors for machine code."""

from __future__ import annotations

import ctypes
import struct
import threading
import weakref

from farcall.engine.abi import objects as abi
from farcall.engine.abi.objects import DescriptorKind
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.structure.defined_types import ArrayType, DefinedType, StructType, define_function
from farcall.engine.structure.types import FunctionType

_HEAD = struct.Struct("<iiiiQi4x")


class TypeId:
    """A canonical type id; it stands for its type as long as somebody keeps it, and never for another.

    Attributes:
        number: the id.
        type: the type.
        descriptor: address of the type's descriptor, which lives as long.
    """

    __slots__ = ("__weakref__", "_above", "_buffer", "_offsets", "descriptor", "number", "type")

    def __init__(self, number: int, type: DefinedType, above: TypeId | None) -> None:
        self.number = number
        self.type = type
        self._above = above  # its descriptor is in this one's display
        self._buffer = ctypes.create_string_buffer(abi.DESCRIPTOR_DISPLAY + 8 * (type.depth + 1))
        self.descriptor = ctypes.addressof(self._buffer)
        kind, references, element_size = DescriptorKind.FUNCTION, 0, 0
        self._offsets: ctypes.Array[ctypes.c_uint32] | None = None
        match type.composite:
            case StructType():
                kind = DescriptorKind.STRUCT
                offsets = abi.struct_layout(type).references
                references = len(offsets)
                self._offsets = (ctypes.c_uint32 * max(references, 1))(*offsets)
            case ArrayType() as array:
                kind = DescriptorKind.ARRAY
                references = int(abi.is_reference(array.element))
                element_size = abi.element_size(array)
        place = 0 if self._offsets is None else ctypes.addressof(self._offsets)
        _HEAD.pack_into(self._buffer, 0, number, type.depth, kind, references, place, element_size)
        display = self.descriptor + abi.DESCRIPTOR_DISPLAY
        if above is not None:
            ctypes.memmove(display, above.descriptor + abi.DESCRIPTOR_DISPLAY, 8 * type.depth)
        write_words(display + 8 * type.depth, [self.descriptor])


assert _HEAD.size == abi.DESCRIPTOR_DISPLAY


class TypeRegistry:
    """Canonical ids of types: `call_indirect` and casts compare them, also between modules."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may run whatever it likes in the middle of what this guards.
        self._lock = threading.RLock()
        self._ids: weakref.WeakValueDictionary[DefinedType, TypeId] = weakref.WeakValueDictionary()
        self._by_number: weakref.WeakValueDictionary[int, TypeId] = weakref.WeakValueDictionary()
        self._next = 0  # guarded by _lock

    def id_of(self, type: FunctionType | DefinedType) -> int:
        """The id of a type, as `ModuleEngine.lookup_function` wants it; the same for equal types."""
        return self.keep(type).number

    def keep(self, type: FunctionType | DefinedType) -> TypeId:
        """The id of a type. Who uses its number or descriptor keeps the id."""
        if isinstance(type, FunctionType):
            type = define_function(type)
        with self._lock:
            found = self._ids.get(type)
            if found is None:
                above = None if type.supertype is None else self.keep(type.supertype)
                found = self._ids[type] = TypeId(self._next, type, above)
                self._by_number[found.number] = found
                self._next += 1
            return found

    def type_of(self, number: int) -> DefinedType:
        """The type of an id that somebody keeps."""
        with self._lock:
            return self._by_number[number].type

    def matches(self, found: int, wanted: int) -> bool:
        """Whether the type of one id, which somebody keeps, is that of the other or a subtype of it."""
        if found == wanted:
            return True
        with self._lock:
            above = self._by_number.get(wanted)
        return above is not None and self.type_of(found).is_subtype_of(above.type)
