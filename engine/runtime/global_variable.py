"""Globals (section 4.2.9)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ArgumentError
from farcall.engine.structure.types import GlobalType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.values import ValueConverter


class Global:
    """A global: a cell of 16 bytes in its owner's keeping.

    Attributes:
        cell: the cell's address.
        converter: of its one value.
    """

    def __init__(self, owner: Member, type: GlobalType, cell: int, converter: ValueConverter) -> None:
        self.owner = owner
        self.type = type
        self.cell = cell
        self.converter = converter

    @property
    def value(self) -> Any:
        """The value, read after running calls are done.

        Setting it raises ArgumentError where the global is immutable or the value is not of its type, and
        ClosedError where its instance is closed.
        """
        with self.owner.turn():
            return self.converter.unpack(ctypes.string_at(self.cell, self.converter.size))[0]

    @value.setter
    def value(self, value: Any) -> None:
        if not self.type.mutable:
            raise ArgumentError("the global is immutable", None, str(self.type), repr(value))
        content = self.converter.pack((value,), self.owner)
        with self.owner.turn():
            ctypes.memmove(self.cell, content, len(content))

    @property
    def bits(self) -> int:
        """The value's bit pattern, unsigned: exact for every NaN."""
        with self.owner.turn():
            return int.from_bytes(ctypes.string_at(self.cell, self.type.value.size), "little")
