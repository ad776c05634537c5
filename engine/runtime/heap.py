"""The heap of a linked group: room for structures and arrays, and their collection.

Machine code allocates from runs of free cells and finds the next run itself (`native.objects`). Only when it finds none
it comes here, where blocks are added, or what cannot be reached is collected. The group's lock is held whenever the
heap is used.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from farcall.engine.abi import objects as abi
from farcall.engine.errors import EngineBug, ExhaustionError
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.engine.runtime.native import c_library, collection
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.native.objects import LARGE_CLASS

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member

_LEAST_GROWTH = 4 << 20
"""Bytes that a heap may take between two collections at least."""

_MOST_OPENED = 16
"""Blocks that are made ones of a class at a time."""

_LEAST_FREED = 64
"""A collection that is made because the budget is used up must free one of so many bytes, or there is no room."""

Roots = list[tuple[int, int]]
"""Ranges of words that may be references: address, and number of words."""


class HeapOwner(Protocol):
    """A linked group, as its heap sees it."""

    members: set[Member]

    def roots(self) -> Roots:
        """Where tables, globals and element segments hold references to objects."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a collection found in the heap, beside objects.

    Attributes:
        handles: of the embedder's values.
        functions: function references; references to exceptions are not told apart from them.
    """

    handles: frozenset[int] = frozenset()
    functions: frozenset[int] = frozenset()


class Heap:
    """A heap; where groups are joined, one heap takes over the other's blocks.

    Attributes:
        record: address of its record.
        owner: the group, which gives the roots beside the stack and what Python holds.
        bytes: of its blocks.
        collections: how many there were.
    """

    def __init__(self, budget: MemoryBudget, group: HeapOwner) -> None:
        self.owner = weakref.ref(group)
        self._types: dict[int, object] = {}  # by identity
        self._budget = budget
        self._identity = next(_identities)
        self._record = ctypes.create_string_buffer(abi.HEAP_RECORD_SIZE)
        self.record = ctypes.addressof(self._record)
        write_words(self.record + abi.HEAP_IDENTITY, [self._identity])
        self._blocks = _Blocks(budget)
        self._pins: dict[int, int] = {}  # references that Python holds; guarded by _pins_lock
        # Reentrant: Python's collector may drop a reference in the middle of what this guards.
        self._pins_lock = threading.RLock()
        self._limit = _LEAST_GROWTH
        self._successor: Heap | None = None
        self.closed = False
        self.collections = 0
        _heaps[self._identity] = self
        self._give_back = weakref.finalize(self, self._blocks.release_all)
        self._give_back.atexit = False

    @property
    def current(self) -> Heap:
        """The heap that has this one's objects now."""
        heap = self
        while heap._successor is not None:
            heap = heap._successor
        return heap

    @property
    def bytes(self) -> int:
        """Bytes of its blocks."""
        return self._blocks.bytes

    def member(self) -> Member | None:
        """An open member of the group, if there is one left."""
        owner = self.owner()
        members = () if owner is None else tuple(owner.members)
        return next((member for member in members if not member.closed), None)

    def keep_types(self, types: object) -> None:
        """Keep the types that objects may have: their descriptors must live as long as the objects."""
        self._types[id(types)] = types

    # -- Allocation ------------------------------------------------------------------------------------------------

    def allocate(self, size: int, held: Iterable[int] = ()) -> int:
        """Room for an object, for Python; all zero.

        Parameters:
            size: in bytes.
            held: references that Python holds as numbers, and that must stay valid.

        Raises:
            ExhaustionError: there is no room.
        """
        if size > abi.LARGEST_CELL:
            return self._make_large(size, held)
        cell_class = abi.cell_class(size)
        while True:
            cell = native_runtime().next_cell(self.record, cell_class)
            if cell:
                ctypes.memset(cell, 0, abi.CELL_SIZES[cell_class])
                return int(cell)
            self.make_room(cell_class, held)

    def make_room(self, cell_class: int, held: Iterable[int] = ()) -> None:
        """Have free cells of a class, for there are none. Raises ExhaustionError."""
        if self._use_spare(cell_class):
            return
        collected = False
        if self._blocks.bytes + abi.BLOCK_SIZE > self._limit:
            self.collect(held)
            collected = True
            if self._blocks.free[cell_class] or self._use_spare(cell_class):
                return
            # What is free is of other classes: to grow by little would mean to collect again at once.
            self._limit = max(self._limit, self._blocks.bytes + _LEAST_GROWTH // 4 + self._blocks.bytes // 4)
        try:
            block = self._blocks.add(1)
        except ExhaustionError:
            before = self._blocks.bytes
            if not collected:
                self.collect(held)
            freed = before - self._blocks.bytes + self._blocks.spare_bytes + self._blocks.free_bytes
            if freed * _LEAST_FREED < before:
                raise
            if self._blocks.free[cell_class] or self._use_spare(cell_class):
                return
            block = self._blocks.add(1)
        self._open([block], cell_class)

    def _use_spare(self, cell_class: int) -> bool:
        """Make spare blocks ones of a class; whether there were any."""
        spare = self._blocks.spare
        count = min(len(spare), max(len(spare) // 4, 1), _MOST_OPENED)
        if count:
            self._open([spare.pop() for _ in range(count)], cell_class)
        return count > 0

    def _open(self, blocks: list[int], cell_class: int) -> None:
        """Let the cells of a class be taken from these blocks, which hold no objects."""
        size = abi.CELL_SIZES[cell_class]
        cells = (abi.BLOCK_SIZE - abi.BLOCK_FIRST) // size
        for block, following in itertools.pairwise([*blocks, 0]):
            write_words(block, [self.record, following, size, cells, 0])
        self._blocks.small[cell_class] += blocks
        place = self.record + abi.HEAP_CLASS_SIZE * cell_class
        write_words(place, [0, 0, blocks[0], blocks[0] + abi.BLOCK_FIRST])

    def _make_large(self, size: int, held: Iterable[int] = ()) -> int:
        """Room for an object that is larger than a cell. Raises ExhaustionError."""
        if size > abi.LARGEST_OBJECT:
            raise ExhaustionError(
                f"an object of {size} bytes is over the limit of {abi.LARGEST_OBJECT} bytes"
            )
        count = -(-(size + abi.BLOCK_FIRST) // abi.BLOCK_SIZE)
        collected = False
        room = count * abi.BLOCK_SIZE
        if self._blocks.bytes + room > self._limit:
            self._blocks.keep_spare(self._blocks.spare_bytes - room)  # what they took is granted already
        if self._blocks.bytes + room > self._limit:
            self.collect(held)
            collected = True
            self._limit = max(self._limit, self._blocks.bytes + room)
        try:
            block = self._blocks.add(count)
        except ExhaustionError:
            if not collected:
                self.collect(held)
            self._blocks.drop_spare()
            block = self._blocks.add(count)
        write_words(block, [self.record, 0, count * abi.BLOCK_SIZE - abi.BLOCK_FIRST, 1, 0])
        self._blocks.large[block] = count
        return block + abi.BLOCK_FIRST

    def serve(self, cell_class: int, slots: int) -> None:
        """Do what a guest's allocation asks for."""
        if cell_class == LARGE_CLASS:
            write_words(slots, [self._make_large(_word(slots))])
        else:
            self.make_room(cell_class)

    # -- What Python holds -----------------------------------------------------------------------------------------

    def pin(self, reference: int) -> None:
        """Python holds a reference."""
        with self._pins_lock:
            self._pins[reference] = self._pins.get(reference, 0) + 1

    def unpin(self, reference: int) -> None:
        """Python holds it once less."""
        heap = self.current
        with heap._pins_lock:
            left = heap._pins.get(reference, 0) - 1
            if left > 0:
                heap._pins[reference] = left
            else:
                heap._pins.pop(reference, None)

    # -- Collection ------------------------------------------------------------------------------------------------

    def collect(self, held: Iterable[int] = (), *, handle_count: int = 0, functions: bool = False) -> Found:
        """Free what cannot be reached. The group's lock is held.

        Parameters:
            held: references that Python holds as numbers.
            handle_count: how many handles there are; if any, those that objects hold are found.
            functions: whether the references to functions and exceptions that objects hold are to be found.
        """
        for cell_class in range(len(abi.CELL_SIZES)):
            native_runtime().finish_sweep(self.record, cell_class)
        objects = self._blocks.clear_marks()
        with self._pins_lock:
            words = [*self._pins, *held]
        numbers = (ctypes.c_uint64 * len(words))(*words)
        owner = self.owner()
        ranges = [] if owner is None else owner.roots()
        ranges.append((ctypes.addressof(numbers), len(words)))
        flat = [word for pair in ranges for word in pair]
        roots = (ctypes.c_uint64 * len(flat))(*flat)
        handles = ctypes.create_string_buffer(max(handle_count, 1))
        found = self._mark(ctypes.addressof(roots), len(ranges), objects, handles, handle_count, functions)
        del numbers, roots  # they had to live until here
        live = self._blocks.sweep(self.record)
        free = self._blocks.free_bytes
        wanted = max(_LEAST_GROWTH, live)
        self._blocks.keep_spare(wanted)
        self._limit = self._blocks.bytes + max(0, wanted - free - self._blocks.spare_bytes)
        self.collections += 1
        return found

    def _mark(
        self,
        roots: int,
        root_count: int,
        objects: int,
        handles: ctypes.Array[ctypes.c_char],
        handle_count: int,
        functions: bool,
    ) -> Found:
        access = c_library.PROT_READ | c_library.PROT_WRITE
        room = c_library.round_to_pages(8 * objects + 8)
        stack = c_library.map_memory(room, access)
        # Objects can hold as many references as they have words; what is not used of it takes no memory.
        noted_room = c_library.round_to_pages(self._blocks.bytes + 8)
        noted = c_library.map_memory(noted_room, access) if functions else 0
        request = (ctypes.c_uint64 * (collection.REQUEST_SIZE // 8))()
        request[collection.REQUEST_HEAP // 8] = self.record
        request[collection.REQUEST_ROOTS // 8] = roots
        request[collection.REQUEST_ROOT_COUNT // 8] = root_count
        request[collection.REQUEST_STACK_END // 8] = native_runtime().guests_end()
        request[collection.REQUEST_MARK_STACK // 8] = stack
        request[collection.REQUEST_HANDLES // 8] = ctypes.addressof(handles)
        request[collection.REQUEST_HANDLE_COUNT // 8] = handle_count
        if functions:
            request[collection.REQUEST_FUNCTIONS // 8] = noted + 8  # the word before the first is looked at
            request[collection.REQUEST_FUNCTION_CAPACITY // 8] = noted_room // 8 - 1
        try:
            native_runtime().collect(ctypes.addressof(request))
            count = request[collection.REQUEST_FUNCTION_COUNT // 8]
            references = (ctypes.c_uint64 * count).from_address(noted + 8) if count else ()
            marks = handles.raw[:handle_count]
            return Found(
                frozenset(handle for handle, mark in enumerate(marks) if mark), frozenset(references)
            )
        finally:
            c_library.unmap_memory(stack, room)
            if functions:
                c_library.unmap_memory(noted, noted_room)

    # -- Joining and end -------------------------------------------------------------------------------------------

    def absorb(self, other: Heap) -> None:
        """Take over the objects of another heap, whose group is joined to this one's; both locks are held."""
        for cell_class in range(len(abi.CELL_SIZES)):
            native_runtime().finish_sweep(other.record, cell_class)
        self._blocks.absorb(other._blocks, self.record)
        with self._pins_lock, other._pins_lock:
            for reference, count in other._pins.items():
                self._pins[reference] = self._pins.get(reference, 0) + count
            other._pins = {}
            other._successor = self
        self._types.update(other._types)
        self._limit = max(self._limit, self._blocks.bytes + _LEAST_GROWTH)

    def close(self) -> None:
        """Give everything back: the last member of the group is gone."""
        self.closed = True
        self._give_back()


class _Blocks:
    """The blocks of a heap."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.bytes = 0
        self.free = [0 for _ in abi.CELL_SIZES]  # bytes of free cells by class, after the last collection
        self.small: list[list[int]] = [[] for _ in abi.CELL_SIZES]
        self.large: dict[int, int] = {}  # address -> how many blocks in a row
        self.spare: list[int] = []  # blocks without objects, for any class; their marks are clear

    def add(self, count: int) -> int:
        """Take blocks in a row, all zero; the address. Raises ExhaustionError."""
        size = count * abi.BLOCK_SIZE
        self._budget.take(size)
        try:
            block = native_runtime().objects.acquire(count)
        except ExhaustionError:
            self._budget.give(size)
            raise
        self.bytes += size
        return block

    def _release(self, block: int, count: int) -> None:
        native_runtime().objects.release(block, count)
        self._budget.give(count * abi.BLOCK_SIZE)
        self.bytes -= count * abi.BLOCK_SIZE

    def clear_marks(self) -> int:
        """Forget which objects were reached; how many objects there can be."""
        objects = len(self.large)
        for block in itertools.chain(*self.small, self.large):
            # The first bytes are the block's own fields, which no cell's mark is among.
            ctypes.memset(block + _MARKS, 0, abi.BLOCK_FIRST - _MARKS)
            write_words(block + abi.BLOCK_LIVE, [0])
        for cell_class, blocks in enumerate(self.small):
            objects += len(blocks) * ((abi.BLOCK_SIZE - abi.BLOCK_FIRST) // abi.CELL_SIZES[cell_class])
        return objects

    def sweep(self, heap: int) -> int:
        """Make blocks spare in which nothing was reached, and line up the others for allocation; bytes in use."""
        live = 0
        for cell_class, blocks in enumerate(self.small):
            size = abi.CELL_SIZES[cell_class]
            kept = []
            self.free[cell_class] = 0
            for block in blocks:
                count = _word(block + abi.BLOCK_LIVE)
                if count:
                    kept.append(block)
                    live += count * size
                    self.free[cell_class] += (_word(block + abi.BLOCK_CELLS) - count) * size
                else:
                    self.spare.append(block)
            for block, following in itertools.pairwise([*kept, 0]):
                write_words(block + abi.BLOCK_NEXT, [following])
            blocks[:] = kept
            first = kept[0] if kept else 0
            place = heap + abi.HEAP_CLASS_SIZE * cell_class
            write_words(place, [0, 0, first, first + abi.BLOCK_FIRST if first else 0])
        for block, count in list(self.large.items()):
            if _word(block + abi.BLOCK_LIVE):
                live += count * abi.BLOCK_SIZE
            else:
                del self.large[block]
                self._release(block, count)
        return live

    @property
    def free_bytes(self) -> int:
        """Bytes of free cells in blocks that also hold objects, after the last collection."""
        return sum(self.free)

    @property
    def spare_bytes(self) -> int:
        """Bytes of the spare blocks."""
        return len(self.spare) * abi.BLOCK_SIZE

    def keep_spare(self, size: int) -> None:
        """Give spare blocks back but for so many bytes of them."""
        while self.spare and self.spare_bytes > size:
            self._release(self.spare.pop(), 1)

    def drop_spare(self) -> None:
        """Give all spare blocks back."""
        self.keep_spare(0)

    def absorb(self, other: _Blocks, heap: int) -> None:
        """Take over another heap's blocks, in which all free cells are known."""
        if self._budget is not other._budget:
            raise EngineBug("heaps of different stores cannot be joined")
        for block in itertools.chain(*other.small, other.large):
            write_words(block + abi.BLOCK_HEAP, [heap])
        for own, others in zip(self.small, other.small, strict=True):
            own.extend(others)
            others.clear()
        self.large.update(other.large)
        other.large.clear()
        self.spare += other.spare
        other.spare.clear()
        self.bytes += other.bytes
        other.bytes = 0

    def release_all(self) -> None:
        """Give all back."""
        self.drop_spare()
        for blocks in self.small:
            for block in blocks:
                self._release(block, 1)
            blocks.clear()
        for block, count in self.large.items():
            self._release(block, count)
        self.large.clear()


_MARKS = 64
"""Bytes of a block's own fields, rounded up: marks begin behind them."""


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


_identities = itertools.count(1)
_heaps: weakref.WeakValueDictionary[int, Heap] = weakref.WeakValueDictionary()


def _serve(identity: int, cell_class: int, slots: int) -> None:
    _heaps[identity].serve(cell_class, slots)


def heap_of(reference: int) -> Heap:
    """The heap that has the object at an address."""
    space = native_runtime().objects
    index = (reference - space.base) >> abi.BLOCK_SHIFT
    head = ctypes.c_uint32.from_address(space.block_table + 4 * index).value
    if head == 0:
        raise EngineBug("a reference to an object that is gone")
    block = space.base + ((head - 1) << abi.BLOCK_SHIFT)
    return _heaps[_word(_word(block + abi.BLOCK_HEAP) + abi.HEAP_IDENTITY)]


def install() -> None:
    """Connect guests' allocations to this module."""
    native_runtime().handle("heap", _serve)
