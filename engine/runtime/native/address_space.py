"""The process's reservations: slots for guest memories, and pages for execution contexts.

Both are reserved once, at first use, so that the signal handler knows them by two comparisons each.
"""

from __future__ import annotations

import ctypes
import gc
import threading

from farcall.engine.abi.layout import MEMORY_GUARD_SIZE, MEMORY_RECORD_SIZE
from farcall.engine.errors import ExhaustionError
from farcall.engine.runtime.native import c_library
from farcall.engine.structure.types import USUAL_PAGE_SIZE

MEMORY_SLOT_SIZE = (1 << 32) + MEMORY_GUARD_SIZE + (1 << 16)
"""A 32-bit index reaches 4 GiB, a constant offset less than the guard's size more, an access a few bytes more."""

_LARGEST_RESERVATION = 1 << 46
_SMALLEST_RESERVATION = 1 << 36
_CONTEXT_PAGES = 1 << 17


class SlotPool:
    """Equal slots of one reservation; a freed slot is used again before a fresh one."""

    def __init__(self, base: int, slot_size: int, count: int, what: str) -> None:
        self.base = base
        self.end = base + slot_size * count
        self.slot_size = slot_size
        self._count = count
        self._what = what
        # Releases can come from the garbage collector, in the middle of an acquisition in the same thread.
        self._lock = threading.RLock()
        self._fresh = 0  # guarded by _lock
        self._free: list[int] = []  # guarded by _lock
        self._reserved = 0

    def acquire(self) -> int:
        """Take a slot; its address. Raises ExhaustionError when all are in use."""
        slot = self._take()
        if slot is None:
            gc.collect()  # instances in reference cycles hold their slots until they are collected
            slot = self._take()
        if slot is None:
            raise ExhaustionError(f"all {self._count} {self._what} are in use; close instances first")
        return slot

    def reserve(self) -> int:
        """Take a slot for good, that does not count as used; its address."""
        slot = self.acquire()
        self._reserved += 1
        return slot

    def _take(self) -> int | None:
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._fresh == self._count:
                return None
            self._fresh += 1
            return self.base + (self._fresh - 1) * self.slot_size

    def release(self, address: int) -> None:
        """Give a slot back."""
        with self._lock:
            self._free.append(address)

    @property
    def used(self) -> int:
        """How many slots are in use."""
        with self._lock:
            return self._fresh - len(self._free) - self._reserved


class Regions:
    """Reservations that are made when they are needed, each as large as is asked for: for 64-bit memories.

    Their faults are no traps, unlike those in slots: every access to them is checked beforehand.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.RLock()  # see SlotPool
        self._used = 0  # guarded by _lock

    def acquire(self, size: int) -> int:
        """Reserve `size` bytes, inaccessible; their address. Raises ExhaustionError."""
        try:
            address = self._map(size)
        except OSError as error:
            raise ExhaustionError(
                f"no address space left for {self._what} of {size} bytes: {error}"
            ) from error
        with self._lock:
            self._used += 1
        return address

    def _map(self, size: int) -> int:
        try:
            return c_library.map_memory(size, c_library.PROT_NONE)
        except OSError:
            gc.collect()  # instances in reference cycles hold their memories until they are collected
            return c_library.map_memory(size, c_library.PROT_NONE)

    def release(self, address: int, size: int) -> None:
        """Give a reservation back."""
        c_library.unmap_memory(address, size)
        with self._lock:
            self._used -= 1

    @property
    def used(self) -> int:
        """How many reservations there are."""
        with self._lock:
            return self._used


def _reserve_memory_slots() -> SlotPool:
    size = _LARGEST_RESERVATION
    while True:
        try:
            base = c_library.map_memory(size, c_library.PROT_NONE)
        except OSError:
            if size <= _SMALLEST_RESERVATION:
                raise
            size //= 2
        else:
            return SlotPool(base, MEMORY_SLOT_SIZE, size // MEMORY_SLOT_SIZE, "memories")


class AddressSpace:
    """The process's reservations.

    Attributes:
        memories: slots for guest memories, inaccessible until a memory takes its pages.
        regions: reservations for memories that may be larger than a slot.
        absent_memory: a slot that never becomes accessible: what stands for a memory that is not there yet.
        absent_memory_record: address of its memory record: it is empty and cannot grow.
        contexts: pages for execution contexts, readable and writable.
        stop_words: address of an i32 for each of those pages: whether its guests are being stopped.
    """

    def __init__(self) -> None:
        self.memories = _reserve_memory_slots()
        self.regions = Regions("a memory")
        self.absent_memory = self.memories.reserve()
        self._record = ctypes.create_string_buffer(MEMORY_RECORD_SIZE)
        self.absent_memory_record = ctypes.addressof(self._record)
        write_words(self.absent_memory_record, [self.absent_memory, 0, 0, USUAL_PAGE_SIZE])
        page = c_library.PAGE_SIZE
        contexts = c_library.map_memory(_CONTEXT_PAGES * page, c_library.PROT_READ | c_library.PROT_WRITE)
        self.contexts = SlotPool(contexts, page, _CONTEXT_PAGES, "execution contexts")
        self.stop_words = c_library.map_memory(4 * _CONTEXT_PAGES, c_library.PROT_READ | c_library.PROT_WRITE)

    def stop_word(self, context: int) -> ctypes.c_uint32:
        """The stop word of the execution context at that address."""
        number = (context - self.contexts.base) // self.contexts.slot_size
        return ctypes.c_uint32.from_address(self.stop_words + 4 * number)


def clear_memory_slot(address: int, size: int) -> None:
    """Drop the pages of a slot's first `size` bytes and make them inaccessible again."""
    if size:
        c_library.map_memory(size, c_library.PROT_NONE, at=address)


def write_words(address: int, words: list[int]) -> None:
    """Store 64-bit words at `address`."""
    (ctypes.c_uint64 * len(words)).from_address(address)[:] = words  # type: ignore[assignment]
