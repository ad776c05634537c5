"""Linear memories (section 4.2.8)."""

from __future__ import annotations

import copy
import ctypes
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index as as_index
from typing import TYPE_CHECKING, overload

from farcall.engine.abi import layout
from farcall.engine.errors import ClosedError, ExhaustionError, RangeError
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import clear_memory_slot, write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.structure.types import I64, Limits, MemoryType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.memory_budget import MemoryBudget

_LARGEST_32 = 1 << 32
LARGEST_64 = 1 << 36
"""Bytes that a memory with i64 indices can have, 64 GiB: address space is reserved for what it may grow to."""

_View = ctypes.c_char * LARGEST_64
"""Any part of a memory can be copied through it, also 2 GiB and more, where `ctypes.string_at` wraps the length."""


class _Users:
    """How many hold a shared memory: its maker, importers, and accesses from Python that are under way.

    They belong to several linked groups, so no group's lock says when the last one is gone.
    """

    def __init__(self) -> None:
        # Reentrant: the garbage collector may run whatever it likes in the middle of what this guards.
        self._lock = threading.RLock()
        self._count = 1  # guarded by _lock

    def join(self) -> bool:
        """One more, unless the last one is gone; whether it is so."""
        with self._lock:
            if self._count == 0:
                return False
            self._count += 1
            return True

    def leave(self) -> bool:
        """One less; whether that was the last one."""
        with self._lock:
            self._count -= 1
            return self._count == 0


