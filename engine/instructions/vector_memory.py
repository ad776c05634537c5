"""Vector loads and stores (sections 2.4.2 and 2.4.7). A template turns what was loaded into a vector."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction, MemoryAccess
from farcall.engine.instructions.vector_template import (
    HALF,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    INTEGER_SHAPES,
    V128_LLVM,
    Shape,
    vector_template,
)
from farcall.engine.structure.types import I32, V128


def _load(name: str, opcode: int, code: str, access: MemoryAccess, result: str) -> Instruction:
    # What was loaded comes as it is: `%A` names it, whatever its type.
    return Instruction(
        f"v128.{name}",
        0xFD,
        opcode,
        (Immediate.MEMORY_ACCESS,),
        (I32,),
        (V128,),
        feature=Feature.SIMD,
        template=vector_template(code, "loaded", result=result),
        rule="vector_load",
        access=access,
    )


def _extending_loads() -> Iterator[Instruction]:
    opcode = 1
    for shape in (I16X8, I32X4, I64X2):
        half = HALF[shape]
        narrow = f"<{shape.lanes} x {half.lane}>"
        for sign, extension in (("s", "sext"), ("u", "zext")):
            yield _load(
                f"load{half.bits}x{shape.lanes}_{sign}",
                opcode,
                f"%R = {extension} {narrow} %A to {shape.llvm}",
                MemoryAccess(narrow, 8),
                shape.llvm,
            )
            opcode += 1


def _splatting_loads() -> Iterator[Instruction]:
    for opcode, shape in enumerate(INTEGER_SHAPES, start=7):
        llvm = shape.llvm
        code = (
            f"%I = insertelement {llvm} poison, {shape.lane} %A, i64 0\n"
            f"%R = shufflevector {llvm} %I, {llvm} poison, <{shape.lanes} x i32> zeroinitializer"
        )
        yield _load(f"load{shape.bits}_splat", opcode, code, _lane_access(shape), llvm)


def _lane_access(shape: Shape) -> MemoryAccess:
    return MemoryAccess(shape.lane, shape.bits // 8)


def _zeroing_loads() -> Iterator[Instruction]:
    for opcode, shape in ((92, I32X4), (93, I64X2)):
        code = f"%R = insertelement {shape.llvm} zeroinitializer, {shape.lane} %A, i64 0"
        yield _load(f"load{shape.bits}_zero", opcode, code, _lane_access(shape), shape.llvm)


def _lane_loads_and_stores() -> Iterator[Instruction]:
    for opcode, shape in enumerate((I8X16, I16X8, I32X4, I64X2), start=84):
        insert = f"%R = insertelement {shape.llvm} %A, {shape.lane} {{b}}, i64 {{c}}"
        extract = f"%R = extractelement {shape.llvm} %A, i64 {{b}}"
        yield Instruction(
            f"v128.load{shape.bits}_lane",
            0xFD,
            opcode,
            (Immediate.MEMORY_ACCESS, Immediate.LANE),
            (I32, V128),
            (V128,),
            feature=Feature.SIMD,
            template=vector_template(insert, shape.llvm, result=shape.llvm),
            rule="load_lane",
            access=_lane_access(shape),
            lanes=shape.lanes,
        )
        yield Instruction(
            f"v128.store{shape.bits}_lane",
            0xFD,
            opcode + 4,
            (Immediate.MEMORY_ACCESS, Immediate.LANE),
            (I32, V128),
            (),
            feature=Feature.SIMD,
            template=vector_template(extract, shape.llvm, result=shape.lane),
            rule="store_lane",
            access=_lane_access(shape),
            lanes=shape.lanes,
        )


_WHOLE = MemoryAccess(V128_LLVM, 16)

ROWS: tuple[Instruction, ...] = (
    Instruction(
        "v128.load",
        0xFD,
        0,
        (Immediate.MEMORY_ACCESS,),
        (I32,),
        (V128,),
        feature=Feature.SIMD,
        rule="load",
        access=_WHOLE,
    ),
    *_extending_loads(),
    *_splatting_loads(),
    Instruction(
        "v128.store",
        0xFD,
        11,
        (Immediate.MEMORY_ACCESS,),
        (I32, V128),
        feature=Feature.SIMD,
        rule="store",
        access=_WHOLE,
    ),
    *_zeroing_loads(),
    *_lane_loads_and_stores(),
)
