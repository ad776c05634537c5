"""No access reaches beyond a memory's last byte: index, offset and width at all the borders.

The oracle is arithmetic: an access is in bounds if index + offset + width <= size (section 4.4.7), computed
without wrapping around.
"""

from __future__ import annotations

import pytest

from farcall.engine import Trap, TrapKind
from farcall.engine.abi.layout import MEMORY_GUARD_SIZE
from farcall.engine.instructions.table import INSTRUCTIONS

PAGE = 65536
PAGES = 2
SIZE = PAGES * PAGE
LOADS = [row for row in INSTRUCTIONS if row.access and row.results and row.prefix != 0xFE]
STORES = [row for row in INSTRUCTIONS if row.access and not row.results and row.prefix != 0xFE]
BORDERS = (0, PAGE, SIZE, MEMORY_GUARD_SIZE, 1 << 31, 1 << 32)


def around_borders(width: int) -> list[int]:
    values = {
        border + distance for border in BORDERS for distance in (-width - 1, -width, 1 - width, -1, 0, 1)
    }
    return sorted(value for value in values if 0 <= value < 1 << 32)


def lane(row) -> str:
    """The last lane, of instructions that access one."""
    return str(row.lanes - 1) if row.lanes else ""


def as_signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


@pytest.fixture
def grown(instantiate):
    """Instantiate functions beside a memory that has grown to its size."""

    def make(functions: str):
        instance = instantiate(f'(module (memory (export "memory") 1 {PAGES}) {functions})')
        instance.memory("memory").grow(PAGES - 1)
        return instance

    return make


@pytest.mark.parametrize("row", LOADS, ids=lambda row: row.name)
def test_loads(grown, row):
    width = row.access.size
    operand = "(v128.const i64x2 0 0)" if row.lanes else ""
    instance = grown(
        " ".join(
            f'(func (export "{offset}") (param i32) (result {row.results[0].name})'
            f" ({row.name} offset={offset} {lane(row)} (local.get 0) {operand}))"
            for offset in around_borders(width)
        )
    )
    zero = bytes(16) if row.results[0].name == "v128" else 0
    for offset in around_borders(width):
        load = instance.function(str(offset))
        for index in around_borders(width):
            if index + offset + width <= SIZE:
                assert load(as_signed(index)) == zero
            else:
                with pytest.raises(Trap) as trap:
                    load(as_signed(index))
                assert trap.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS


@pytest.mark.parametrize("row", STORES, ids=lambda row: row.name)
def test_stores_write_all_or_nothing(grown, row):
    width = row.access.size
    ones = {"i32": "-1", "i64": "-1", "f32": "-nan:0x7fffff", "f64": "-nan:0xfffffffffffff"}
    ones["v128"] = "i64x2 -1 -1"
    value = row.parameters[1].name
    instance = grown(
        " ".join(
            f'(func (export "{offset}") (param i32)'
            f" ({row.name} offset={offset} {lane(row)} (local.get 0) ({value}.const {ones[value]})))"
            for offset in around_borders(width)
        )
    )
    memory = instance.memory("memory")
    untouched = bytes(SIZE)
    for offset in around_borders(width):
        store = instance.function(str(offset))
        for index in around_borders(width):
            if index + offset + width <= SIZE:
                store(as_signed(index))
                assert memory.read(index + offset, width) == b"\xff" * width
                memory.write(index + offset, bytes(width))
            else:
                with pytest.raises(Trap) as trap:
                    store(as_signed(index))
                assert trap.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
        assert memory.read(0, SIZE) == untouched


def test_a_checked_access_sees_growth(instantiate):
    """An offset beyond the guard is compared with the size of now."""
    offset = MEMORY_GUARD_SIZE
    instance = instantiate(
        f"""(module (memory {offset // PAGE})
          (func (export "grow_and_load") (param i32) (result i32)
            (drop (memory.grow (i32.const 1)))
            (i32.load offset={offset} (local.get 0))))"""
    )
    assert instance.exports.grow_and_load(PAGE - 4) == 0
    with pytest.raises(Trap):
        instance.exports.grow_and_load(2 * PAGE - 3)


def test_constant_indices_are_unsigned(instantiate):
    instance = instantiate(
        """(module (memory 1)
          (func (export "last") (result i32) (i32.load8_u (i32.const -1)))
          (func (export "wraps") (result i32) (i32.load8_u offset=1 (i32.const -1))))"""
    )
    for name in ("last", "wraps"):
        with pytest.raises(Trap) as trap:
            instance.function(name)()
        assert trap.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
