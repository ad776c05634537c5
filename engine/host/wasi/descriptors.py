"""A program's descriptors: numbers for open handles, with rights."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from farcall.engine.host.filesystem.interface import Handle
from farcall.engine.host.wasi.errno import Errno, WasiError

_LAST = (1 << 31) - 1
"""The largest number (`$fd` is signed where C has it)."""


class Descriptor:
    """An open handle, as a program has it.

    Attributes:
        handle: what is open.
        rights: what may be done with it.
        inheriting: what may be done with what is opened below it.
        preopened: the name by which a directory was given to the program; None for all others.
    """

    __slots__ = ("handle", "inheriting", "preopened", "rights")

    def __init__(self, handle: Handle, rights: int, inheriting: int, preopened: bytes | None = None) -> None:
        self.handle = handle
        self.rights = rights
        self.inheriting = inheriting
        self.preopened = preopened


class DescriptorTable:
    """The open descriptors of a program, by number. A new one gets the lowest number that is free.

    Attributes:
        get: the descriptor of a number, or None.
    """

    def __init__(self) -> None:
        self._open: dict[int, Descriptor] = {}
        self._free: list[int] = []
        self._next = 0
        self.get = self._open.get

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Descriptor]:
        return iter(tuple(self._open.values()))

    def add(self, descriptor: Descriptor) -> int:
        """Give it a number."""
        if self._free:
            number = heapq.heappop(self._free)
        else:
            number = self._next
            if number > _LAST:
                raise WasiError(Errno.MFILE, "no number is left")
            self._next += 1
        self._open[number] = descriptor
        return number

    def remove(self, number: int) -> Descriptor:
        """Take it out. Raises WasiError(BADF)."""
        descriptor = self._open.pop(number, None)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        heapq.heappush(self._free, number)
        return descriptor

    def move(self, source: int, target: int) -> Descriptor | None:
        """Give the descriptor `source` the number of `target`, which is no longer in the table afterwards.

        Returns:
            What had the number; None where both are the same.

        Raises:
            WasiError: `BADF`, one of them is not open.
        """
        if source not in self._open or target not in self._open:
            raise WasiError(Errno.BADF)
        if source == target:
            return None
        replaced = self._open[target]
        self._open[target] = self.remove(source)
        return replaced

    def close(self) -> None:
        """Close all handles."""
        for descriptor in self:
            descriptor.handle.close()
        self._open.clear()
        self._free.clear()
        self._next = 0
