"""Relaxed vector instructions (section 4.3.5): of the results that they may have, those that the machine has.

Where the machine gives the results of the deterministic profile just as fast, it is those. A machine always gives
the same results: which template is taken depends on nothing but its features.
"""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Instruction
from farcall.engine.instructions.vector import BITSELECT
from farcall.engine.instructions.vector_conversion import TRUNCATIONS
from farcall.engine.instructions.vector_float import arithmetic, extrema, x86_extremum
from farcall.engine.instructions.vector_integer import Q15_PRODUCT, ROUNDED_DOUBLING
from farcall.engine.instructions.vector_template import (
    F32X4,
    F64X2,
    FLOAT_SHAPES,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    V128_LLVM,
    Shape,
    mask,
    splat,
    vector_row,
    vector_template,
)
from farcall.engine.structure.types import V128


def _row(
    name: str,
    opcode: int,
    operands: tuple[str, ...],
    result: str,
    code: str,
    *native: tuple[str, str],
) -> Instruction:
    return vector_row(
        name,
        opcode,
        vector_template(code, *operands, result=result),
        (V128,) * len(operands),
        feature=Feature.RELAXED_SIMD,
        native=tuple((needed, vector_template(text, *operands, result=result)) for needed, text in native),
    )


_X86_TRUNCATIONS = {
    "f32x4_s": (("sse2", "%R = call <4 x i32> @llvm.x86.sse2.cvttps2dq(<4 x float> %A)"),),
    "f64x2_s_zero": (("sse2", "%R = call <4 x i32> @llvm.x86.sse2.cvttpd2dq(<2 x double> %A)"),),
}
"""x86 has no conversion to unsigned integers that would save anything."""


def _truncations() -> Iterator[Instruction]:
    for opcode, name in enumerate(("f32x4_s", "f32x4_u", "f64x2_s_zero", "f64x2_u_zero"), start=257):
        shape = F32X4 if "f32x4" in name else F64X2
        portable, native = TRUNCATIONS[f"trunc_sat_{name}"]
        native = _X86_TRUNCATIONS.get(name, ()) + native
        yield _row(
            f"i32x4.relaxed_trunc_{name}",
            opcode,
            (shape.llvm,),
            I32X4.llvm,
            portable,
            *native,
        )


def _multiply_and_add(shape: Shape, first: str) -> tuple[str, str]:
    """The text without and with fusing, the product's first operand being `first`."""
    negate = f"%N = fneg {shape.llvm} %A\n" if first == "%N" else ""
    apart = arithmetic("%P", "fmul", shape, first, "%B") + arithmetic("%R", "fadd", shape, "%P", "%C")
    return negate + apart, negate + arithmetic("%R", "fma", shape, first, "%B", "%C")


def _multiplications() -> Iterator[Instruction]:
    for opcode, shape in ((261, F32X4), (263, F64X2)):
        for distance, (name, first) in enumerate((("madd", "%A"), ("nmadd", "%N"))):
            apart, fused = _multiply_and_add(shape, first)
            yield _row(
                f"{shape.name}.relaxed_{name}",
                opcode + distance,
                (shape.llvm,) * 3,
                shape.llvm,
                apart,
                ("aarch64", fused),
                ("fma", fused),
            )


def _lane_selections() -> Iterator[Instruction]:
    whole = (V128_LLVM,) * 3
    for opcode, shape in enumerate((I8X16, I16X8, I32X4, I64X2), start=265):
        llvm = shape.llvm
        # One instruction, which looks at a lane's top bit. There is none for 16 bits.
        by_top_bit = (
            f"%X = bitcast {V128_LLVM} %A to {llvm}\n"
            f"%Y = bitcast {V128_LLVM} %B to {llvm}\n"
            f"%Z = bitcast {V128_LLVM} %C to {llvm}\n"
            f"%T = icmp slt {llvm} %Z, zeroinitializer\n"
            f"%S = select <{shape.lanes} x i1> %T, {llvm} %X, {llvm} %Y\n"
            f"%R = bitcast {llvm} %S to {V128_LLVM}"
        )
        native = () if shape is I16X8 else (("avx512vl", BITSELECT), ("sse4.1", by_top_bit))
        yield _row(f"{shape.name}.relaxed_laneselect", opcode, whole, V128_LLVM, BITSELECT, *native)


