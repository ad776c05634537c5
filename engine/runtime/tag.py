"""Tags (section 4.2.10): what tells the exceptions of one kind from all others."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from farcall.engine.abi import layout
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.defined_types import DefinedType
from farcall.engine.structure.types import TagType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.references import References


class Tag:
    """A tag. `WasmException(tag, values)` is an exception of its kind, which a host function can raise.

    Attributes:
        owner: who must be open for it to be imported: its maker, or an instance that imports it.
        home: the member of a linked group that made it.
        definition: the defined type: a function type without results.
        type: the values that its exceptions carry.
        name: for messages, or None.
        record: address of its record, which is its identity.
        converter: of those values.
        references: of its store.
    """

    def __init__(
        self, owner: Member, definition: DefinedType, references: References, name: str | None
    ) -> None:
        self.owner = self.home = owner
        self.definition = definition
        self.type = type = TagType(definition.function)
        self.name = name
        self.references = references
        self.converter = ValueConverter(type.type.parameters, references)
        self._buffer = ctypes.create_string_buffer(layout.TAG_RECORD_SIZE)
        self.record = ctypes.addressof(self._buffer)

    def seen_by(self, importer: Member) -> Tag:
        """The same tag as an instance that imports it has it: usable as long as that one is open."""
        seen = copy.copy(self)
        seen.owner = importer
        return seen

    def check(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values as an exception of this tag carries them. Raises ArgumentError where they are not of its type."""
        return self.converter.check(values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tag):
            return NotImplemented
        return self.record == other.record

    def __hash__(self) -> int:
        return hash(self.record)

    def __repr__(self) -> str:
        return f"<farcall {self.type} {self.name or '?'}>"
