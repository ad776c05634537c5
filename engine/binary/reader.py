"""A position in a module's bytes, and what can be read there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from farcall.engine.binary.features import gated, require
from farcall.engine.binary.instructions import UNEXPECTED_END
from farcall.engine.binary.leb128 import read_u32
from farcall.engine.binary.types import read_reference_type, read_value_type
from farcall.engine.errors import MalformedModuleError, ModuleLimitError
from farcall.engine.instructions.instruction import NONE_DISABLED, Feature, Features
from farcall.engine.structure.defined_types import DefinedType, IndexedReference
from farcall.engine.structure.module import TypeProblem
from farcall.engine.structure.types import ANYREF, ReferenceType, ValueType

T = TypeVar("T")


class Reader:
    """Reads a module from front to back.

    It does not stop at the end of a section: as the specification has it, a section's content is read by its
    grammar and must then have the size that was declared (section 5.5.2).

    Attributes:
        source: the whole module.
        position: of the next byte; an offset from the start of the module.
        disabled: features that are switched off.
        types: the module's types, once their section was read.
        type_problem: the first invalid type that was read.
    """

    __slots__ = ("disabled", "position", "source", "type_problem", "types")

    def __init__(self, source: bytes, position: int = 0, disabled: Features = NONE_DISABLED) -> None:
        self.source = source
        self.position = position
        self.disabled = disabled
        self.types: list[DefinedType] = []
        self.type_problem: TypeProblem | None = None

    def require(self, feature: Feature, offset: int) -> None:
        """Refuse what stands at `offset` unless its feature is on. Raises UnsupportedFeatureError."""
        require(feature, self.disabled, offset)

    def note_type_problem(self, reason: str, offset: int) -> None:
        """What stands at `offset` is invalid, which is to be said once all is known to be well-formed."""
        if self.type_problem is None:
            self.type_problem = TypeProblem(reason, offset)

    def byte(self) -> int:
        """Read a byte."""
        byte = self.source[self.position]
        self.position += 1
        return byte

    def u32(self) -> int:
        """Read an unsigned 32-bit integer."""
        value, self.position = read_u32(self.source, self.position)
        return value

    def read(self, read: Callable[[bytes, int], tuple[T, int]]) -> T:
        """Read with a function of `binary.leb128`, `binary.types` or their like."""
        if self.disabled:
            read = gated(read, self.disabled)
        value, self.position = read(self.source, self.position)
        return value

    def value_type(self) -> ValueType:
        """Read a value type (section 5.3.5)."""
        start = self.position
        value = self.read(read_value_type)
        return self._reference(value, start) if isinstance(value, IndexedReference) else value

    def reference_type(self) -> ReferenceType:
        """Read a reference type (section 5.3.4)."""
        start = self.position
        value = self.read(read_reference_type)
        return self._reference(value, start) if isinstance(value, IndexedReference) else value

    def _reference(self, encoded: IndexedReference, start: int) -> ReferenceType:
        if encoded.index < len(self.types):
            return self.types[encoded.index].reference(encoded.nullable, encoded.exact)
        self.note_type_problem(f"unknown type {encoded.index}", start)
        return ANYREF

    def count(self, what: str, limit: int, taken: int = 0) -> int:
        """Read the length of a vector, refusing one over the limit, of which `taken` are used up."""
        start = self.position
        count = self.u32()
        if count > limit - taken:
            # A count that the rest of the bytes cannot hold is no large module but a malformed one.
            if count > len(self.source) - self.position:
                raise MalformedModuleError(f"{UNEXPECTED_END}: {count} {what} declared", start)
            raise ModuleLimitError(f"{count + taken} {what}, at most {limit} are possible", start)
        return count

    def skip(self, length: int, what: str) -> int:
        """Step over `length` bytes and return where they start."""
        start = self.position
        if length > len(self.source) - start:
            raise MalformedModuleError(f"{UNEXPECTED_END}: {what} of {length} bytes", start)
        self.position = start + length
        return start

    def name(self) -> str:
        """Read a name (section 5.2.4)."""
        length_position = self.position
        length = self.u32()
        start = self.position
        if length > len(self.source) - start:
            raise MalformedModuleError(f"length out of bounds: a name of {length} bytes", length_position)
        self.position = start + length
        try:
            return self.source[start : self.position].decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedModuleError("malformed UTF-8 encoding", start + error.start) from None
