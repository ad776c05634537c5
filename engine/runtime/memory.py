"""Linear memories (section 4.2.8)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from farcall.engine.abi import layout
from farcall.engine.errors import ExhaustionError, RangeError
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import clear_memory_slot, write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.structure.types import Limits, MemoryType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member

_LARGEST = 1 << 32


class Memory:
    """A memory: a slot of the reservation whose first pages are accessible, and a record that all importers share.

    Attributes:
        declared_type: as the module declares it; `type` has the present size as its minimum.
        base: address of byte 0.
        record: address of the memory record.
    """

    def __init__(self, owner: Member, declared_type: MemoryType, maximum_bytes: int | None = None) -> None:
        """Make a memory of the type's minimum size.

        Parameters:
            owner: the member of a linked group that it lives and dies with.
            maximum_bytes: a limit below the type's own.

        Raises:
            ExhaustionError: no slot is free, the limit is below the minimum, or the system has no memory left.
        """
        self.declared_type = declared_type
        self.owner = owner
        page, limits = declared_type.page_size, declared_type.limits
        size = limits.minimum * page
        maximum = _LARGEST if limits.maximum is None else min(limits.maximum * page, _LARGEST)
        if maximum_bytes is not None and maximum_bytes < maximum:
            if size > maximum_bytes:
                raise ExhaustionError(f"a memory of {size} bytes is over the limit of {maximum_bytes} bytes")
            maximum = maximum_bytes // page * page
        space = native_runtime().space
        self.base = space.memories.acquire()
        if size:
            try:
                c_library.protect_memory(self.base, size, c_library.PROT_READ | c_library.PROT_WRITE)
            except OSError as error:
                space.memories.release(self.base)
                raise ExhaustionError(f"no memory left for {size} bytes: {error}") from error
        self._record = ctypes.create_string_buffer(layout.MEMORY_RECORD_SIZE)
        self.record = ctypes.addressof(self._record)
        write_words(self.record, [self.base, size, maximum, page])
        self._bytes = ctypes.c_uint64.from_address(self.record + layout.MEMORY_RECORD_BYTES)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bytes.value

    def __len__(self) -> int:
        return self._bytes.value

    @property
    def pages(self) -> int:
        """Size in pages of 64 KiB (of the type's page size)."""
        return self._bytes.value // self.declared_type.page_size

    @property
    def type(self) -> MemoryType:
        """The type with the present size as its minimum, as importing demands (section 4.5.3)."""
        declared = self.declared_type
        limits = Limits(self.pages, declared.limits.maximum)
        return MemoryType(limits, declared.shared, declared.index_type, declared.page_size)

    def read(self, offset: int, length: int) -> bytes:
        """Copy `length` bytes from `offset`, after running calls are done.

        Raises:
            RangeError: the range leaves the memory.
            ClosedError: the memory's instance is closed.
        """
        with self.owner.turn():
            self._check(offset, length)
            return ctypes.string_at(self.base + offset, length)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store `data` at `offset`, after running calls are done.

        Raises:
            RangeError: the range leaves the memory; nothing is written.
            ClosedError: the memory's instance is closed.
        """
        content = bytes(data)
        with self.owner.turn():
            self._check(offset, len(content))
            ctypes.memmove(self.base + offset, content, len(content))

    def _check(self, offset: int, length: int) -> None:
        size = self._bytes.value
        if offset < 0 or length < 0 or offset + length > size:
            raise RangeError(f"bytes {offset} to {offset + length} lie outside of a memory of {size} bytes")

    def _range(self, key: slice) -> tuple[int, int]:
        if key.step not in (None, 1):
            raise RangeError("slices of memories have no step")
        start = 0 if key.start is None else key.start
        stop = self.size if key.stop is None else key.stop
        if start < 0 or stop < start:
            raise RangeError(f"a memory has no bytes from {start} to {stop}")
        return start, stop

    def __getitem__(self, key: slice) -> bytes:
        start, stop = self._range(key)
        return self.read(start, stop - start)

    def __setitem__(self, key: slice, data: bytes | bytearray | memoryview) -> None:
        start, stop = self._range(
            slice(key.start, key.stop if key.stop is not None else (key.start or 0) + len(data))
        )
        if stop - start != len(data):
            raise RangeError(f"{len(data)} bytes do not fit a slice of {stop - start}")
        self.write(start, data)

    def grow(self, pages: int) -> int:
        """Grow by `pages` pages.

        Returns:
            The former size in pages.

        Raises:
            ExhaustionError: a limit or the system forbids it; nothing changes.
        """
        with self.owner.turn():
            former = self.size
            maximum = ctypes.c_uint64.from_address(self.record + layout.MEMORY_RECORD_MAXIMUM).value
            more = pages * self.declared_type.page_size
            if pages < 0 or former + more > maximum:
                raise ExhaustionError(
                    f"a memory of {former} bytes cannot grow by {more}: its limit is {maximum}"
                )
            if more:
                try:
                    c_library.protect_memory(
                        self.base + former, more, c_library.PROT_READ | c_library.PROT_WRITE
                    )
                except OSError as error:
                    raise ExhaustionError(f"no memory left for {more} bytes: {error}") from error
            self._bytes.value = former + more
            return former // self.declared_type.page_size

    def release(self) -> None:
        """Give the slot back. Nothing may use the memory any more."""
        clear_memory_slot(self.base, self.size)
        self._bytes.value = 0
        native_runtime().space.memories.release(self.base)
