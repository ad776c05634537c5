"""Atomic accesses at all the borders: alignment first, then bounds; and what a narrow access compares and returns.

The oracle is arithmetic: an address is aligned if index + offset is a multiple of the width (threads proposal), and
in bounds if index + offset + width <= size, computed without wrapping around.
"""

from __future__ import annotations

import pytest

from farcall.engine import Trap, TrapKind
from farcall.engine.abi.layout import MEMORY_GUARD_SIZE
from farcall.engine.instructions.table import BY_NAME, INSTRUCTIONS

PAGE = 65536
SIZE = 2 * PAGE
NAMES = (
    "i32.atomic.load",
    "i64.atomic.load8_u",
    "i64.atomic.store",
    "i32.atomic.store16",
    "i64.atomic.rmw32.add_u",
    "i32.atomic.rmw8.xchg_u",
    "i64.atomic.rmw.cmpxchg",
    "i32.atomic.rmw16.cmpxchg_u",
    "memory.atomic.notify",
    "memory.atomic.wait32",
    "memory.atomic.wait64",
)
OFFSETS = (0, 1, 2, 4, 5, 8, PAGE, SIZE - 8, SIZE, MEMORY_GUARD_SIZE - 8, MEMORY_GUARD_SIZE, (1 << 32) - 8)
BORDERS = (0, PAGE, SIZE, MEMORY_GUARD_SIZE, 1 << 31, 1 << 32)
INDICES = sorted(
    {
        index
        for border in BORDERS
        for distance in (-16, -9, -8, -7, -4, -3, -2, -1, 0, 1, 2, 4, 8)
        for index in [border + distance]
        if 0 <= index < 1 << 32
    }
)


def as_signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


MEMORIES = {
    "plain": "1 2",
    "shared": "1 2 shared",
    "of 64 bits, shared": "i64 1 2 shared",
    "of small pages": f"{PAGE} {SIZE} (pagesize 1)",
}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", NAMES)
def test_alignment_and_bounds(instantiate, name, memory):
    shared, index_type = "shared" in memory, "i64" if "64" in memory else "i32"
    row = BY_NAME[name]
    width = row.access.size
    constants = " ".join(f"({value.name}.const 0)" for value in row.parameters[1:])
    results = " ".join(f"(result {value.name})" for value in row.results)
    functions = " ".join(
        f'(func (export "{offset}") (param {index_type}) {results} ({name} offset={offset} (local.get 0) {constants}))'
        for offset in OFFSETS
    )
    instance = instantiate(f'(module (memory (export "m") {MEMORIES[memory]}) {functions})')
    instance.memory("m").grow(PAGE if "small" in memory else 1)
    operand = as_signed if index_type == "i32" else int
    for offset in OFFSETS:
        access = instance.function(str(offset))
        for index in INDICES:
            expected = None
            if (index + offset) % width:
                expected = TrapKind.UNALIGNED_ATOMIC
            elif index + offset + width > SIZE:
                expected = TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
            elif "wait" in name and not shared:
                expected = TrapKind.EXPECTED_SHARED_MEMORY
            if expected is None:
                assert access(operand(index)) == (2 if "wait" in name else 0 if row.results else None)
                continue
            with pytest.raises(Trap) as raised:
                access(operand(index))
            assert raised.value.kind is expected, (offset, index)
    assert instance.memory("m").read(0, SIZE) == bytes(SIZE)


def test_the_rows_are_all_there():
    rows = [row for row in INSTRUCTIONS if row.prefix == 0xFE]
    assert len(rows) == 67
    assert sum(row.rule == "atomic_rmw" for row in rows) == 6 * 7


@pytest.mark.parametrize(("value", "width"), [("i32", 8), ("i32", 16), ("i64", 8), ("i64", 16), ("i64", 32)])
def test_a_narrow_access_looks_at_the_low_bits_and_extends_without_sign(instantiate, value, width):
    mask = (1 << width) - 1
    name = f"{value}.atomic.rmw{width}"
    instance = instantiate(
        f"""(module (memory (export "m") 1)
          (func (export "cmpxchg") (param {value} {value}) (result {value})
            ({name}.cmpxchg_u (i32.const 8) (local.get 0) (local.get 1)))
          (func (export "load") (result {value}) ({value}.atomic.load{width}_u (i32.const 8)))
          (func (export "store") (param {value}) ({value}.atomic.store{width} (i32.const 8) (local.get 0))))"""
    )
    memory = instance.memory("m")
    memory.write(0, b"\xee" * 24)
    instance.exports.store(-2)
    assert instance.exports.load() == mask - 1
    assert instance.exports.cmpxchg(1 << width | (mask - 1), 5 | 1 << width) == mask - 1
    assert instance.exports.load() == 5
    assert instance.exports.cmpxchg(6, 7) == 5
    assert instance.exports.load() == 5
    assert memory.read(0, 24) == b"\xee" * 8 + b"\5".ljust(width // 8, b"\0") + b"\xee" * (16 - width // 8)
