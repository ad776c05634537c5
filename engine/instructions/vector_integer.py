"""Arithmetic and comparisons of integer lanes (section 4.3.2, lane by lane)."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.instructions.vector_template import (
    HALF,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    INTEGER_SHAPES,
    Shape,
    binary,
    mask,
    splat,
    unary,
    vector_row,
    vector_template,
)
from farcall.engine.structure.types import I32, V128

_COMPARISONS = {
    "eq": "eq",
    "ne": "ne",
    "lt_s": "slt",
    "lt_u": "ult",
    "gt_s": "sgt",
    "gt_u": "ugt",
    "le_s": "sle",
    "le_u": "ule",
    "ge_s": "sge",
    "ge_u": "uge",
}
_SIGNED_COMPARISONS: tuple[str, ...] = ("eq", "ne", "lt_s", "gt_s", "le_s", "ge_s")


def _comparisons() -> Iterator[Instruction]:
    every = tuple(_COMPARISONS)
    starts = ((35, I8X16, every), (45, I16X8, every), (55, I32X4, every), (214, I64X2, _SIGNED_COMPARISONS))
    for first, shape, names in starts:
        for opcode, name in enumerate(names, start=first):
            llvm = shape.llvm
            code = (
                f"%T = icmp {_COMPARISONS[name]} {llvm} %A, %B\n%R = sext <{shape.lanes} x i1> %T to {llvm}"
            )
            yield binary(f"{shape.name}.{name}", opcode, shape, code)


_FIRST_OPCODE = {I8X16: 96, I16X8: 128, I32X4: 160, I64X2: 192}
"""The shapes' arithmetic has opcodes of one pattern, with gaps where a shape has less."""


def _intrinsic(name: str, shape: Shape, operands: str, flag: str = "") -> str:
    return f"%R = call {shape.llvm} @llvm.{name}.{shape.suffix}({operands}{flag})"


def _unary(shape: Shape) -> Iterator[Instruction]:
    first, llvm = _FIRST_OPCODE[shape], shape.llvm
    operand = f"{llvm} %A"
    yield unary(f"{shape.name}.abs", first, shape, _intrinsic("abs", shape, operand, ", i1 false"))
    yield unary(f"{shape.name}.neg", first + 1, shape, f"%R = sub {llvm} zeroinitializer, %A")
    if shape is I8X16:
        yield unary("i8x16.popcnt", first + 2, shape, _intrinsic("ctpop", shape, operand))


def _tests(shape: Shape) -> Iterator[Instruction]:
    first, llvm, lanes = _FIRST_OPCODE[shape], shape.llvm, shape.lanes
    # Compared as one integer, the lanes are tested by one instruction where the machine has one.
    every = (
        f"%Z = icmp eq {llvm} %A, zeroinitializer\n"
        f"%S = sext <{lanes} x i1> %Z to {llvm}\n"
        f"%I = bitcast {llvm} %S to i128\n"
        "%T = icmp eq i128 %I, 0\n"
        "%R = zext i1 %T to i32"
    )
    signs = (
        f"%N = icmp slt {llvm} %A, zeroinitializer\n"
        f"%I = bitcast <{lanes} x i1> %N to i{lanes}\n"
        f"%R = zext i{lanes} %I to i32"
    )
    for opcode, name, code in ((first + 3, "all_true", every), (first + 4, "bitmask", signs)):
        template = vector_template(code, llvm, result="i32")
        yield vector_row(f"{shape.name}.{name}", opcode, template, (V128,), I32)


def _shifts(shape: Shape) -> Iterator[Instruction]:
    first, llvm, lane = _FIRST_OPCODE[shape] + 11, shape.llvm, shape.lane
    widths = {8: "trunc", 16: "trunc", 64: "zext"}
    convert = f"%L = {widths[shape.bits]} i32 %K to {lane}\n" if shape.bits != 32 else ""
    count = "%L" if convert else "%K"
    for opcode, name, operation in (
        (first, "shl", "shl"),
        (first + 1, "shr_s", "ashr"),
        (first + 2, "shr_u", "lshr"),
    ):
        code = (
            f"%K = and i32 %B, {shape.bits - 1}\n"
            f"{convert}"
            f"%I = insertelement {llvm} poison, {lane} {count}, i64 0\n"
            f"%S = shufflevector {llvm} %I, {llvm} poison, <{shape.lanes} x i32> zeroinitializer\n"
            f"%R = {operation} {llvm} %A, %S"
        )
        template = vector_template(code, llvm, "i32", result=llvm)
        yield vector_row(f"{shape.name}.{name}", opcode, template, (V128, I32))


