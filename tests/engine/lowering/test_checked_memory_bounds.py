"""No access reaches beyond the last byte of memories without guard pages: 64-bit ones, and those with pages of a byte.

The oracle is arithmetic, as in `test_guest_memory_bounds`: in bounds if index + offset + width <= size, without
wrapping around. Behind each memory of a byte's page size lies accessible memory of the server's: the rest of the
machine's page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from farcall.engine import Instance, Trap, TrapKind
from farcall.engine.instructions.table import INSTRUCTIONS

LOADS = [row for row in INSTRUCTIONS if row.rule == "load"]
STORES = [row for row in INSTRUCTIONS if row.rule == "store"]
LANE_LOADS = [row for row in INSTRUCTIONS if row.rule in ("vector_load", "load_lane")]
LANE_STORES = [row for row in INSTRUCTIONS if row.rule == "store_lane"]
ONES = {
    "i32": "-1",
    "i64": "-1",
    "f32": "-nan:0x7fffff",
    "f64": "-nan:0xfffffffffffff",
    "v128": "i64x2 -1 -1",
}


@dataclass(frozen=True)
class Kind:
    """A kind of memory, in the text format, and a size for it."""

    index: str
    page: int
    size: int

    @property
    def bits(self) -> int:
        return int(self.index[1:])

    @property
    def text(self) -> str:
        pages = self.size // self.page
        page_size = "" if self.page == 65536 else f"(pagesize {self.page})"
        return (
            f'(memory $before 1) (memory $m (export "m") {self.index} {pages} {page_size}) (memory $behind 1)'
        )

    def around_borders(self, width: int) -> list[int]:
        borders = (0, self.size, 4096, 1 << 28, 1 << 31, 1 << 32, 1 << 36, 1 << 63, 1 << self.bits)
        values = {
            border + distance
            for border in borders
            for distance in (-width - 1, -width, 1 - width, -1, 0, 1, width)
        }
        return sorted(value for value in values if 0 <= value < 1 << self.bits)

    def signed(self, value: int) -> int:
        return value - (1 << self.bits) if value >> self.bits - 1 else value


KINDS = [
    Kind("i64", 65536, 131072),
    Kind("i64", 1, 4099),
    Kind("i32", 1, 4093),
    Kind("i32", 1, 3),
    Kind("i64", 1, 0),
]


def all_rows(rows):
    return pytest.mark.parametrize(
        ("kind", "row"),
        # Every kind with every width, and every row with one kind.
        [
            (kind, row)
            for kind in KINDS
            for row in rows
            if kind is KINDS[0] or row.name[:3] == "i64" or "64" in row.name
        ],
        ids=lambda value: (
            value.name if hasattr(value, "name") else f"{value.index}-{value.page}-{value.size}"
        ),
    )


def expect(kind: Kind, width: int, offset: int, index: int, access: Callable[[int], object]) -> bool:
    """Make the access, and check that it traps exactly where it must; whether it is in bounds."""
    if index + offset + width <= kind.size:
        access(kind.signed(index))
        return True
    with pytest.raises(Trap) as trap:
        access(kind.signed(index))
    assert trap.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS, (index, offset)
    return False


@all_rows(LOADS)
def test_loads(instantiate, kind, row):
    width = row.access.size
    offsets = kind.around_borders(width)
    functions = " ".join(
        f'(func (export "{offset}") (param {kind.index}) (result {row.results[0].name})'
        f" ({row.name} $m offset={offset} (local.get 0)))"
        for offset in offsets
    )
    instance = instantiate(f"(module {kind.text} {functions})")
    instance.memory("m").write(0, b"\xff" * kind.size)
    in_bounds = [
        expect(kind, width, offset, index, instance.function(str(offset)))
        for offset in offsets
        for index in kind.around_borders(width)
    ]
    assert any(in_bounds) == (kind.size >= width)
    assert not all(in_bounds)


@all_rows(STORES)
def test_stores_write_all_or_nothing(instantiate, kind, row):
    width = row.access.size
    value = row.parameters[1].name
    offsets = kind.around_borders(width)
    functions = " ".join(
        f'(func (export "{offset}") (param {kind.index})'
        f" ({row.name} $m offset={offset} (local.get 0) ({value}.const {ONES[value]})))"
        for offset in offsets
    )
    instance = instantiate(f"(module {kind.text} {functions})")
    memory = instance.memory("m")
    for offset in offsets:
        for index in kind.around_borders(width):
            if expect(kind, width, offset, index, instance.function(str(offset))):
                assert memory.read(index + offset, width) == b"\xff" * width
                memory.write(index + offset, bytes(width))
        assert memory.read(0, kind.size) == bytes(kind.size)


@all_rows(LANE_LOADS + LANE_STORES)
def test_vector_accesses(instantiate, kind, row):
    """What is not a plain load or store: only where they trap, and that what traps has written nothing."""
    width = row.access.size
    offsets = kind.around_borders(width)
    lane = "0" if row.rule.endswith("lane") else ""
    vector = f"(v128.const {ONES['v128']})" if lane else ""
    access = "({name} $m offset={offset} {lane} (local.get 0) {vector})"
    access = f"(drop {access})" if row.results else access
    functions = " ".join(
        f'(func (export "{offset}") (param {kind.index}) '
        + access.format(name=row.name, offset=offset, lane=lane, vector=vector)
        + ")"
        for offset in offsets
    )
    instance = instantiate(f"(module {kind.text} {functions})")
    memory = instance.memory("m")
    for offset in offsets:
        for index in kind.around_borders(width):
            if expect(kind, width, offset, index, instance.function(str(offset))) and not row.results:
                assert memory.read(index + offset, width) == b"\xff" * width
                memory.write(index + offset, bytes(width))
        assert memory.read(0, kind.size) == bytes(kind.size)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.index}-{kind.page}-{kind.size}")
def test_constant_indices(instantiate, kind):
    """The index is known when the code is made: LLVM computes the check."""
    indices = kind.around_borders(8)
    functions = " ".join(
        f'(func (export "{index}") (param i32) (result i64) (i64.load $m ({kind.index}.const {kind.signed(index)})))'
        for index in indices
    )
    instance = instantiate(f"(module {kind.text} {functions})")
    for index in indices:
        load = instance.function(str(index))
        expect(kind, 8, 0, index, lambda _, load=load: load(0))


GROWING = """(module (memory $m (export "m") {index} {pages} {page})
  (func (export "load") (param {index}) (result i32) (i32.load8_u $m (local.get 0)))
  (func (export "grow") (param {index}) (result {index}) (memory.grow $m (local.get 0)))
  (func (export "grow and load") (param {index}) (result i32)
    (drop (i32.load8_u $m (i32.wrap_i64 (i64.const 0))))
    (drop (memory.grow $m ({index}.const 1)))
    (i32.load8_u $m (local.get 0)))
  (func (export "size") (result {index}) (memory.size $m)))"""


@pytest.mark.parametrize(
    ("index", "page", "pages", "step"), [("i64", 65536, 1, 1), ("i64", 1, 5, 4093), ("i32", 1, 4096, 1)]
)
def test_the_bound_moves_with_growth(instantiate, index, page, pages, step):
    text = GROWING.replace("(i32.wrap_i64 (i64.const 0))", f"({index}.const 0)")
    page_size = "" if page == 65536 else f"(pagesize {page})"
    instance: Instance = instantiate(text.format(index=index, pages=pages, page=page_size))
    size = pages * page
    for grow in (instance.exports.grow, instance.memory("m").grow) * 2:
        with pytest.raises(Trap):
            instance.exports.load(size)
        assert grow(step) == size // page
        size += step * page
        assert instance.exports.size() == size // page == instance.memory("m").pages
        assert instance.exports.load(size - 1) == 0
        instance.memory("m").write(size - 1, b"\1")
        assert instance.exports.load(size - 1) == 1
        with pytest.raises(Trap):
            instance.exports.load(size)
    # Within one function: the size is read anew after it has grown.
    assert instance.exports["grow and load"](size + page - 1) == 0
    with pytest.raises(Trap):
        instance.exports["grow and load"](size + 2 * page)


def test_bulk_operations_between_memories_of_all_kinds(instantiate):
    """The length is of the shorter index type; nothing is written where one of the ranges leaves its memory."""
    memories = [("i32", ""), ("i64", ""), ("i32", "(pagesize 1)"), ("i64", "(pagesize 1)")]
    declarations = " ".join(
        f'(memory (export "{number}") {index} {100 if page else 1} {page})'
        for number, (index, page) in enumerate(memories)
    )
    functions = ""
    for to, (to_index, _) in enumerate(memories):
        functions += (
            f'(func (export "fill {to}") (param {to_index} i32 {to_index})'
            f" (memory.fill {to} (local.get 0) (local.get 1) (local.get 2)))"
            f'(func (export "init {to}") (param {to_index} i32 i32)'
            f" (memory.init {to} $d (local.get 0) (local.get 1) (local.get 2)))"
        )
        for source, (source_index, _) in enumerate(memories):
            length = "i64" if to_index == source_index == "i64" else "i32"
            functions += (
                f'(func (export "copy {to} {source}") (param {to_index} {source_index} {length})'
                f" (memory.copy {to} {source} (local.get 0) (local.get 1) (local.get 2)))"
            )
    instance = instantiate(f'(module {declarations} (data $d "0123456789") {functions})')
    sizes = [instance.memory(str(number)).size for number in range(4)]
    assert sizes == [65536, 65536, 100, 100]

    def refused(name: str, *arguments: int) -> None:
        before = [instance.memory(str(number)).read(0, size) for number, size in enumerate(sizes)]
        with pytest.raises(Trap) as trap:
            instance.function(name)(*arguments)
        assert trap.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
        assert before == [instance.memory(str(number)).read(0, size) for number, size in enumerate(sizes)]

    for to, size in enumerate(sizes):
        memory = instance.memory(str(to))
        instance.function(f"init {to}")(size - 10, 0, 10)
        assert memory.read(size - 10, 10) == b"0123456789"
        refused(f"init {to}", size - 9, 0, 10)
        refused(f"init {to}", -1, 0, 1)
        instance.function(f"fill {to}")(size - 3, 0x41, 3)
        assert memory.read(size - 3, 3) == b"AAA"
        refused(f"fill {to}", size - 3, 0x42, 4)
        refused(f"fill {to}", 1, 0x42, -1)
        for source, source_size in enumerate(sizes):
            instance.memory(str(source)).write(0, b"copied")
            copy = instance.function(f"copy {to} {source}")
            copy(size - 6, 0, 6)
            assert memory.read(size - 6, 6) == b"copied"
            copy(size, source_size, 0)
            refused(copy.name, size - 5, 0, 6)
            refused(copy.name, 0, source_size - 5, 6)
            refused(copy.name, 0, 0, -1)
            refused(copy.name, -1, 0, 2)
            refused(copy.name, 0, -1, 2)