def _extrema() -> Iterator[Instruction]:
    opcode = 269
    for shape in FLOAT_SHAPES:
        for name, (portable, native) in extrema(shape).items():
            machines = [(needed, text) for needed, text in native if needed == "aarch64"]
            choose = x86_extremum(name, shape, "%R", "%A", "%B")
            yield _row(
                f"{shape.name}.relaxed_{name}",
                opcode,
                (shape.llvm,) * 2,
                shape.llvm,
                portable,
                *machines,
                ("sse2", choose),
            )
            opcode += 1


_EVEN_AND_ODD = mask(range(0, 16, 2)), mask(range(1, 16, 2))

_BYTE_PRODUCTS = (
    "%X = sext <16 x i8> %A to <16 x i16>\n"
    "%Y = sext <16 x i8> %B to <16 x i16>\n"
    "%P = mul <16 x i16> %X, %Y\n"
    f"%E = shufflevector <16 x i16> %P, <16 x i16> poison, {_EVEN_AND_ODD[0]}\n"
    f"%O = shufflevector <16 x i16> %P, <16 x i16> poison, {_EVEN_AND_ODD[1]}\n"
)

# The instruction multiplies unsigned with signed bytes, and its sums saturate.
_UNSIGNED_BY_SIGNED = "call <8 x i16> @llvm.x86.ssse3.pmadd.ub.sw.128(<16 x i8> %B, <16 x i8> %A)"


def _products() -> Iterator[Instruction]:
    words = I16X8.llvm
    multiply = "%R = call <8 x i16> @llvm.x86.ssse3.pmul.hr.sw.128(<8 x i16> %A, <8 x i16> %B)"
    yield _row(
        "i16x8.relaxed_q15mulr_s",
        273,
        (words, words),
        words,
        Q15_PRODUCT,
        ROUNDED_DOUBLING,
        ("ssse3", multiply),
    )
    bytes_ = I8X16.llvm
    yield _row(
        "i16x8.relaxed_dot_i8x16_i7x16_s",
        274,
        (bytes_, bytes_),
        words,
        f"{_BYTE_PRODUCTS}%R = add <8 x i16> %E, %O",
        ("ssse3", f"%R = {_UNSIGNED_BY_SIGNED}"),
    )
    add_pairs = (
        "%V = sext <8 x i16> %S to <8 x i32>\n"
        f"%W = shufflevector <8 x i32> %V, <8 x i32> poison, {mask([0, 2, 4, 6])}\n"
        f"%U = shufflevector <8 x i32> %V, <8 x i32> poison, {mask([1, 3, 5, 7])}\n"
        "%T = add <4 x i32> %W, %U\n"
    )
    multiply_and_add = (
        f"%S = {_UNSIGNED_BY_SIGNED}\n"
        f"%T = call <4 x i32> @llvm.x86.sse2.pmadd.wd(<8 x i16> %S, <8 x i16> {splat('i16', 8, 1)})\n"
        "%R = add <4 x i32> %T, %C"
    )
    yield _row(
        "i32x4.relaxed_dot_i8x16_i7x16_add_s",
        275,
        (bytes_, bytes_, I32X4.llvm),
        I32X4.llvm,
        f"{_BYTE_PRODUCTS}%S = add <8 x i16> %E, %O\n{add_pairs}%R = add <4 x i32> %T, %C",
        ("ssse3", multiply_and_add),
    )


ROWS: tuple[Instruction, ...] = (
    *_truncations(),
    *_multiplications(),
    *_lane_selections(),
    *_extrema(),
    *_products(),
)
