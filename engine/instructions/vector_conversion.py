"""Conversions between lanes of integers and floats (section 4.3.4, lane by lane)."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.instructions.vector_float import EXCEPTIONS, ROUNDING
from farcall.engine.instructions.vector_template import F32X4, F64X2, I32X4, mask, splat, unary

_WIDEN = mask([0, 1, 2, 3])
_LOW = mask([0, 1])


_CVTTPS = "call <4 x i32> @llvm.x86.sse2.cvttps2dq(<4 x float>"
_CVTTPD = "call <4 x i32> @llvm.x86.sse2.cvttpd2dq(<2 x double>"
_TWO_31 = splat("float", 4, "0x41E0000000000000")

# x86 converts to signed integers only, and what is out of range to the smallest one.
_X86_TRUNCATIONS = {
    "trunc_sat_f32x4_s": (
        # NaN becomes 0 first; for what is too large the bits of the result are turned, to the largest integer.
        "%O = fcmp ord <4 x float> %A, %A\n"
        "%V = select <4 x i1> %O, <4 x float> %A, <4 x float> zeroinitializer\n"
        f"%H = fcmp oge <4 x float> %V, {_TWO_31}\n"
        "%M = sext <4 x i1> %H to <4 x i32>\n"
        f"%I = {_CVTTPS} %V)\n"
        "%R = xor <4 x i32> %I, %M"
    ),
    "trunc_sat_f32x4_u": (
        # The sum of two conversions: up to 2**31, and of what is beyond it. The maximum takes 0 for NaN.
        "%V = call <4 x float> @llvm.x86.sse.max.ps(<4 x float> %A, <4 x float> zeroinitializer)\n"
        f"%I = {_CVTTPS} %V)\n"
        f"%B = fsub <4 x float> %V, {_TWO_31}\n"
        f"%H = fcmp oge <4 x float> %B, {_TWO_31}\n"
        "%M = sext <4 x i1> %H to <4 x i32>\n"
        f"%J = {_CVTTPS} %B)\n"
        "%X = xor <4 x i32> %J, %M\n"
        "%Y = call <4 x i32> @llvm.smax.v4i32(<4 x i32> %X, <4 x i32> zeroinitializer)\n"
        "%R = add <4 x i32> %I, %Y"
    ),
    "trunc_sat_f64x2_s_zero": (
        # The minimum takes the second operand for NaN: 0, which the limit is replaced by.
        "%O = fcmp ord <2 x double> %A, %A\n"
        f"%L = select <2 x i1> %O, <2 x double> {splat('double', 2, '2147483647.0')},"
        " <2 x double> zeroinitializer\n"
        "%V = call <2 x double> @llvm.x86.sse2.min.pd(<2 x double> %A, <2 x double> %L)\n"
        f"%R = {_CVTTPD} %V)"
    ),
    "trunc_sat_f64x2_u_zero": (
        # Added to 2**52, an integer stands in the low bits of the sum.
        "%V = call <2 x double> @llvm.x86.sse2.max.pd(<2 x double> %A, <2 x double> zeroinitializer)\n"
        f"%W = call <2 x double> @llvm.x86.sse2.min.pd(<2 x double> %V,"
        f" <2 x double> {splat('double', 2, '4294967295.0')})\n"
        "%T = call <2 x double> @llvm.trunc.v2f64(<2 x double> %W)\n"
        f"%S = fadd <2 x double> %T, {splat('double', 2, '4503599627370496.0')}\n"
        "%I = bitcast <2 x double> %S to <4 x i32>\n"
        f"%R = shufflevector <4 x i32> %I, <4 x i32> zeroinitializer, {mask([0, 2, 4, 5])}"
    ),
}


def _truncations() -> Iterator[tuple[str, tuple[str, tuple[tuple[str, str], ...]]]]:
    for sign in "su":
        name = f"trunc_sat_f32x4_{sign}"
        portable = f"%R = call <4 x i32> @llvm.fpto{sign}i.sat.v4i32.v4f32(<4 x float> %A)"
        yield name, (portable, (("sse4.1", _X86_TRUNCATIONS[name]),))
        name = f"trunc_sat_f64x2_{sign}_zero"
        after = f"%R = shufflevector <2 x i32> %N, <2 x i32> zeroinitializer, {_WIDEN}"
        portable = f"%N = call <2 x i32> @llvm.fpto{sign}i.sat.v2i32.v2f64(<2 x double> %A)\n{after}"
        by_way_of_64_bits = (
            f"%W = call <2 x i64> @llvm.fpto{sign}i.sat.v2i64.v2f64(<2 x double> %A)\n"
            f"%N = call <2 x i32> @llvm.aarch64.neon.{sign}qxtn.v2i32(<2 x i64> %W)\n"
            f"{after}"
        )
        yield name, (portable, (("aarch64", by_way_of_64_bits), ("sse4.1", _X86_TRUNCATIONS[name])))


TRUNCATIONS = dict(_truncations())
"""Text for any machine, and for machines that have something, by the instruction's name."""


def _to_integers() -> Iterator[Instruction]:
    opcodes = {
        "trunc_sat_f32x4_s": 248,
        "trunc_sat_f32x4_u": 249,
        "trunc_sat_f64x2_s_zero": 252,
        "trunc_sat_f64x2_u_zero": 253,
    }
    for name, (portable, native) in TRUNCATIONS.items():
        shape = F32X4 if "f32x4" in name else F64X2
        yield unary(f"i32x4.{name}", opcodes[name], shape, portable, I32X4, native)


def _to_floats() -> Iterator[Instruction]:
    for opcode, sign in enumerate("su", start=250):
        code = f"%R = {sign}itofp <4 x i32> %A to <4 x float>"
        yield unary(f"f32x4.convert_i32x4_{sign}", opcode, I32X4, code, F32X4)
    for opcode, sign in enumerate("su", start=254):
        code = (
            f"%L = shufflevector <4 x i32> %A, <4 x i32> poison, {_LOW}\n"
            f"%R = {sign}itofp <2 x i32> %L to <2 x double>"
        )
        yield unary(f"f64x2.convert_low_i32x4_{sign}", opcode, I32X4, code, F64X2)


def _between_floats() -> Iterator[Instruction]:
    # Constrained, for LLVM takes a demotion of a promotion for nothing and would let a signaling NaN through.
    demote = (
        "%N = call <2 x float> @llvm.experimental.constrained.fptrunc.v2f32.v2f64"
        f"(<2 x double> %A, {ROUNDING}, {EXCEPTIONS})\n"
        f"%R = shufflevector <2 x float> %N, <2 x float> zeroinitializer, {_WIDEN}"
    )
    yield unary("f32x4.demote_f64x2_zero", 94, F64X2, demote, F32X4)
    promote = (
        f"%L = shufflevector <4 x float> %A, <4 x float> poison, {_LOW}\n"
        "%R = fpext <2 x float> %L to <2 x double>"
    )
    yield unary("f64x2.promote_low_f32x4", 95, F32X4, promote, F64X2)


ROWS: tuple[Instruction, ...] = (*_to_integers(), *_to_floats(), *_between_floats())
