"""Values between Python and slots: the one place that checks and converts them.

i32 and i64 are ints in the signed range, f32 and f64 floats (ints are taken too), v128 are 16 bytes, the first lane
first and lanes little-endian, as they would lie in a memory; references go through `References`.
Nothing is wrapped or cut silently, except that an f32 is the nearest to the given float.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ArgumentError
from farcall.engine.structure.types import F32, F64, I32, I64, V128, ReferenceType, ValueType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.references import References

_FORMATS: dict[ValueType, str] = {I32: "i4x", I64: "q", F32: "f4x", F64: "d", V128: "16s"}
_REFERENCE_FORMAT = "Q"

_WANTED: dict[ValueType, str] = {
    I32: "an int from -2147483648 to 2147483647",
    I64: "an int from -9223372036854775808 to 9223372036854775807",
    F32: "a float in the range of f32",
    F64: "a float",
    V128: "16 bytes",
}


class ValueConverter:
    """Converts the values of one list of types.

    Attributes:
        types: the types.
        layout: the slots as a `struct.Struct`, where no reference is among the types.
        has_references: whether references are among them.
        has_vectors: whether vectors are among them, of which `layout` would take other lengths too.
        size: bytes of the slots.
    """

    def __init__(self, types: Sequence[ValueType], references: References) -> None:
        self.types = tuple(types)
        self.has_references = any(value_type.is_reference for value_type in self.types)
        self._vectors = tuple(
            position for position, value_type in enumerate(self.types) if value_type is V128
        )
        self.has_vectors = bool(self._vectors)
        formats = (_FORMATS.get(value_type, _REFERENCE_FORMAT) for value_type in self.types)
        self.layout = struct.Struct("<" + "".join(formats))
        self.size = self.layout.size
        self._references = references

    def link(self, values: Sequence[Any], keeper: Member) -> None:
        """Prepare for packing values for `keeper`, before its turn is taken (`References.link`)."""
        if self.has_references:
            self._references.link(self.types, values, keeper)

    def pack(self, values: Sequence[Any], keeper: Member) -> bytes:
        """The slots' content for `values`.

        Parameters:
            keeper: a member of the group that may keep references among the values; where there are any, its turn
                is held.

        Raises:
            ArgumentError: the number, type or range of a value is wrong.
        """
        self._check_count(values)
        converted = values
        if self.has_references:
            converted = [
                self._references.from_python(value_type, value, keeper, position)
                if isinstance(value_type, ReferenceType)
                else value
                for position, (value_type, value) in enumerate(zip(self.types, values, strict=True))
            ]
        return self.pack_numbers(converted)

    def pack_numbers(self, values: Sequence[Any]) -> bytes:
        """As `pack`, for values among which references, if any, are bits already."""
        try:
            for position in self._vectors:
                _check_vector(values[position])
            return self.layout.pack(*values)
        except (struct.error, OverflowError, TypeError):
            raise self.error(values) from None

    def check(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values as they would arrive, without making references. Raises ArgumentError as `pack` does."""
        self._check_count(values)
        checked = []
        for position, (value_type, value) in enumerate(zip(self.types, values, strict=True)):
            if isinstance(value_type, ReferenceType):
                self._references.check(value_type, value, position)
                checked.append(value)
                continue
            try:
                slot = struct.Struct("<" + _FORMATS[value_type])
                if value_type is V128:
                    _check_vector(value)
                checked.append(slot.unpack(slot.pack(value))[0])
            except (struct.error, OverflowError, TypeError):
                raise value_error(position, value_type, value) from None
        return tuple(checked)

    def unpack(self, slots: bytes | bytearray | memoryview) -> tuple[Any, ...]:
        """The values that the slots hold."""
        values = self.layout.unpack_from(slots)
        if not self.has_references:
            return values
        return tuple(
            self._references.to_python(value_type, value) if isinstance(value_type, ReferenceType) else value
            for value_type, value in zip(self.types, values, strict=True)
        )

    def _check_count(self, values: Sequence[Any]) -> None:
        if len(values) != len(self.types):
            wanted = ", ".join(value_type.name for value_type in self.types)
            raise ArgumentError(
                f"{len(values)} arguments given where {len(self.types)} are wanted ({wanted})",
                None,
                f"{len(self.types)} arguments",
                f"{len(values)} arguments",
            )

    def error(self, values: Sequence[Any]) -> ArgumentError:
        """What is wrong with values that could not be packed."""
        try:
            values = tuple(values)
        except TypeError:
            given = f"{values!r} ({type(values).__name__})"
            return ArgumentError(
                f"a sequence of arguments is wanted, given {given}", None, "a sequence", given
            )
        try:
            self._check_count(values)
        except ArgumentError as wrong_count:
            return wrong_count
        for position, (value_type, value) in enumerate(zip(self.types, values, strict=True)):
            if isinstance(value_type, ReferenceType):
                continue
            try:
                if value_type is V128:
                    _check_vector(value)
                struct.pack("<" + _FORMATS[value_type], value)
            except (struct.error, OverflowError, TypeError):
                return value_error(position, value_type, value)
        return ArgumentError("the arguments cannot be converted", None, repr(self.types), repr(values))


def _check_vector(value: Any) -> None:
    """Raise TypeError unless the value is a v128: `struct` would fill up what is shorter, and cut what is longer."""
    if not isinstance(value, bytes | bytearray) or len(value) != V128.size:
        raise TypeError("16 bytes are wanted")


def value_error(position: int | None, value_type: ValueType, value: Any) -> ArgumentError:
    """That `value`, at `position`, is no value of the type."""
    wanted = _WANTED.get(value_type, value_type.name)
    where = "the value" if position is None else f"argument {position}"
    given = f"{value!r} ({type(value).__name__})"
    return ArgumentError(
        f"{where}: {value_type.name} wants {wanted}, given {given}", position, value_type.name, given
    )
