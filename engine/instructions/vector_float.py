"""Arithmetic and comparisons of float lanes (section 4.3.3, lane by lane).

A v128 says nothing of its lanes' type, so constants of floats cannot be hidden from LLVM as scalar ones are (see
`abi.layout.CONTEXT_FLOAT_CONSTANTS`). Instead the operations that LLVM would fold to one of their operands, with
its signaling NaNs, are constrained: LLVM must keep an exception that they might raise. That costs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.instructions.vector_template import F32X4, F64X2, FLOAT_SHAPES, Shape, binary, unary

ROUNDING = 'metadata !"round.tonearest"'
EXCEPTIONS = 'metadata !"fpexcept.maytrap"'

_COMPARISONS = {"eq": "oeq", "ne": "une", "lt": "olt", "gt": "ogt", "le": "ole", "ge": "oge"}


def arithmetic(result: str, operation: str, shape: Shape, *operands: str) -> str:
    """A line that adds (`fadd`), subtracts, multiplies or divides, or multiplies and adds (`fma`)."""
    llvm = shape.llvm
    name = f"@llvm.experimental.constrained.{operation}.{shape.suffix}"
    given = ", ".join(f"{llvm} {operand}" for operand in operands)
    return f"{result} = call {llvm} {name}({given}, {ROUNDING}, {EXCEPTIONS})\n"


def _comparisons() -> Iterator[Instruction]:
    for first, shape, integer in ((65, F32X4, "<4 x i32>"), (71, F64X2, "<2 x i64>")):
        for opcode, (name, predicate) in enumerate(_COMPARISONS.items(), start=first):
            code = (
                f"%T = fcmp {predicate} {shape.llvm} %A, %B\n"
                f"%I = sext <{shape.lanes} x i1> %T to {integer}\n"
                f"%R = bitcast {integer} %I to {shape.llvm}"
            )
            yield binary(f"{shape.name}.{name}", opcode, shape, code)


_ROUNDING_OPCODES = {
    "ceil": {F32X4: 103, F64X2: 116},
    "floor": {F32X4: 104, F64X2: 117},
    "trunc": {F32X4: 105, F64X2: 122},
    "nearest": {F32X4: 106, F64X2: 148},
}
_FIRST_OPCODE = {F32X4: 224, F64X2: 236}


def _unary(shape: Shape) -> Iterator[Instruction]:
    def intrinsic(name: str) -> str:
        return f"%R = call {shape.llvm} @llvm.{name}.{shape.suffix}({shape.llvm} %A)"

    first = _FIRST_OPCODE[shape]
    yield unary(f"{shape.name}.abs", first, shape, intrinsic("fabs"))
    yield unary(f"{shape.name}.neg", first + 1, shape, f"%R = fneg {shape.llvm} %A")
    yield unary(f"{shape.name}.sqrt", first + 3, shape, intrinsic("sqrt"))
    for name, opcodes in _ROUNDING_OPCODES.items():
        called = "roundeven" if name == "nearest" else name
        yield unary(f"{shape.name}.{name}", opcodes[shape], shape, intrinsic(called))


def _portable_extremum(name: str, shape: Shape) -> str:
    # As for scalars: a NaN operand gives the sum, a quiet NaN; without one the intrinsic decides.
    llvm = shape.llvm
    return (
        f"{arithmetic('%S', 'fadd', shape, '%A', '%B')}"
        f"%U = fcmp uno {llvm} %A, %B\n"
        f"%M = call nnan {llvm} @llvm.{name}.{shape.suffix}({llvm} %A, {llvm} %B)\n"
        f"%R = select <{shape.lanes} x i1> %U, {llvm} %S, {llvm} %M"
    )


def x86_extremum(name: str, shape: Shape, result: str, first: str, second: str) -> str:
    """A line with the machine's minimum or maximum, which is the second operand for zeros and for NaN.

    LLVM finds it in a comparison and a selection too, but not where it selects integers of the same width.
    """
    intrinsic = f"sse.{name}.ps" if shape is F32X4 else f"sse2.{name}.pd"
    llvm = shape.llvm
    return f"{result} = call {llvm} @llvm.x86.{intrinsic}({llvm} {first}, {llvm} {second})\n"


def _x86_extremum(name: str, shape: Shape) -> str:
    # In both orders, the operands give both zeros: of their bits joined, or what they have in common.
    llvm, integer = shape.llvm, f"<{shape.lanes} x i{shape.bits}>"
    join = "or" if name == "min" else "and"
    return (
        f"{arithmetic('%S', 'fadd', shape, '%A', '%B')}"
        f"%U = fcmp uno {llvm} %A, %B\n"
        f"{x86_extremum(name, shape, '%V', '%A', '%B')}"
        f"{x86_extremum(name, shape, '%W', '%B', '%A')}"
        f"%X = bitcast {llvm} %V to {integer}\n"
        f"%Y = bitcast {llvm} %W to {integer}\n"
        f"%J = {join} {integer} %X, %Y\n"
        f"%M = bitcast {integer} %J to {llvm}\n"
        f"%R = select <{shape.lanes} x i1> %U, {llvm} %S, {llvm} %M"
    )


def _arm_extremum(name: str, shape: Shape) -> str:
    llvm = shape.llvm
    return f"%R = call {llvm} @llvm.aarch64.neon.f{name}.{shape.suffix}({llvm} %A, {llvm} %B)"


def extrema(shape: Shape) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """The templates' text of `min` and `max`: for any machine, and for machines that have something."""
    return {
        name: (
            _portable_extremum(portable, shape),
            (("aarch64", _arm_extremum(name, shape)), ("sse4.1", _x86_extremum(name, shape))),
        )
        for name, portable in (("min", "minimum"), ("max", "maximum"))
    }


def _binary(shape: Shape) -> Iterator[Instruction]:
    first, llvm = _FIRST_OPCODE[shape], shape.llvm
    for opcode, name in enumerate(("add", "sub", "mul", "div"), start=first + 4):
        code = arithmetic("%R", f"f{name}", shape, "%A", "%B")
        yield binary(f"{shape.name}.{name}", opcode, shape, code)
    for opcode, (name, (portable, native)) in enumerate(extrema(shape).items(), start=first + 8):
        yield binary(f"{shape.name}.{name}", opcode, shape, portable, native=native)
    # The pseudo-minimum and -maximum choose an operand as it is.
    for opcode, (name, less) in enumerate((("pmin", "%B, %A"), ("pmax", "%A, %B")), start=first + 10):
        code = f"%L = fcmp olt {llvm} {less}\n%R = select <{shape.lanes} x i1> %L, {llvm} %B, {llvm} %A"
        native = (("sse2", x86_extremum(name[1:], shape, "%R", "%B", "%A")),)
        yield binary(f"{shape.name}.{name}", opcode, shape, code, native=native)


ROWS: tuple[Instruction, ...] = (
    *_comparisons(),
    *(row for shape in FLOAT_SHAPES for row in (*_unary(shape), *_binary(shape))),
)
