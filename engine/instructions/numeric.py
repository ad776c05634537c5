"""Numeric instructions (section 2.4.1): every one is its stack signature and an LLVM template."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.structure.types import F32, F64, I32, I64, ValueType

_INTRINSIC = {I32: "i32", I64: "i64", F32: "f32", F64: "f64"}


def _compare(operation: str) -> str:
    return f"%{{n}}.c = {operation} {{a}}, {{b}}\n%{{n}} = zext i1 %{{n}}.c to i32"


_INTEGER_COMPARISONS = ("eq", "ne", "slt", "ult", "sgt", "ugt", "sle", "ule", "sge", "uge")
_INTEGER_COMPARISON_NAMES = ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
_FLOAT_COMPARISONS = {"eq": "oeq", "ne": "une", "lt": "olt", "gt": "ogt", "le": "ole", "ge": "oge"}


def _integer_tests(value: ValueType, first: int) -> Iterator[Instruction]:
    llvm = value.llvm
    test = f"%{{n}}.c = icmp eq {llvm} {{a}}, 0\n%{{n}} = zext i1 %{{n}}.c to i32"
    yield Instruction(f"{value.name}.eqz", None, first, parameters=(value,), results=(I32,), template=test)
    for position, (name, predicate) in enumerate(
        zip(_INTEGER_COMPARISON_NAMES, _INTEGER_COMPARISONS, strict=True), start=1
    ):
        yield Instruction(
            f"{value.name}.{name}",
            None,
            first + position,
            parameters=(value, value),
            results=(I32,),
            template=_compare(f"icmp {predicate} {llvm}"),
        )


def _float_tests(value: ValueType, first: int) -> Iterator[Instruction]:
    for position, (name, predicate) in enumerate(_FLOAT_COMPARISONS.items()):
        yield Instruction(
            f"{value.name}.{name}",
            None,
            first + position,
            parameters=(value, value),
            results=(I32,),
            template=_compare(f"fcmp {predicate} {value.llvm}"),
        )


def _integer_unary(llvm: str) -> dict[str, str]:
    return {
        "clz": f"%{{n}} = call {llvm} @llvm.ctlz.{llvm}({llvm} {{a}}, i1 false)",
        "ctz": f"%{{n}} = call {llvm} @llvm.cttz.{llvm}({llvm} {{a}}, i1 false)",
        "popcnt": f"%{{n}} = call {llvm} @llvm.ctpop.{llvm}({llvm} {{a}})",
    }


def _integer_binary(llvm: str, bits: int) -> dict[str, str]:
    nonzero = (
        f"%{{n}}.z = icmp eq {llvm} {{b}}, 0\n"
        "br i1 %{n}.z, label %trap.integer_divide_by_zero, label %{n}.nonzero, !prof !0\n"
        "{n}.nonzero:\n"
    )
    minus_one = f"%{{n}}.m = icmp eq {llvm} {{b}}, -1\n"
    fits = (
        f"%{{n}}.l = icmp eq {llvm} {{a}}, {-(1 << bits - 1)}\n"
        "%{n}.o = and i1 %{n}.l, %{n}.m\n"
        "br i1 %{n}.o, label %trap.integer_overflow, label %{n}.fits, !prof !0\n"
        "{n}.fits:\n"
    )
    count = f"%{{n}}.k = and {llvm} {{b}}, {bits - 1}\n"
    return {
        "add": f"%{{n}} = add {llvm} {{a}}, {{b}}",
        "sub": f"%{{n}} = sub {llvm} {{a}}, {{b}}",
        "mul": f"%{{n}} = mul {llvm} {{a}}, {{b}}",
        "div_s": f"{nonzero}{minus_one}{fits}%{{n}} = sdiv {llvm} {{a}}, {{b}}",
        "div_u": f"{nonzero}%{{n}} = udiv {llvm} {{a}}, {{b}}",
        # The remainder by -1 is 0, but LLVM leaves the lowest number's undefined: divide by 1 instead.
        "rem_s": f"{nonzero}{minus_one}%{{n}}.d = select i1 %{{n}}.m, {llvm} 1, {llvm} {{b}}\n"
        f"%{{n}} = srem {llvm} {{a}}, %{{n}}.d",
        "rem_u": f"{nonzero}%{{n}} = urem {llvm} {{a}}, {{b}}",
        "and": f"%{{n}} = and {llvm} {{a}}, {{b}}",
        "or": f"%{{n}} = or {llvm} {{a}}, {{b}}",
        "xor": f"%{{n}} = xor {llvm} {{a}}, {{b}}",
        "shl": f"{count}%{{n}} = shl {llvm} {{a}}, %{{n}}.k",
        "shr_s": f"{count}%{{n}} = ashr {llvm} {{a}}, %{{n}}.k",
        "shr_u": f"{count}%{{n}} = lshr {llvm} {{a}}, %{{n}}.k",
        "rotl": f"%{{n}} = call {llvm} @llvm.fshl.{llvm}({llvm} {{a}}, {llvm} {{a}}, {llvm} {{b}})",
        "rotr": f"%{{n}} = call {llvm} @llvm.fshr.{llvm}({llvm} {{a}}, {llvm} {{a}}, {llvm} {{b}})",
    }


def _float_unary(llvm: str, suffix: str) -> dict[str, str]:
    def intrinsic(name: str) -> str:
        return f"%{{n}} = call {llvm} @llvm.{name}.{suffix}({llvm} {{a}})"

    return {
        "abs": intrinsic("fabs"),
        "neg": f"%{{n}} = fneg {llvm} {{a}}",
        "ceil": intrinsic("ceil"),
        "floor": intrinsic("floor"),
        "trunc": intrinsic("trunc"),
        "nearest": intrinsic("roundeven"),
        "sqrt": intrinsic("sqrt"),
    }


def _float_binary(llvm: str, suffix: str) -> dict[str, str]:
    def extremum(name: str) -> str:
        # A NaN operand gives a quiet NaN, which the addition makes; without one the intrinsic decides.
        return (
            f"%{{n}}.s = fadd {llvm} {{a}}, {{b}}\n"
            f"%{{n}}.u = fcmp uno {llvm} {{a}}, {{b}}\n"
            f"%{{n}}.m = call nnan {llvm} @llvm.{name}.{suffix}({llvm} {{a}}, {llvm} {{b}})\n"
            f"%{{n}} = select i1 %{{n}}.u, {llvm} %{{n}}.s, {llvm} %{{n}}.m"
        )

    return {
        "add": f"%{{n}} = fadd {llvm} {{a}}, {{b}}",
        "sub": f"%{{n}} = fsub {llvm} {{a}}, {{b}}",
        "mul": f"%{{n}} = fmul {llvm} {{a}}, {{b}}",
        "div": f"%{{n}} = fdiv {llvm} {{a}}, {{b}}",
        "min": extremum("minimum"),
        "max": extremum("maximum"),
        "copysign": f"%{{n}} = call {llvm} @llvm.copysign.{suffix}({llvm} {{a}}, {llvm} {{b}})",
    }


def _operations(
    value: ValueType, first: int, unary: dict[str, str], binary: dict[str, str]
) -> Iterator[Instruction]:
    for position, (name, template) in enumerate((unary | binary).items()):
        parameters = (value,) if name in unary else (value, value)
        yield Instruction(
            f"{value.name}.{name}",
            None,
            first + position,
            parameters=parameters,
            results=(value,),
            template=template,
        )


_TRUNCATION_RANGES = {
    # (to, from, signed): (comparison with the lower bound, lower bound, upper bound, exclusive)
    (I32, F32, "s"): ("oge", "-2147483648.0", "2147483648.0"),
    (I32, F64, "s"): ("ogt", "-2147483649.0", "2147483648.0"),
    (I32, F32, "u"): ("ogt", "-1.0", "4294967296.0"),
    (I32, F64, "u"): ("ogt", "-1.0", "4294967296.0"),
    (I64, F32, "s"): ("oge", "-9223372036854775808.0", "9223372036854775808.0"),
    (I64, F64, "s"): ("oge", "-9223372036854775808.0", "9223372036854775808.0"),
    (I64, F32, "u"): ("ogt", "-1.0", "18446744073709551616.0"),
    (I64, F64, "u"): ("ogt", "-1.0", "18446744073709551616.0"),
}


def _trapping_truncation(to: ValueType, source: ValueType, sign: str) -> str:
    # Two branches: of one on the conjunction, LLVM's time is quadratic in the number of conversions.
    comparison, low, high = _TRUNCATION_RANGES[to, source, sign]
    conversion = "fptosi" if sign == "s" else "fptoui"
    llvm = source.llvm
    return (
        f"%{{n}}.l = fcmp {comparison} {llvm} {{a}}, {low}\n"
        "br i1 %{n}.l, label %{n}.above, label %{n}.bad, !prof !1\n"
        "{n}.above:\n"
        f"%{{n}}.h = fcmp olt {llvm} {{a}}, {high}\n"
        "br i1 %{n}.h, label %{n}.fits, label %{n}.bad, !prof !1\n"
        "{n}.bad:\n"
        f"%{{n}}.u = fcmp uno {llvm} {{a}}, {{a}}\n"
        "br i1 %{n}.u, label %trap.invalid_conversion_to_integer, label %trap.integer_overflow\n"
        "{n}.fits:\n"
        f"%{{n}} = {conversion} {llvm} {{a}} to {to.llvm}"
    )


def _conversions() -> Iterator[Instruction]:
    def row(opcode: int, to: ValueType, name: str, source: ValueType, template: str) -> Instruction:
        return Instruction(
            f"{to.name}.{name}", None, opcode, parameters=(source,), results=(to,), template=template
        )

    yield row(0xA7, I32, "wrap_i64", I64, "%{n} = trunc i64 {a} to i32")
    for opcode, (to, source, sign) in zip(
        (0xA8, 0xA9, 0xAA, 0xAB, 0xAE, 0xAF, 0xB0, 0xB1),
        [(to, source, sign) for to in (I32, I64) for source in (F32, F64) for sign in "su"],
        strict=True,
    ):
        template = _trapping_truncation(to, source, sign)
        yield row(opcode, to, f"trunc_{source.name}_{sign}", source, template)
    yield row(0xAC, I64, "extend_i32_s", I32, "%{n} = sext i32 {a} to i64")
    yield row(0xAD, I64, "extend_i32_u", I32, "%{n} = zext i32 {a} to i64")
    for opcode, (to, source, sign) in zip(
        (0xB2, 0xB3, 0xB4, 0xB5, 0xB7, 0xB8, 0xB9, 0xBA),
        [(to, source, sign) for to in (F32, F64) for source in (I32, I64) for sign in "su"],
        strict=True,
    ):
        template = f"%{{n}} = {sign}itofp {source.llvm} {{a}} to {to.llvm}"
        yield row(opcode, to, f"convert_{source.name}_{sign}", source, template)
    # LLVM takes a demotion of a promotion for nothing and would let a signaling NaN through: canonicalize quiets.
    demote = "%{n}.t = fptrunc double {a} to float\n%{n} = call float @llvm.canonicalize.f32(float %{n}.t)"
    yield row(0xB6, F32, "demote_f64", F64, demote)
    yield row(0xBB, F64, "promote_f32", F32, "%{n} = fpext float {a} to double")
    yield row(0xBC, I32, "reinterpret_f32", F32, "%{n} = bitcast float {a} to i32")
    yield row(0xBD, I64, "reinterpret_f64", F64, "%{n} = bitcast double {a} to i64")
    yield row(0xBE, F32, "reinterpret_i32", I32, "%{n} = bitcast i32 {a} to float")
    yield row(0xBF, F64, "reinterpret_i64", I64, "%{n} = bitcast i64 {a} to double")


def _sign_extensions() -> Iterator[Instruction]:
    rows = ((0xC0, I32, 8), (0xC1, I32, 16), (0xC2, I64, 8), (0xC3, I64, 16), (0xC4, I64, 32))
    for opcode, value, bits in rows:
        yield Instruction(
            f"{value.name}.extend{bits}_s",
            None,
            opcode,
            parameters=(value,),
            results=(value,),
            feature=Feature.SIGN_EXTENSION,
            template=f"%{{n}}.t = trunc {value.llvm} {{a}} to i{bits}\n%{{n}} = sext i{bits} %{{n}}.t to {value.llvm}",
        )


def _saturating_conversions() -> Iterator[Instruction]:
    cases = [(to, source, sign) for to in (I32, I64) for source in (F32, F64) for sign in "su"]
    for opcode, (to, source, sign) in enumerate(cases):
        intrinsic = f"llvm.fpto{sign}i.sat.{to.llvm}.{_INTRINSIC[source]}"
        yield Instruction(
            f"{to.name}.trunc_sat_{source.name}_{sign}",
            0xFC,
            opcode,
            parameters=(source,),
            results=(to,),
            feature=Feature.SATURATING_CONVERSION,
            template=f"%{{n}} = call {to.llvm} @{intrinsic}({source.llvm} {{a}})",
        )


def _constants() -> Iterator[Instruction]:
    rows = (
        (0x41, I32, Immediate.SIGNED_32),
        (0x42, I64, Immediate.SIGNED_64),
        (0x43, F32, Immediate.FLOAT_32),
        (0x44, F64, Immediate.FLOAT_64),
    )
    for opcode, value, immediate in rows:
        yield Instruction(
            f"{value.name}.const", None, opcode, (immediate,), results=(value,), rule="constant"
        )


ROWS: tuple[Instruction, ...] = (
    *_constants(),
    *_integer_tests(I32, 0x45),
    *_integer_tests(I64, 0x50),
    *_float_tests(F32, 0x5B),
    *_float_tests(F64, 0x61),
    *_operations(I32, 0x67, _integer_unary("i32"), _integer_binary("i32", 32)),
    *_operations(I64, 0x79, _integer_unary("i64"), _integer_binary("i64", 64)),
    *_operations(F32, 0x8B, _float_unary("float", "f32"), _float_binary("float", "f32")),
    *_operations(F64, 0x99, _float_unary("double", "f64"), _float_binary("double", "f64")),
    *_conversions(),
    *_sign_extensions(),
    *_saturating_conversions(),
)
