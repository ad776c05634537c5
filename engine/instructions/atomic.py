"""Atomic memory instructions (threads proposal): accesses, the fence, wait and notify."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction, MemoryAccess
from farcall.engine.structure.types import I32, I64, ValueType

PREFIX = 0xFE

_WIDTHS: tuple[tuple[ValueType, str, str, int], ...] = (
    (I32, "", "i32", 4),
    (I64, "", "i64", 8),
    (I32, "8", "i8", 1),
    (I32, "16", "i16", 2),
    (I64, "8", "i8", 1),
    (I64, "16", "i16", 2),
    (I64, "32", "i32", 4),
)
"""The seven forms of every access in the order of their opcodes: value type, width in the name, LLVM's type, bytes."""

_FIRST_LOAD, _FIRST_STORE, _FIRST_CMPXCHG = 0x10, 0x17, 0x48

_FIRST_RMW: dict[str, int] = {"add": 0x1E, "sub": 0x25, "and": 0x2C, "or": 0x33, "xor": 0x3A, "xchg": 0x41}
"""Opcode of the first form, by LLVM's and the text format's name of the operation."""


def _row(
    name: str,
    opcode: int,
    parameters: tuple[ValueType, ...],
    results: tuple[ValueType, ...],
    rule: str,
    access: MemoryAccess,
) -> Instruction:
    return Instruction(
        name,
        PREFIX,
        opcode,
        (Immediate.MEMORY_ACCESS,),
        parameters,
        results,
        feature=Feature.THREADS,
        rule=rule,
        access=access,
    )


def _accesses() -> Iterator[Instruction]:
    for position, (value, width, llvm, size) in enumerate(_WIDTHS):
        sign = "_u" if width else ""
        extension = "zext" if width else None
        access = MemoryAccess(llvm, size, extension)
        yield _row(
            f"{value}.atomic.load{width}{sign}",
            _FIRST_LOAD + position,
            (I32,),
            (value,),
            "atomic_load",
            access,
        )
        yield _row(
            f"{value}.atomic.store{width}",
            _FIRST_STORE + position,
            (I32, value),
            (),
            "atomic_store",
            access,
        )
        for operation, first in _FIRST_RMW.items():
            yield _row(
                f"{value}.atomic.rmw{width}.{operation}{sign}",
                first + position,
                (I32, value),
                (value,),
                "atomic_rmw",
                MemoryAccess(llvm, size, extension, operation),
            )
        yield _row(
            f"{value}.atomic.rmw{width}.cmpxchg{sign}",
            _FIRST_CMPXCHG + position,
            (I32, value, value),
            (value,),
            "atomic_cmpxchg",
            access,
        )


ALIGNED_RULES = frozenset(
    {"atomic_load", "atomic_store", "atomic_rmw", "atomic_cmpxchg", "atomic_wait", "atomic_notify"}
)
"""The rules of the accesses whose alignment is no hint: it must be natural, and an address a multiple of it."""

ROWS: tuple[Instruction, ...] = (
    _row("memory.atomic.notify", 0x00, (I32, I32), (I32,), "atomic_notify", MemoryAccess("i32", 4)),
    _row("memory.atomic.wait32", 0x01, (I32, I32, I64), (I32,), "atomic_wait", MemoryAccess("i32", 4)),
    _row("memory.atomic.wait64", 0x02, (I32, I64, I64), (I32,), "atomic_wait", MemoryAccess("i64", 8)),
    Instruction(
        "atomic.fence", PREFIX, 0x03, (Immediate.ZERO_BYTE,), feature=Feature.THREADS, rule="atomic_fence"
    ),
    *_accesses(),
)
