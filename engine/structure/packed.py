"""Parts of a module of which there can be very many, in packed arrays; each is an object when it is asked for."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from farcall.engine.structure.elements import (
    ConstantExpression,
    ConstantInstruction,
    DataSegment,
    FunctionBody,
)
from farcall.engine.structure.types import ValueType

T = TypeVar("T")

_BODY_WORDS = 3


class _Packed(Sequence[T]):
    """A sequence whose entries are made when they are asked for."""

    __slots__ = ()

    def make(self, position: int) -> T:
        """The entry at a position from 0 on that is there."""
        raise NotImplementedError

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[T, ...]: ...
    def __getitem__(self, position: int | slice) -> T | tuple[T, ...]:
        if isinstance(position, slice):
            return tuple([self.make(chosen) for chosen in range(len(self))[position]])
        return self.make(range(len(self))[position])

    def __iter__(self) -> Iterator[T]:
        return map(self.make, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


class FunctionBodies(_Packed[FunctionBody]):
    """The bodies of a module's own functions.

    Attributes:
        located: three words of 32 bits for each: where its declared locals begin, its first instruction, its end.
        first: the first one's index in the function index space.
        type_indices: of all functions, imports first; a missing one is 0.
        read_locals: from where they begin to the runs of declared locals.
    """

    __slots__ = ("first", "located", "read_locals", "type_indices")

    WORDS = _BODY_WORDS

    def __init__(
        self,
        located: array[int],
        first: int,
        type_indices: Sequence[int],
        read_locals: Callable[[int], tuple[tuple[int, ValueType], ...]],
    ) -> None:
        self.located = located
        self.first = first
        self.type_indices = type_indices
        self.read_locals = read_locals

    def __len__(self) -> int:
        return len(self.located) // _BODY_WORDS

    def make(self, position: int) -> FunctionBody:
        """The body of the function at that position among the module's own."""
        place = position * _BODY_WORDS
        locals_start, start, end = self.located[place : place + _BODY_WORDS]
        index = self.first + position
        type_index = self.type_indices[index] if index < len(self.type_indices) else 0
        return FunctionBody(index, type_index, self.read_locals(locals_start), start, end)

    def size(self, position: int) -> int:
        """Bytes of the instructions of the function at that position."""
        place = position * _BODY_WORDS
        return self.located[place + 2] - self.located[place + 1]

    def sizes(self) -> list[int]:
        """The same of all functions."""
        return list(map(operator.sub, self.located[2::_BODY_WORDS], self.located[1::_BODY_WORDS]))

    def bytes_between(self, first: int, last: int) -> int:
        """Bytes of the functions from position `first` to before `last`, with their locals, at least one function."""
        return self.located[_BODY_WORDS * last - 1] - self.located[_BODY_WORDS * first]

    @property
    def code_bytes(self) -> int:
        """Bytes of all functions, with their locals."""
        return self.bytes_between(0, len(self)) if self.located else 0


class FunctionElements(_Packed[ConstantExpression]):
    """Initial elements that are given as functions: each stands for `ref.func` of one.

    Attributes:
        indices: of the functions.
        offsets: where they stand in the module.
        function_count: how many functions the module has.
    """

    __slots__ = ("function_count", "indices", "offsets")

    def __init__(self, indices: array[int], offsets: array[int], function_count: int) -> None:
        self.indices = indices
        self.offsets = offsets
        self.function_count = function_count

    def __len__(self) -> int:
        return len(self.indices)

    def make(self, position: int) -> ConstantExpression:
        """The element at that position."""
        offset = self.offsets[position]
        instruction = ConstantInstruction("ref.func", (self.indices[position],), offset)
        return ConstantExpression((instruction,), offset)

    def distinct(self) -> list[ConstantExpression]:
        """The first of each function, in order; those that are not there count as one."""
        count = self.function_count
        seen: dict[int, int] = {}
        for position, index in enumerate(self.indices):
            seen.setdefault(min(index, count), position)
        return [self.make(position) for position in seen.values()]


class DataSegments(_Packed[DataSegment]):
    """The data segments.

    Attributes:
        located: four words of 32 bits for each that is active in memory 0 and has a constant of 32 bits as its offset:
            where the segment begins, where its bytes begin and end, the constant. Four words of nothing for others.
        others: these, by position.
    """

    __slots__ = ("located", "others")

    WORDS = 4

    def __init__(self) -> None:
        self.located: array[int] = array("I")
        self.others: dict[int, DataSegment] = {}

    def __len__(self) -> int:
        return len(self.located) // self.WORDS

    def append(self, segment: DataSegment) -> None:
        """Add one."""
        constant = self._usual_constant(segment)
        if constant is None:
            self.others[len(self)] = segment
            self.located.extend((0,) * self.WORDS)
        else:
            self.located.extend((segment.offset, segment.start, segment.end, constant & 0xFFFFFFFF))

    @staticmethod
    def _usual_constant(segment: DataSegment) -> int | None:
        """Where a segment's bytes go, if it is as described."""
        where = segment.memory_offset
        if (
            where is None
            or segment.memory
            or where.offset != segment.offset + 1
            or len(where.instructions) != 1
        ):
            return None
        (instruction,) = where.instructions
        if instruction.name != "i32.const" or instruction.offset != where.offset:
            return None
        (constant,) = instruction.immediates
        return constant if isinstance(constant, int) else None

    def in_first_memory(self, position: int) -> tuple[int, int, int] | None:
        """Where the bytes of a segment begin and end, and their place in memory 0; None of others than described."""
        if position in self.others:
            return None
        place = self.WORDS * position
        return self.located[place + 1], self.located[place + 2], self.located[place + 3]

    @property
    def end(self) -> int:
        """Where the bytes of the last segment end, which is as described."""
        return self.located[-2]

    def make(self, position: int) -> DataSegment:
        """The segment of that index."""
        other = self.others.get(position)
        if other is not None:
            return other
        offset, start, end, value = self.located[self.WORDS * position : self.WORDS * (position + 1)]
        constant = ConstantInstruction("i32.const", (value - (value >> 31 << 32),), offset + 1)
        return DataSegment("active", start, end, 0, ConstantExpression((constant,), offset + 1), offset)


class FunctionNames(Mapping[int, str]):
    """Names by function index, read when they are first asked for."""

    __slots__ = ("_names", "_read")

    def __init__(self, read: Callable[[], dict[int, str]]) -> None:
        self._read = read
        self._names: dict[int, str] | None = None

    def _known(self) -> dict[int, str]:
        if self._names is None:
            self._names = self._read()
        return self._names

    def __getitem__(self, index: int) -> str:
        return self._known()[index]

    def get(self, index: int, default: Any = None) -> Any:
        """The name of a function, or the default."""
        return self._known().get(index, default)

    def __iter__(self) -> Iterator[int]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return repr(self._known())