def _binary(shape: Shape) -> Iterator[Instruction]:
    first, llvm = _FIRST_OPCODE[shape], shape.llvm
    both = f"{llvm} %A, {llvm} %B"
    rows = {14: ("add", f"%R = add {llvm} %A, %B"), 17: ("sub", f"%R = sub {llvm} %A, %B")}
    if shape is not I8X16:
        rows[21] = ("mul", f"%R = mul {llvm} %A, %B")
    if shape in (I8X16, I16X8):
        rows |= {
            15: ("add_sat_s", _intrinsic("sadd.sat", shape, both)),
            16: ("add_sat_u", _intrinsic("uadd.sat", shape, both)),
            18: ("sub_sat_s", _intrinsic("ssub.sat", shape, both)),
            19: ("sub_sat_u", _intrinsic("usub.sat", shape, both)),
            27: ("avgr_u", _rounding_average(shape)),
        }
    if shape is not I64X2:
        rows |= {
            22: ("min_s", _intrinsic("smin", shape, both)),
            23: ("min_u", _intrinsic("umin", shape, both)),
            24: ("max_s", _intrinsic("smax", shape, both)),
            25: ("max_u", _intrinsic("umax", shape, both)),
        }
    for distance, (name, code) in sorted(rows.items()):
        yield binary(f"{shape.name}.{name}", first + distance, shape, code)


def _rounding_average(shape: Shape) -> str:
    wide = f"<{shape.lanes} x i{2 * shape.bits}>"
    return (
        f"%X = zext {shape.llvm} %A to {wide}\n"
        f"%Y = zext {shape.llvm} %B to {wide}\n"
        f"%S = add {wide} %X, %Y\n"
        f"%U = add {wide} %S, {splat(f'i{2 * shape.bits}', shape.lanes, 1)}\n"
        f"%H = lshr {wide} %U, {splat(f'i{2 * shape.bits}', shape.lanes, 1)}\n"
        f"%R = trunc {wide} %H to {shape.llvm}"
    )


def _half(shape: Shape, operand: str, which: str, extension: str, to: str) -> str:
    """Lines that widen the low or high half of an operand to a vector `to` of the lanes of `shape`."""
    narrow = HALF[shape]
    first = shape.lanes if which == "high" else 0
    lanes = mask(range(first, first + shape.lanes))
    return (
        f"%{to}.h = shufflevector {narrow.llvm} {operand}, {narrow.llvm} poison, {lanes}\n"
        f"%{to} = {extension} <{shape.lanes} x {narrow.lane}> %{to}.h to {shape.llvm}\n"
    )


_HALVES = (("low", "s"), ("high", "s"), ("low", "u"), ("high", "u"))


def _widening(shape: Shape) -> Iterator[Instruction]:
    narrow = HALF[shape]
    extensions = {"s": "sext", "u": "zext"}
    for opcode, (which, sign) in enumerate(_HALVES, start=_FIRST_OPCODE[shape] + 7):
        code = _half(shape, "%A", which, extensions[sign], "R")
        yield unary(f"{shape.name}.extend_{which}_{narrow.name}_{sign}", opcode, narrow, code, shape)
    for opcode, (which, sign) in enumerate(_HALVES, start=_FIRST_OPCODE[shape] + 28):
        code = (
            _half(shape, "%A", which, extensions[sign], "X")
            + _half(shape, "%B", which, extensions[sign], "Y")
            + f"%R = mul {shape.llvm} %X, %Y"
        )
        # Of lanes of 32 bits, multiplication is slow: two of 16 bits give both halves of the products.
        native = (("sse2", _unsigned_products(which)),) if (shape, sign) == (I32X4, "u") else ()
        yield binary(f"{shape.name}.extmul_{which}_{narrow.name}_{sign}", opcode, narrow, code, shape, native)


def _unsigned_products(which: str) -> str:
    first = 4 if which == "high" else 0
    lanes = mask([lane + half for lane in range(first, first + 4) for half in (0, 8)])
    return (
        "%L = mul <8 x i16> %A, %B\n"
        "%H = call <8 x i16> @llvm.x86.sse2.pmulhu.w(<8 x i16> %A, <8 x i16> %B)\n"
        f"%P = shufflevector <8 x i16> %L, <8 x i16> %H, {lanes}\n"
        "%R = bitcast <8 x i16> %P to <4 x i32>"
    )


