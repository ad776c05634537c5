"""Memory instructions (section 2.4.7). Index types are the rules' business."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction, MemoryAccess
from farcall.engine.structure.types import F32, F64, I32, I64, ValueType

_LOADS: tuple[tuple[int, str, ValueType, MemoryAccess], ...] = (
    (0x28, "i32.load", I32, MemoryAccess("i32", 4)),
    (0x29, "i64.load", I64, MemoryAccess("i64", 8)),
    (0x2A, "f32.load", F32, MemoryAccess("float", 4)),
    (0x2B, "f64.load", F64, MemoryAccess("double", 8)),
    (0x2C, "i32.load8_s", I32, MemoryAccess("i8", 1, "sext")),
    (0x2D, "i32.load8_u", I32, MemoryAccess("i8", 1, "zext")),
    (0x2E, "i32.load16_s", I32, MemoryAccess("i16", 2, "sext")),
    (0x2F, "i32.load16_u", I32, MemoryAccess("i16", 2, "zext")),
    (0x30, "i64.load8_s", I64, MemoryAccess("i8", 1, "sext")),
    (0x31, "i64.load8_u", I64, MemoryAccess("i8", 1, "zext")),
    (0x32, "i64.load16_s", I64, MemoryAccess("i16", 2, "sext")),
    (0x33, "i64.load16_u", I64, MemoryAccess("i16", 2, "zext")),
    (0x34, "i64.load32_s", I64, MemoryAccess("i32", 4, "sext")),
    (0x35, "i64.load32_u", I64, MemoryAccess("i32", 4, "zext")),
)

_STORES: tuple[tuple[int, str, ValueType, MemoryAccess], ...] = (
    (0x36, "i32.store", I32, MemoryAccess("i32", 4)),
    (0x37, "i64.store", I64, MemoryAccess("i64", 8)),
    (0x38, "f32.store", F32, MemoryAccess("float", 4)),
    (0x39, "f64.store", F64, MemoryAccess("double", 8)),
    (0x3A, "i32.store8", I32, MemoryAccess("i8", 1, "trunc")),
    (0x3B, "i32.store16", I32, MemoryAccess("i16", 2, "trunc")),
    (0x3C, "i64.store8", I64, MemoryAccess("i8", 1, "trunc")),
    (0x3D, "i64.store16", I64, MemoryAccess("i16", 2, "trunc")),
    (0x3E, "i64.store32", I64, MemoryAccess("i32", 4, "trunc")),
)


def _accesses() -> Iterator[Instruction]:
    for opcode, name, value, access in _LOADS:
        yield Instruction(
            name, None, opcode, (Immediate.MEMORY_ACCESS,), (I32,), (value,), rule="load", access=access
        )
    for opcode, name, value, access in _STORES:
        yield Instruction(
            name, None, opcode, (Immediate.MEMORY_ACCESS,), (I32, value), (), rule="store", access=access
        )


ROWS: tuple[Instruction, ...] = (
    *_accesses(),
    Instruction("memory.size", None, 0x3F, (Immediate.MEMORY,), rule="memory_size"),
    Instruction("memory.grow", None, 0x40, (Immediate.MEMORY,), rule="memory_grow"),
    Instruction(
        "memory.init",
        0xFC,
        8,
        (Immediate.DATA_SEGMENT, Immediate.MEMORY),
        feature=Feature.BULK_MEMORY,
        rule="memory_init",
    ),
    Instruction(
        "data.drop", 0xFC, 9, (Immediate.DATA_SEGMENT,), feature=Feature.BULK_MEMORY, rule="data_drop"
    ),
    Instruction(
        "memory.copy",
        0xFC,
        10,
        (Immediate.MEMORY, Immediate.MEMORY),
        feature=Feature.BULK_MEMORY,
        rule="memory_copy",
    ),
    Instruction(
        "memory.fill",
        0xFC,
        11,
        (Immediate.MEMORY,),
        feature=Feature.BULK_MEMORY,
        rule="memory_fill",
    ),
)
