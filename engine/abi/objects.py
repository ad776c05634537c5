"""How structures and arrays lie in memory, and the heap that they lie in.

An object begins with a pointer to the descriptor of its type. References of the hierarchies below `any` and `extern`
are one word: null is 0; an i31 is its value shifted left by one, plus 1; a value of the embedder's is its handle
shifted left by two, plus 2; all others point to an object, whose address is a multiple of 16. So conversions between
`any` and `extern` change nothing.

The heap consists of blocks of cells of one size. In the space for all heaps of the process a block is aligned to its
size; it begins with a byte for each 16 bytes of it, which marks the object that begins there as reachable. The block's
own fields lie where the bytes for these bytes would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from farcall.engine.structure.defined_types import ArrayType, DefinedType, FieldType, StorageType
from farcall.engine.structure.types import ReferenceType

OBJECT_TYPE = 0
"""Pointer to the type's descriptor; null in a cell that is free."""
OBJECT_HEADER_SIZE = 8
ARRAY_LENGTH = 8
"""In an array: its length (i32)."""
ARRAY_ELEMENTS = 16
"""In an array: its first element."""

LARGEST_OBJECT = 1 << 30
"""Bytes of an object at most."""

I31_TAG, I31_SHIFT = 1, 1
HOST_TAG, HOST_SHIFT = 2, 2
TAG_MASK = 3
"""The low bits of a reference that tell what it is; 0 in pointers to objects."""

# -- The descriptor of a type, for machine code. -----------------------------------------------------------------------

DESCRIPTOR_ID = 0
"""The canonical type id (i32)."""
DESCRIPTOR_DEPTH = 4
"""How many types are above it (i32)."""
DESCRIPTOR_KIND = 8
"""A `DescriptorKind` (i32)."""
DESCRIPTOR_REFERENCES = 12
"""Of a structure how many fields are references, of an array whether its elements are (i32)."""
DESCRIPTOR_OFFSETS = 16
"""Of a structure: pointer to the offsets of these fields (i32 each)."""
DESCRIPTOR_ELEMENT_SIZE = 24
"""Of an array: bytes of an element (i32)."""
DESCRIPTOR_DISPLAY = 32
"""Pointers to the descriptors of the types above it, the topmost first, and to its own."""


class DescriptorKind(IntEnum):
    """What a type is."""

    FUNCTION = 0
    STRUCT = 1
    ARRAY = 2


# -- Blocks. -----------------------------------------------------------------------------------------------------------

BLOCK_SHIFT = 16
BLOCK_SIZE = 1 << BLOCK_SHIFT
GRANULE_SHIFT = 4
"""Cells are multiples of 16 bytes."""
BLOCK_HEAP = 0
"""Pointer to the record of the heap that the block belongs to."""
BLOCK_NEXT = 8
"""Pointer to the next block of the same class, or null."""
BLOCK_CELL_SIZE = 16
"""Bytes of a cell."""
BLOCK_CELLS = 24
"""How many cells there are."""
BLOCK_LIVE = 32
"""How many of them were found reachable."""
BLOCK_FIRST = BLOCK_SIZE >> GRANULE_SHIFT
"""Offset of the first cell."""

# -- The heap's record. ------------------------------------------------------------------------------------------------


def _sizes() -> tuple[int, ...]:
    """Sizes of cells: few enough that most blocks get filled, close enough that little of a cell is unused."""
    sizes = list(range(16, 257, 16))
    for step in (64, 128, 256, 512, 1024):
        sizes += [sizes[-1] + step * count for count in range(1, 5)]
    return (*sizes[:-1], (BLOCK_SIZE - BLOCK_FIRST) // 8 // 16 * 16)


CELL_SIZES = _sizes()
LARGEST_CELL = CELL_SIZES[-1]
"""What is larger has blocks of its own."""

HEAP_CLASS_SIZE = 32
"""For each size of cells: where the next object goes, where the free cells behind it end, and from where on free cells
are searched: a block and a cell in it."""
HEAP_CURSOR = 0
HEAP_LIMIT = 8
HEAP_BLOCK = 16
HEAP_POSITION = 24
HEAP_IDENTITY = HEAP_CLASS_SIZE * len(CELL_SIZES)
"""The number by which the runtime knows the heap."""
HEAP_RECORD_SIZE = HEAP_IDENTITY + 8


def cell_class(size: int) -> int:
    """The index of the smallest size of cells that hold `size` bytes, which are not more than `LARGEST_CELL`."""
    return next(index for index, cell in enumerate(CELL_SIZES) if cell >= size)


CLASS_OF_GRANULES = tuple(cell_class(16 * granules) for granules in range(LARGEST_CELL // 16 + 1))
"""The same by the size in units of 16 bytes, rounded up."""


@dataclass(frozen=True, slots=True)
class StructLayout:
    """Where the fields of a structure lie. A subtype's first fields lie where its supertype's do.

    Attributes:
        size: bytes of the object.
        offsets: of the fields.
        references: offsets of all references: those of fields that are references, and of the descriptor.
        descriptor: offset of the reference to the structure that describes this one, if its type has such.
    """

    size: int
    offsets: tuple[int, ...]
    references: tuple[int, ...]
    descriptor: int | None = None


def storage_size(storage: StorageType) -> int:
    """Bytes of a field or element, which are its alignment too."""
    return storage.size


_DESCRIPTOR_SIZE = 8


def struct_layout(defined: DefinedType) -> StructLayout:
    """Lay out a structure: its fields in order, each aligned.

    The reference to its descriptor lies behind the fields of the topmost type that has one: the types above have their
    own fields there, and all types below have it there as well.
    """
    fields = defined.struct.fields
    before_descriptor = _fields_before_descriptor(defined)
    descriptor = None
    offsets, references = [], []
    end = OBJECT_HEADER_SIZE
    for position in range(len(fields) + 1):
        if position == before_descriptor:
            descriptor = -(-end // _DESCRIPTOR_SIZE) * _DESCRIPTOR_SIZE
            references.append(descriptor)
            end = descriptor + _DESCRIPTOR_SIZE
        if position == len(fields):
            break
        field = fields[position]
        size = storage_size(field.storage)
        end = -(-end // size) * size
        offsets.append(end)
        if is_reference(field):
            references.append(end)
        end += size
    return StructLayout(end, tuple(offsets), tuple(references), descriptor)


def _fields_before_descriptor(defined: DefinedType) -> int | None:
    topmost = None
    ancestor: DefinedType | None = defined
    while ancestor is not None and ancestor.descriptor is not None:
        topmost, ancestor = ancestor, ancestor.supertype
    return None if topmost is None else len(topmost.struct.fields)


def is_reference(field: FieldType) -> bool:
    """Whether a field or element holds references."""
    return isinstance(field.storage, ReferenceType)


def element_size(array: ArrayType) -> int:
    """Bytes of an array's element."""
    return storage_size(array.element.storage)