def _pairwise_sum(shape: Shape, sign: str) -> str:
    """The sums of neighbours, which are the two halves of each wide lane."""
    llvm, half = shape.llvm, splat(shape.lane, shape.lanes, shape.bits // 2)
    if sign == "u":
        low = f"%L = and {llvm} %W, {splat(shape.lane, shape.lanes, (1 << shape.bits // 2) - 1)}\n"
    else:
        low = f"%S = shl {llvm} %W, {half}\n%L = ashr {llvm} %S, {half}\n"
    shift = "lshr" if sign == "u" else "ashr"
    return (
        f"%W = bitcast {HALF[shape].llvm} %A to {llvm}\n"
        f"{low}%H = {shift} {llvm} %W, {half}\n"
        f"%R = add {llvm} %L, %H"
    )


def _pairwise_additions() -> Iterator[Instruction]:
    ones = {I8X16: splat("i8", 16, 1), I16X8: splat("i16", 8, 1)}
    multiply = {
        ("s", I16X8): f"<16 x i8> {ones[I8X16]}, <16 x i8> %A",
        ("u", I16X8): f"<16 x i8> %A, <16 x i8> {ones[I8X16]}",
        ("s", I32X4): f"<8 x i16> %A, <8 x i16> {ones[I16X8]}",
    }
    instruction = {I16X8: ("ssse3", "ssse3.pmadd.ub.sw.128"), I32X4: ("sse2", "sse2.pmadd.wd")}
    for first, shape in ((124, I16X8), (126, I32X4)):
        narrow = HALF[shape]
        for opcode, sign in enumerate("su", start=first):
            intrinsic = f"{'s' if sign == 's' else 'u'}addlp.{shape.suffix}.{narrow.suffix}"
            sum_ = f"%R = call {shape.llvm} @llvm.aarch64.neon.{intrinsic}({narrow.llvm} %A)"
            native = [("aarch64", sum_)]
            if (sign, shape) in multiply:
                feature, name = instruction[shape]
                operands = multiply[sign, shape]
                native.append((feature, f"%R = call {shape.llvm} @llvm.x86.{name}({operands})"))
            yield unary(
                f"{shape.name}.extadd_pairwise_{narrow.name}_{sign}",
                opcode,
                narrow,
                _pairwise_sum(shape, sign),
                shape,
                tuple(native),
            )


def _narrowing() -> Iterator[Instruction]:
    for first, shape, wide in ((101, I8X16, I16X8), (133, I16X8, I32X4)):
        for opcode, sign in enumerate("su", start=first):
            low = -(1 << shape.bits - 1) if sign == "s" else 0
            high = (1 << shape.bits - 1) - 1 if sign == "s" else (1 << shape.bits) - 1
            lanes = f"<{shape.lanes} x {wide.lane}>"
            suffix = f"v{shape.lanes}i{wide.bits}"
            code = (
                f"%W = shufflevector {wide.llvm} %A, {wide.llvm} %B, {mask(range(shape.lanes))}\n"
                f"%N = call {lanes} @llvm.smin.{suffix}({lanes} %W, {lanes} {splat(wide.lane, shape.lanes, high)})\n"
                f"%X = call {lanes} @llvm.smax.{suffix}({lanes} %N, {lanes} {splat(wide.lane, shape.lanes, low)})\n"
                f"%R = trunc {lanes} %X to {shape.llvm}"
            )
            yield binary(f"{shape.name}.narrow_{wide.name}_{sign}", opcode, wide, code, shape)


WIDE_PRODUCTS = """
%X = sext <8 x i16> %A to <8 x i32>
%Y = sext <8 x i16> %B to <8 x i32>
%P = mul <8 x i32> %X, %Y
"""
"""Exact products of i16 lanes."""


def _products() -> Iterator[Instruction]:
    even, odd = mask([0, 2, 4, 6]), mask([1, 3, 5, 7])
    code = (
        f"{WIDE_PRODUCTS}%E = shufflevector <8 x i32> %P, <8 x i32> poison, {even}\n"
        f"%O = shufflevector <8 x i32> %P, <8 x i32> poison, {odd}\n"
        "%R = add <4 x i32> %E, %O"
    )
    yield binary("i32x4.dot_i16x8_s", 186, I16X8, code, I32X4)
    yield binary("i16x8.q15mulr_sat_s", 130, I16X8, Q15_PRODUCT, native=(ROUNDED_DOUBLING, _ROUNDED_PRODUCT))


Q15_PRODUCT = (
    f"{WIDE_PRODUCTS}%S = add <8 x i32> %P, {splat('i32', 8, 0x4000)}\n"
    f"%H = ashr <8 x i32> %S, {splat('i32', 8, 15)}\n"
    f"%M = call <8 x i32> @llvm.smin.v8i32(<8 x i32> %H, <8 x i32> {splat('i32', 8, 0x7FFF)})\n"
    "%R = trunc <8 x i32> %M to <8 x i16>"
)
"""Products of fixed-point fractions, rounded; of the smallest numbers it is the largest, for 1 is no fraction."""

ROUNDED_DOUBLING = (
    "aarch64",
    "%R = call <8 x i16> @llvm.aarch64.neon.sqrdmulh.v8i16(<8 x i16> %A, <8 x i16> %B)",
)

_ROUNDED_PRODUCT = (
    "ssse3",
    # The one product that does not fit comes out as the smallest number, which no other one is.
    "%P = call <8 x i16> @llvm.x86.ssse3.pmul.hr.sw.128(<8 x i16> %A, <8 x i16> %B)\n"
    f"%O = icmp eq <8 x i16> %P, {splat('i16', 8, -0x8000)}\n"
    "%M = sext <8 x i1> %O to <8 x i16>\n"
    "%R = xor <8 x i16> %P, %M",
)


def _of_shape(shape: Shape) -> Iterator[Instruction]:
    yield from _unary(shape)
    yield from _tests(shape)
    yield from _shifts(shape)
    yield from _binary(shape)
    if shape in HALF:
        yield from _widening(shape)


ROWS: tuple[Instruction, ...] = (
    *_comparisons(),
    *(row for shape in INTEGER_SHAPES for row in _of_shape(shape)),
    *_pairwise_additions(),
    *_narrowing(),
    *_products(),
)
