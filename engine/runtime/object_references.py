"""Structures, arrays and i31 as Python holds them."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from farcall.engine.errors import ArgumentError

if TYPE_CHECKING:
    from farcall.engine.runtime.heap import Heap
    from farcall.engine.structure.defined_types import DefinedType


class I31(int):
    """An i31: an int from -2**30 to 2**30 - 1, as a reference."""

    __slots__ = ()

    def __new__(cls, value: int) -> I31:
        """Make one. Raises ArgumentError where the value is out of range."""
        if not -(1 << 30) <= value < 1 << 30:
            raise ArgumentError(
                f"an i31 is from {-(1 << 30)} to {(1 << 30) - 1}, given {value}", None, "i31", str(value)
            )
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"I31({int(self)})"


class ObjectReference:
    """A reference to a structure or array of a guest's. The object lives as long as the reference does.

    It cannot be looked into; it is passed to guests of the same store, and equal to others to the same object.

    Attributes:
        type: the object's type.
    """

    __slots__ = ("__weakref__", "_heap", "address", "type")

    def __init__(self, heap: Heap, address: int, type: DefinedType) -> None:
        self._heap = heap
        self.address = address
        self.type = type
        heap.pin(address)
        weakref.finalize(self, heap.unpin, address).atexit = False

    @property
    def heap(self) -> Heap:
        """The heap that has the object."""
        return self._heap.current

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ObjectReference):
            return NotImplemented
        return self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"<farcall {self.type}>"


class StructReference(ObjectReference):
    """A reference to a structure."""

    __slots__ = ()


class ArrayReference(ObjectReference):
    """A reference to an array."""

    __slots__ = ()
