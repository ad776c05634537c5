"""Tables (section 4.2.7)."""

from __future__ import annotations

import copy
import ctypes
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index as as_index
from typing import TYPE_CHECKING, Any

from farcall.engine.abi import layout
from farcall.engine.errors import ExhaustionError, RangeError
from farcall.engine.runtime.heap import Roots
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.structure.types import Limits, TableType

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.memory_budget import MemoryBudget
    from farcall.engine.runtime.references import References

LARGEST_TABLE = 10_000_000
"""Elements: the limit of the JavaScript API specification, and what address space is reserved for."""

_Elements = ctypes.c_uint64 * LARGEST_TABLE


class Table:
    """A table: room for its largest size, and a record that all importers share.

    Attributes:
        declared_type: as the module declares it; `type` has the present size as its minimum.
        elements: address of element 0; room for the largest size is there from the start, so it never moves.
        record: address of the table record.
    """

    _maker: Table | None = None
    """Where this is an importer's view: the table itself, which must live as long."""

    def __init__(
        self,
        owner: Member,
        declared_type: TableType,
        references: References,
        budget: MemoryBudget,
        maximum: int | None = None,
    ) -> None:
        """Make a table of the type's minimum size, all null.

        Parameters:
            references: turns references to Python values and back.
            budget: what the bytes of its elements are taken from.
            maximum: a limit below the type's own.

        Raises:
            ExhaustionError: the limit is below the minimum, or the budget or the system has no memory left.
        """
        limits = declared_type.limits
        self.declared_type = declared_type
        self.owner = self.home = owner
        self._references = references
        most = LARGEST_TABLE if maximum is None else min(maximum, LARGEST_TABLE)
        if limits.maximum is not None:
            most = min(most, limits.maximum)
        if limits.minimum > most:
            raise ExhaustionError(f"a table of {limits.minimum} elements is over the limit of {most}")
        self._mapped = c_library.round_to_pages(max(most, 1) * 8)
        budget.take(limits.minimum * layout.TABLE_ELEMENT_SIZE)
        try:
            self.elements = c_library.map_memory(self._mapped, c_library.PROT_READ | c_library.PROT_WRITE)
        except OSError as error:
            budget.give(limits.minimum * layout.TABLE_ELEMENT_SIZE)
            raise ExhaustionError(f"no memory left for a table of up to {most} elements: {error}") from error
        self._record = ctypes.create_string_buffer(layout.TABLE_RECORD_SIZE)
        self.record = ctypes.addressof(self._record)
        write_words(self.record, [self.elements, limits.minimum, most, budget.address])
        self._budget = budget
        self._length = ctypes.c_uint64.from_address(self.record + layout.TABLE_RECORD_LENGTH)
        self._most = most
        # One that is dropped without having been closed gives its memory back all the same.
        self._give_back = weakref.finalize(
            self, _give_back, self.elements, self._mapped, self._record, budget
        )
        self._give_back.atexit = False

    def seen_by(self, importer: Member) -> Table:
        """The same table as an instance that imports it has it: usable as long as that one is open."""
        seen = copy.copy(self)
        seen.owner = importer
        seen._maker = self
        return seen

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.record == other.record

    def __hash__(self) -> int:
        return hash(self.record)

    def __repr__(self) -> str:
        return f"<farcall {self.type}>"

    @property
    def size(self) -> int:
        """Elements."""
        return self._length.value

    def __len__(self) -> int:
        return self._length.value

    @property
    def type(self) -> TableType:
        """The type with the present size as its minimum, as importing demands (section 4.5.3)."""
        declared = self.declared_type
        return TableType(declared.element, Limits(self.size, declared.limits.maximum), declared.index_type)

    def element(self, index: int) -> int:
        """The reference at `index`, as compiled code holds it; the group's lock is held."""
        return ctypes.c_uint64.from_address(self.elements + 8 * index).value

    def write_elements(self, offset: int, references: bytes | ctypes.Array[ctypes.c_uint64]) -> None:
        """Store references, as compiled code holds them, from `offset` on; they fit, and the group's lock is held."""
        ctypes.memmove(self.elements + 8 * offset, references, memoryview(references).nbytes)

    def held_references(self) -> frozenset[int]:
        """The elements, each once, as compiled code holds them; the group's lock is held."""
        elements = memoryview(_Elements.from_address(self.elements)).cast("B").cast("Q")
        return frozenset(elements[: self.size])

    def roots(self) -> Roots:
        """Where the elements are, if they can be references to objects; the group's lock is held."""
        if self.declared_type.element.top == "func":
            return []
        return [(self.elements, self.size)]

    @contextmanager
    def _storing(self, value: Any) -> Iterator[int]:
        """Hold the group's lock, with the reference for a value that is to be stored."""
        element = self.declared_type.element
        self._references.link((element,), (value,), self.owner)
        with self.owner.turn():
            yield self._references.from_python(element, value, self.owner)

    def get(self, index: int) -> Any:
        """The element at `index`: a Function, a host value, or None.

        Raises:
            RangeError: there is no such element.
            ClosedError: the table's instance is closed.
        """
        index = as_index(index)
        with self.owner.turn():
            self._check(index)
            return self._references.to_python(self.declared_type.element, self.element(index))

    def set(self, index: int, value: Any) -> None:
        """Store an element.

        Raises:
            RangeError: there is no such element.
            ArgumentError: the value is not of the element type.
            ClosedError: the table's instance is closed.
        """
        index = as_index(index)
        with self._storing(value) as reference:
            self._check(index)
            self.write_elements(index, reference.to_bytes(8, "little"))

    def grow(self, count: int, value: Any = None) -> int:
        """Grow by `count` elements that hold `value`.

        Returns:
            The former size.

        Raises:
            ExhaustionError: a limit forbids it; nothing changes.
            ArgumentError: the value is not of the element type.
            ClosedError: the table's instance is closed.
        """
        count = as_index(count)
        with self._storing(value) as reference:
            former = self.size
            if count < 0 or former + count > self._most:
                raise ExhaustionError(
                    f"a table of {former} elements cannot grow by {count}: its limit is {self._most}"
                )
            content = reference.to_bytes(8, "little") * count
            self._budget.take(count * layout.TABLE_ELEMENT_SIZE)
            self.write_elements(former, content)
            self._length.value = former + count
            return former

    def __getitem__(self, index: int) -> Any:
        return self.get(index)

    def __setitem__(self, index: int, value: Any) -> None:
        self.set(index, value)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise RangeError(f"a table of {self.size} elements has none at {index}")

    def release(self) -> None:
        """Give its memory back. Nothing may use the table any more."""
        self._give_back()


def _give_back(elements: int, mapped: int, record: ctypes.Array[ctypes.c_char], budget: MemoryBudget) -> None:
    """Give a table's memory back, once nothing can reach it; the record says how much it had, and has none then."""
    length = ctypes.c_uint64.from_buffer(record, layout.TABLE_RECORD_LENGTH)
    c_library.unmap_memory(elements, mapped)
    budget.give(length.value * layout.TABLE_ELEMENT_SIZE)
    length.value = 0
