"""Sequences of a module's parts, kept as columns of numbers: the parts are made when they are looked at.

A large module has tens of thousands of functions. Of one that is loaded from the cache, hardly any is looked at.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from typing import Generic, TypeVar, overload

from farcall.engine.structure.module import (
    ConstantExpression,
    ConstantInstruction,
    DataSegment,
    FunctionBody,
)
from farcall.engine.structure.types import ValueType

Part = TypeVar("Part")


class _Packed(Sequence[Part], Generic[Part]):
    """A sequence that compares as a tuple of its parts does."""

    def __init__(self, count: int) -> None:
        self._count = count

    @abstractmethod
    def _part(self, position: int) -> Part:
        """The part at a position from 0 to less than the count."""

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> Part: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, position: int | slice) -> Part | tuple[Part, ...]:
        if isinstance(position, slice):
            return tuple([self._part(each) for each in range(*position.indices(self._count))])
        return self._part(range(self._count)[position])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (tuple, _Packed)):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


class PackedBodies(_Packed[FunctionBody]):
    """Function bodies."""

    def __init__(
        self,
        first: int,
        type_indices: array[int],
        starts: array[int],
        ends: array[int],
        which: array[int],
        locals_: Sequence[tuple[tuple[int, ValueType], ...]],
    ) -> None:
        """Bodies of functions `first` and following; `which` says which of `locals_` a body has."""
        super().__init__(len(starts))
        self._first = first
        self._columns = (type_indices, starts, ends, which)
        self._locals = locals_

    def _part(self, position: int) -> FunctionBody:
        type_index, start, end, which = [column[position] for column in self._columns]
        return FunctionBody(self._first + position, type_index, self._locals[which], start, end)


class PackedFunctionReferences(_Packed[ConstantExpression]):
    """Constant expressions that are one `ref.func` each.

    Attributes:
        indices: of the functions.
    """

    def __init__(self, indices: array[int], instruction_offsets: array[int], offsets: array[int]) -> None:
        super().__init__(len(indices))
        self.indices = indices
        self._instruction_offsets = instruction_offsets
        self._offsets = offsets

    def _part(self, position: int) -> ConstantExpression:
        instruction = ConstantInstruction(
            "ref.func", (self.indices[position],), self._instruction_offsets[position]
        )
        return ConstantExpression((instruction,), self._offsets[position])


class PackedDataSegments(_Packed[DataSegment]):
    """Data segments that are active in memory 0, at an offset that is one `i32.const`.

    Compilers of some languages make a hundred thousand of them.

    Attributes:
        starts: of their bytes in the source; `ends` their ends.
        targets: where they go in the memory, as signed numbers.
    """

    def __init__(
        self,
        starts: array[int],
        ends: array[int],
        targets: array[int],
        instruction_offsets: array[int],
        expression_offsets: array[int],
        offsets: array[int],
    ) -> None:
        super().__init__(len(starts))
        self.starts = starts
        self.ends = ends
        self.targets = targets
        self._offsets = (instruction_offsets, expression_offsets, offsets)

    def _part(self, position: int) -> DataSegment:
        instruction_offset, expression_offset, offset = [column[position] for column in self._offsets]
        instruction = ConstantInstruction("i32.const", (self.targets[position],), instruction_offset)
        expression = ConstantExpression((instruction,), expression_offset)
        return DataSegment("active", self.starts[position], self.ends[position], 0, expression, offset)
