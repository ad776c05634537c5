"""Vector instructions that know no arithmetic: constants, lanes, shuffles, bits (section 2.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.instructions.vector_template import (
    F32X4,
    F64X2,
    FLOAT_SHAPES,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    INTEGER_SHAPES,
    V128_LLVM,
    Shape,
    splat,
    vector_row,
    vector_template,
)
from farcall.engine.structure.types import I32, V128


def _splat(shape: Shape) -> str:
    llvm, zero = shape.llvm, f"<{shape.lanes} x i32> zeroinitializer"
    lane, before = "%A", ""
    if shape.bits < 32:
        lane, before = "%L", f"%L = trunc i32 %A to {shape.lane}\n"
    code = (
        f"{before}%I = insertelement {llvm} poison, {shape.lane} {lane}, i64 0\n"
        f"%R = shufflevector {llvm} %I, {llvm} poison, {zero}"
    )
    return vector_template(code, shape.value.llvm, result=llvm)


def _splats() -> Iterator[Instruction]:
    for opcode, shape in enumerate((*INTEGER_SHAPES, *FLOAT_SHAPES), start=15):
        yield vector_row(f"{shape.name}.splat", opcode, _splat(shape), (shape.value,))


def _extract_lane(name: str, opcode: int, shape: Shape, extension: str | None = None) -> Instruction:
    code = f"%R = extractelement {shape.llvm} %A, i64 {{b}}"
    if extension is not None:
        code = f"%L = extractelement {shape.llvm} %A, i64 {{b}}\n%R = {extension} {shape.lane} %L to i32"
    return Instruction(
        f"{shape.name}.{name}",
        0xFD,
        opcode,
        (Immediate.LANE,),
        (V128,),
        (shape.value,),
        feature=Feature.SIMD,
        template=vector_template(code, shape.llvm, result=shape.value.llvm),
        rule="extract_lane",
        lanes=shape.lanes,
    )


def _replace_lane(opcode: int, shape: Shape) -> Instruction:
    lane, before = "%B", ""
    if shape.bits < 32:
        lane, before = "%L", f"%L = trunc i32 %B to {shape.lane}\n"
    code = f"{before}%R = insertelement {shape.llvm} %A, {shape.lane} {lane}, i64 {{c}}"
    return Instruction(
        f"{shape.name}.replace_lane",
        0xFD,
        opcode,
        (Immediate.LANE,),
        (V128, shape.value),
        (V128,),
        feature=Feature.SIMD,
        template=vector_template(code, shape.llvm, shape.value.llvm, result=shape.llvm),
        rule="replace_lane",
        lanes=shape.lanes,
    )


def _lane_accesses() -> Iterator[Instruction]:
    yield _extract_lane("extract_lane_s", 21, I8X16, "sext")
    yield _extract_lane("extract_lane_u", 22, I8X16, "zext")
    yield _replace_lane(23, I8X16)
    yield _extract_lane("extract_lane_s", 24, I16X8, "sext")
    yield _extract_lane("extract_lane_u", 25, I16X8, "zext")
    yield _replace_lane(26, I16X8)
    for opcode, shape in zip((27, 29, 31, 33), (I32X4, I64X2, F32X4, F64X2), strict=True):
        yield _extract_lane("extract_lane", opcode, shape)
        yield _replace_lane(opcode + 1, shape)


def _byte_by_byte() -> str:
    """The swizzle of machines without an instruction for it."""
    lines = [
        f"%inside = icmp ult <16 x i8> %B, {splat('i8', 16, 16)}",
        "%V0 = bitcast <2 x i64> zeroinitializer to <16 x i8>",
    ]
    for lane in range(16):
        lines += [
            f"%i{lane} = extractelement <16 x i8> %B, i64 {lane}",
            f"%m{lane} = and i8 %i{lane}, 15",
            f"%e{lane} = extractelement <16 x i8> %A, i8 %m{lane}",
            f"%V{lane + 1} = insertelement <16 x i8> %V{lane}, i8 %e{lane}, i64 {lane}",
        ]
    return "\n".join([*lines, "%R = select <16 x i1> %inside, <16 x i8> %V16, <16 x i8> zeroinitializer"])


_PORTABLE_SWIZZLE = vector_template(_byte_by_byte(), I8X16.llvm, I8X16.llvm, result=I8X16.llvm)

_TABLE_LOOKUP = vector_template(
    "%R = call <16 x i8> @llvm.aarch64.neon.tbl1.v16i8(<16 x i8> %A, <16 x i8> %B)",
    I8X16.llvm,
    I8X16.llvm,
    result=I8X16.llvm,
)

_BYTE_SHUFFLE = vector_template(
    # The shuffle gives 0 where an index' top bit is set, and takes its four lowest bits otherwise.
    f"%I = call <16 x i8> @llvm.uadd.sat.v16i8(<16 x i8> %B, <16 x i8> {splat('i8', 16, 0x70)})\n"
    "%R = call <16 x i8> @llvm.x86.ssse3.pshuf.b.128(<16 x i8> %A, <16 x i8> %I)",
    I8X16.llvm,
    I8X16.llvm,
    result=I8X16.llvm,
)

_RELAXED_BYTE_SHUFFLE = vector_template(
    "%R = call <16 x i8> @llvm.x86.ssse3.pshuf.b.128(<16 x i8> %A, <16 x i8> %B)",
    I8X16.llvm,
    I8X16.llvm,
    result=I8X16.llvm,
)


def _swizzles() -> Iterator[Instruction]:
    both = (V128, V128)
    native = (("aarch64", _TABLE_LOOKUP), ("ssse3", _BYTE_SHUFFLE))
    yield vector_row("i8x16.swizzle", 14, _PORTABLE_SWIZZLE, both, native=native)
    native = (("aarch64", _TABLE_LOOKUP), ("ssse3", _RELAXED_BYTE_SHUFFLE))
    yield vector_row(
        "i8x16.relaxed_swizzle", 256, _PORTABLE_SWIZZLE, both, native=native, feature=Feature.RELAXED_SIMD
    )


_SHUFFLE = Instruction(
    "i8x16.shuffle",
    0xFD,
    13,
    (Immediate.LANES,),
    (V128, V128),
    (V128,),
    feature=Feature.SIMD,
    template=vector_template(
        "%R = shufflevector <16 x i8> %A, <16 x i8> %B, <16 x i32> <{c}>",
        I8X16.llvm,
        I8X16.llvm,
        result=I8X16.llvm,
    ),
    rule="shuffle",
    lanes=32,
)

_ALL = splat("i64", 2, -1)


def _bitwise() -> Iterator[Instruction]:
    def row(name: str, opcode: int, operands: int, code: str) -> Instruction:
        template = vector_template(code, *[V128_LLVM] * operands)
        return vector_row(f"v128.{name}", opcode, template, (V128,) * operands)

    yield row("not", 77, 1, f"%R = xor <2 x i64> %A, {_ALL}")
    yield row("and", 78, 2, "%R = and <2 x i64> %A, %B")
    yield row("andnot", 79, 2, f"%N = xor <2 x i64> %B, {_ALL}\n%R = and <2 x i64> %A, %N")
    yield row("or", 80, 2, "%R = or <2 x i64> %A, %B")
    yield row("xor", 81, 2, "%R = xor <2 x i64> %A, %B")
    yield row("bitselect", 82, 3, BITSELECT)
    whole = "%I = bitcast <2 x i64> %A to i128\n%T = icmp ne i128 %I, 0\n%R = zext i1 %T to i32"
    yield vector_row("v128.any_true", 83, vector_template(whole, V128_LLVM, result="i32"), (V128,), I32)


BITSELECT = (
    f"%N = xor <2 x i64> %C, {_ALL}\n"
    "%T = and <2 x i64> %A, %C\n"
    "%F = and <2 x i64> %B, %N\n"
    "%R = or <2 x i64> %T, %F"
)
"""The bits of the first operand where the third has ones, those of the second elsewhere."""


ROWS: tuple[Instruction, ...] = (
    Instruction(
        "v128.const",
        0xFD,
        12,
        (Immediate.VECTOR,),
        results=(V128,),
        feature=Feature.SIMD,
        rule="constant",
    ),
    _SHUFFLE,
    *_swizzles(),
    *_splats(),
    *_lane_accesses(),
    *_bitwise(),
)