class Memory:
    """A memory: reserved addresses of which the first are accessible, and a record that all importers share.

    With i32 indices it has a slot of the process's reservation, with i64 indices a reservation of its own.

    A memory whose type says so is *shared*: it links no instances, so guests of several run with it at the same time,
    and it lives until the last one that has it is released. Access to it from Python waits for nobody.

    Attributes:
        declared_type: as the module declares it; `type` has the present size as its minimum.
        owner: who must be open for it to be used from Python: its maker, or an instance that imports it.
        home: the member of a linked group that made it, and with which it lives and dies unless it is shared.
        base: address of byte 0.
        record: address of the memory record.
    """

    _maker: Memory | None = None
    """Where this is an importer's view: the memory itself, which must live as long."""

    def __init__(
        self, owner: Member, declared_type: MemoryType, budget: MemoryBudget, maximum_bytes: int | None = None
    ) -> None:
        """Make a memory of the type's minimum size.

        Parameters:
            owner: the member of a linked group that it lives and dies with.
            budget: what its bytes are taken from.
            maximum_bytes: a limit below the type's own.

        Raises:
            ExhaustionError: no slot is free, the limit is below the minimum, or the budget or the system has no
                memory left.
        """
        self.declared_type = declared_type
        self.owner = self.home = owner
        page, limits = declared_type.page_size, declared_type.limits
        size = limits.minimum * page
        most = (
            _most_bytes(declared_type)
            if maximum_bytes is None
            else min(maximum_bytes, _most_bytes(declared_type))
        )
        if size > most:
            raise ExhaustionError(f"a memory of {size} bytes is over the limit of {most} bytes")
        maximum = most // page * page
        if limits.maximum is not None:
            maximum = min(maximum, limits.maximum * page)
        reserved = c_library.round_to_pages(max(maximum, 1)) if declared_type.index_type is I64 else 0
        self._budget = budget
        self._users = _Users()
        budget.take(size)
        try:
            self.base = _reserve(reserved)
            try:
                self._open(0, size)
            except ExhaustionError:
                _release(self.base, size, reserved)
                raise
        except ExhaustionError:
            budget.give(size)
            raise
        self._record = ctypes.create_string_buffer(layout.MEMORY_RECORD_SIZE)
        self.record = ctypes.addressof(self._record)
        write_words(self.record, [self.base, size, maximum, page, budget.address])
        self._bytes = ctypes.c_uint64.from_address(self.record + layout.MEMORY_RECORD_BYTES)
        # One that is dropped without having been closed gives its slot back all the same.
        self._give_back = weakref.finalize(self, _give_back, self.base, self._record, budget, reserved)
        self._give_back.atexit = False

    @property
    def size_cell(self) -> ctypes.c_uint64:
        """Where its size in bytes stands, for as long as it is there."""
        return self._bytes

    def seen_by(self, importer: Member) -> Memory:
        """The same memory as an instance that imports it has it: usable as long as that one is open."""
        seen = copy.copy(self)
        seen.owner = importer
        seen._maker = self
        return seen

    @property
    def links(self) -> bool:
        """Whether importing it links instances: a shared one does not."""
        return not self.declared_type.shared

    def hold(self) -> None:
        """Keep a shared memory until `release`. Raises ClosedError if it is gone."""
        if not self._users.join():
            raise ClosedError("the last instance that had this memory is closed")

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Hold the group's lock, or a shared memory itself. Raises ClosedError if the owner is closed."""
        if self.links:
            with self.owner.turn():
                yield
            return
        self.owner.check_open()
        self.hold()
        try:
            yield
        finally:
            self.release()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Memory):
            return NotImplemented
        return self.record == other.record

    def __hash__(self) -> int:
        return hash(self.record)

    def __repr__(self) -> str:
        return f"<farcall {self.type}>"

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bytes.value

    def __len__(self) -> int:
        return self._bytes.value

    @property
    def pages(self) -> int:
        """Size in pages, of 64 KiB unless the type says otherwise."""
        return self._bytes.value // self.declared_type.page_size

    @property
    def type(self) -> MemoryType:
        """The type with the present size as its minimum, as importing demands (section 4.5.3)."""
        declared = self.declared_type
        limits = Limits(self.pages, declared.limits.maximum)
        return MemoryType(limits, declared.shared, declared.index_type, declared.page_size)

    def read(self, offset: int, length: int) -> bytes:
        """Copy `length` bytes from `offset`, after running calls are done; from a shared memory, at once.

        Raises:
            RangeError: the range leaves the memory.
            ClosedError: the memory's instance is closed.
        """
        start, count = as_index(offset), as_index(length)
        with self._access():
            self._check(start, count)
            return bytes(memoryview(_View.from_address(self.base))[start : start + count])

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store `data`, any bytes-like object, at `offset`, after running calls are done; in a shared memory, at once.

        Raises:
            RangeError: the range leaves the memory; nothing is written.
            ClosedError: the memory's instance is closed.
        """
        start, content = as_index(offset), memoryview(data).tobytes()
        with self._access():
            self._check(start, len(content))
            ctypes.memmove(self.base + start, content, len(content))

    def _check(self, offset: int, length: int) -> None:
        size = self._bytes.value
        if offset < 0 or length < 0 or offset + length > size:
            raise RangeError(f"bytes {offset} to {offset + length} lie outside of a memory of {size} bytes")

    def _range(self, key: slice, length: int | None = None) -> tuple[int, int]:
        """Start and length of a slice; `length` is of what is to be stored there. Neither is clamped to the size."""
        if key.step not in (None, 1):
            raise RangeError("slices of memories have no step")
        size = self.size
        start = 0 if key.start is None else as_index(key.start)
        start += size if start < 0 else 0
        if key.stop is None:
            stop = size if length is None else start + length
        else:
            stop = as_index(key.stop)
            stop += size if stop < 0 else 0
        if start < 0 or stop < start:
            raise RangeError(f"a memory of {size} bytes has no bytes from {start} to {stop}")
        return start, stop - start

    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    @overload
    def __getitem__(self, key: int) -> int: ...

    def __getitem__(self, key: slice | int) -> bytes | int:
        if isinstance(key, slice):
            return self.read(*self._range(key))
        return self.read(self._offset(key), 1)[0]

    def __setitem__(self, key: slice | int, data: bytes | bytearray | memoryview | int) -> None:
        if isinstance(key, slice):
            content = memoryview(data).tobytes()  # type: ignore[arg-type]
            start, length = self._range(key, len(content))
            if length != len(content):
                raise RangeError(f"{len(content)} bytes do not fit a slice of {length}")
            self.write(start, content)
        else:
            self.write(self._offset(key), bytes((as_index(data),)))  # type: ignore[arg-type]

    def _offset(self, key: int) -> int:
        offset = as_index(key)
        return offset + self.size if offset < 0 else offset

    def grow(self, pages: int) -> int:
        """Grow by `pages` pages.

        Returns:
            The former size in pages.

        Raises:
            ExhaustionError: a limit or the system forbids it; nothing changes.
            ClosedError: the memory's instance is closed.
        """
        pages = as_index(pages)
        with self._access():
            former = self.size
            maximum = ctypes.c_uint64.from_address(self.record + layout.MEMORY_RECORD_MAXIMUM).value
            more = pages * self.declared_type.page_size
            if pages < 0 or former + more > maximum:
                raise ExhaustionError(
                    f"a memory of {former} bytes cannot grow by {more}: its limit is {maximum}"
                )
            if not self.links:
                return self._grow_at_once(pages)
            self._budget.take(more)
            try:
                self._open(former, more)
            except ExhaustionError:
                self._budget.give(more)
                raise
            self._bytes.value = former + more
            return former // self.declared_type.page_size

    def _grow_at_once(self, pages: int) -> int:
        """Grow a shared memory, which guests may grow at the same time; the former size in pages."""
        former = native_runtime().grow_memory(self.record, pages)
        if former < 0:
            raise ExhaustionError(
                f"a memory of {self.size} bytes cannot grow by {pages} pages: its limit, or that of the store's or the"
                " engine's memories together, or the system forbids it"
            )
        return int(former)

    def _open(self, offset: int, size: int) -> None:
        """Make bytes accessible. Raises ExhaustionError."""
        if size == 0:
            return
        start = (
            offset & -c_library.PAGE_SIZE
        )  # where it ends within a page of the machine, that one is open already
        length = offset + size - start
        try:
            c_library.protect_memory(self.base + start, length, c_library.PROT_READ | c_library.PROT_WRITE)
        except OSError as error:
            raise ExhaustionError(f"no memory left for {size} bytes: {error}") from error

    def release(self) -> None:
        """Give the slot back; that of a shared memory when all that hold it have released it."""
        if self.links or self._users.leave():
            self._give_back()


def _most_bytes(memory_type: MemoryType) -> int:
    """How many bytes a memory can have here: as many as its index type can count pages of, and as there is room for."""
    if memory_type.index_type is I64:
        return LARGEST_64
    return min(_LARGEST_32, ((1 << 32) - 1) * memory_type.page_size)


def _reserve(reserved: int) -> int:
    """Inaccessible addresses: a slot, or `reserved` bytes if that is not 0. Raises ExhaustionError."""
    space = native_runtime().space
    return space.regions.acquire(reserved) if reserved else space.memories.acquire()


def _release(base: int, size: int, reserved: int) -> None:
    """Give back what was reserved, of which `size` bytes are, or may be, accessible."""
    space = native_runtime().space
    if reserved:
        space.regions.release(base, reserved)
    else:
        clear_memory_slot(base, size)
        space.memories.release(base)


def _give_back(base: int, record: ctypes.Array[ctypes.c_char], budget: MemoryBudget, reserved: int) -> None:
    size = ctypes.c_uint64.from_buffer(record, layout.MEMORY_RECORD_BYTES)
    budget.give(size.value)
    _release(base, size.value, reserved)
    size.value = 0
