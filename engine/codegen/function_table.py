"""The functions of an image of a module's code, in packed arrays: a large module has tens of thousands."""

from __future__ import annotations

import bisect
import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from farcall.engine.abi.calls import symbol, tail_symbol

_TAIL_PREFIX = tail_symbol(0)[0]


class FunctionTable(Sequence[tuple[int, int, str]]):
    """(offset, size, symbol) of every function, sorted by offset, as `Image` has them.

    Attributes:
        offsets: array of "Q".
        sizes: array of "Q".
        indices: array of "I": in the module's function index space.
        tails: array of "I": which of the entries are tail entries, in ascending order.
    """

    __slots__ = ("indices", "offsets", "sizes", "tails")

    def __init__(
        self, offsets: array[int], sizes: array[int], indices: array[int], tails: array[int]
    ) -> None:
        """Make a table of what is known to be right: see `check`."""
        self.offsets = offsets
        self.sizes = sizes
        self.indices = indices
        self.tails = tails

    @classmethod
    def of(cls, functions: Iterable[tuple[int, int, str]]) -> FunctionTable:
        """The functions of an image whose symbols are those of `abi.calls`. ValueError: they are not."""
        if isinstance(functions, FunctionTable):
            return functions
        table = cls(array("Q"), array("Q"), array("I"), array("I"))
        for position, (offset, size, name) in enumerate(functions):
            index = int(name[1:]) if name[1:].isdecimal() else -1
            if not 0 <= index < 1 << 32 or name not in (symbol(index), tail_symbol(index)):
                raise ValueError(f"{name!r} is no symbol of a module's function")
            table.offsets.append(offset)
            table.sizes.append(size)
            table.indices.append(index)
            if name[0] == _TAIL_PREFIX:
                table.tails.append(position)
        return table

    def check(self, extent: int) -> None:
        """See that it makes sense for an image of so many bytes.

        Raises:
            ValueError: it does not; the message says why.
        """
        count = len(self.offsets)
        if not len(self.sizes) == len(self.indices) == count:
            raise ValueError("a table of functions has columns of different lengths")
        offsets = self.offsets.tolist()
        if offsets != sorted(offsets):
            raise ValueError("a table of functions is not sorted")
        # Not each one's end: for tens of thousands that takes milliseconds, and sizes are only for names of addresses.
        if offsets and (offsets[-1] > extent or max(self.sizes) > extent):
            raise ValueError("a function lies outside of its image")
        if any(map(operator.ge, self.tails, self.tails[1:])) or (self.tails and self.tails[-1] >= count):
            raise ValueError("tail entries that are none of the functions")

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, position: int) -> tuple[int, int, str]: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[tuple[int, int, str]]: ...

    def __getitem__(self, position: int | slice) -> tuple[int, int, str] | Sequence[tuple[int, int, str]]:
        if isinstance(position, slice):
            return [self[number] for number in range(*position.indices(len(self)))]
        number = range(len(self))[position]
        index = self.indices[number]
        name = tail_symbol(index) if self._is_tail(number) else symbol(index)
        return self.offsets[number], self.sizes[number], name

    def _is_tail(self, number: int) -> bool:
        found = bisect.bisect_left(self.tails, number)
        return found < len(self.tails) and self.tails[found] == number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def ordinary(self) -> tuple[array[int], array[int]]:
        """Indices and offsets of the functions, without tail entries."""
        if not self.tails:
            return self.indices, self.offsets
        tails = frozenset(self.tails)
        numbers = [number for number in range(len(self)) if number not in tails]
        return (
            array("I", [self.indices[number] for number in numbers]),
            array("Q", [self.offsets[number] for number in numbers]),
        )

    def tail_entries(self) -> Iterator[tuple[int, int]]:
        """Indices of functions that have tail entries, and the tail entries' offsets."""
        return ((self.indices[number], self.offsets[number]) for number in self.tails)

    def at(self, offset: int) -> str | None:
        """The symbol of the function that holds an offset."""
        number = bisect.bisect_right(self.offsets, offset) - 1
        if number < 0:
            return None
        start, size, name = self[number]
        return name if offset < start + max(size, 1) else None


def join_tables(tables: Iterable[tuple[int, FunctionTable]]) -> FunctionTable:
    """The table of an image that holds others, from the bytes that lie before each, ascending, and its table."""
    joined = FunctionTable(array("Q"), array("Q"), array("I"), array("I"))
    for base, table in tables:
        joined.tails.extend([len(joined) + number for number in table.tails])
        joined.offsets.extend([base + offset for offset in table.offsets])
        joined.sizes.extend(table.sizes)
        joined.indices.extend(table.indices)
    return joined
