"""Globals (section 4.2.9)."""

from __future__ import annotations

import copy
import ctypes
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ArgumentError
from farcall.engine.runtime.heap import Roots
from farcall.engine.structure.types import GlobalType, ReferenceType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.values import ValueConverter


class Global:
    """A global: a cell of 16 bytes in its owner's keeping.

    Attributes:
        owner: who must be open for it to be used from Python: its maker, or an instance that imports it.
        home: the member of a linked group that made it, and with which it lives and dies.
        cell: the cell's address.
        converter: of its one value.
    """

    def __init__(self, owner: Member, type: GlobalType, cell: int, converter: ValueConverter) -> None:
        self.owner = self.home = owner
        self.type = type
        self.cell = cell
        self.converter = converter

    @property
    def links(self) -> bool:
        """Whether importing it links instances: constant numbers do not, they are copied."""
        return self.type.mutable or self.type.value.is_reference

    def seen_by(self, importer: Member) -> Global:
        """The same global as an instance that imports it has it: usable as long as that one is open."""
        seen = copy.copy(self)
        seen.owner = importer
        return seen

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Global):
            return NotImplemented
        return self.cell == other.cell

    def __hash__(self) -> int:
        return hash(self.cell)

    def __repr__(self) -> str:
        return f"<farcall {self.type}>"

    def roots(self) -> Roots:
        """Where the value is, if it can be a reference to an object; the group's lock is held."""
        value = self.type.value
        return [(self.cell, 1)] if isinstance(value, ReferenceType) and value.top != "func" else []

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
        self.initialize(value)

    def initialize(self, value: Any) -> None:
        """Set the value, also of an immutable global. Raises ArgumentError and ClosedError."""
        self.converter.link((value,), self.owner)
        with self.owner.turn():
            content = self.converter.pack((value,), self.owner)
            ctypes.memmove(self.cell, content, len(content))

    @property
    def bits(self) -> int:
        """The value's bit pattern, unsigned: exact for every NaN."""
        with self.owner.turn():
            return int.from_bytes(ctypes.string_at(self.cell, self.type.value.size), "little")
