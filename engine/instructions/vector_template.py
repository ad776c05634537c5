"""Templates of vector instructions: a v128 is `<2 x i64>` between instructions, and lanes inside of them.

In the text of a template here, `%A`, `%B` and `%C` are the operands as the vector types that the template is
made for, `%R` is its result, and every other `%name` is its own. Bitcasts between vector types cost nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from farcall.engine.instructions.instruction import Feature, Instruction
from farcall.engine.structure.types import F32, F64, I32, I64, V128, ValueType

V128_LLVM = V128.llvm


@dataclass(frozen=True, slots=True)
class Shape:
    """How a vector is divided into lanes (section 2.4.1).

    Attributes:
        name: the text format's name.
        bits: of a lane.
        lanes: how many there are.
        lane: LLVM's type of a lane.
        value: what a lane is outside of vectors; of lanes smaller than 32 bits, an i32.
    """

    name: str
    bits: int
    lanes: int
    lane: str
    value: ValueType

    @property
    def llvm(self) -> str:
        """LLVM's type of the vector."""
        return f"<{self.lanes} x {self.lane}>"

    @property
    def suffix(self) -> str:
        """What intrinsics on the type are called by."""
        return f"v{self.lanes}{'f' if self.value in (F32, F64) else 'i'}{self.bits}"


I8X16 = Shape("i8x16", 8, 16, "i8", I32)
I16X8 = Shape("i16x8", 16, 8, "i16", I32)
I32X4 = Shape("i32x4", 32, 4, "i32", I32)
I64X2 = Shape("i64x2", 64, 2, "i64", I64)
F32X4 = Shape("f32x4", 32, 4, "float", F32)
F64X2 = Shape("f64x2", 64, 2, "double", F64)

INTEGER_SHAPES = (I8X16, I16X8, I32X4, I64X2)
FLOAT_SHAPES = (F32X4, F64X2)

HALF = {I16X8: I8X16, I32X4: I16X8, I64X2: I32X4}
"""The shape whose lanes are half as wide."""

_NAME = re.compile(r"%(\w+)")
_OPERANDS = "ABC"


def vector_template(code: str, *operands: str, result: str = V128_LLVM) -> str:
    """A template of the instruction table.

    Parameters:
        code: the text.
        operands: LLVM types of `%A`, `%B` and `%C`.
        result: LLVM type of `%R`; one of 128 bits that is a vector becomes a v128.
    """
    names: dict[str, str] = {}
    before: list[str] = []
    for letter, place, llvm in zip(_OPERANDS, "abc", operands, strict=False):
        if llvm == V128_LLVM or llvm[0] != "<":
            names[letter] = f"{{{place}}}"
        else:
            names[letter] = f"%{{n}}.{letter}"
            before.append(f"%{{n}}.{letter} = bitcast {V128_LLVM} {{{place}}} to {llvm}")
    is_result = result == V128_LLVM or result[0] != "<"
    names["R"] = "%{n}" if is_result else "%{n}.R"
    text = _NAME.sub(lambda found: names.get(found[1]) or f"%{{n}}.{found[1]}", code.strip())
    after = [] if is_result else [f"%{{n}} = bitcast {result} %{{n}}.R to {V128_LLVM}"]
    return "\n".join([*before, *(line.strip() for line in text.splitlines()), *after])


def vector_row(
    name: str,
    opcode: int,
    template: str,
    parameters: tuple[ValueType, ...],
    result: ValueType = V128,
    *,
    feature: Feature = Feature.SIMD,
    native: tuple[tuple[str, str], ...] = (),
) -> Instruction:
    """The row of a vector instruction without immediates."""
    return Instruction(
        name,
        0xFD,
        opcode,
        parameters=parameters,
        results=(result,),
        feature=feature,
        template=template,
        rule="native" if native else None,
        native=native,
    )


def unary(
    name: str,
    opcode: int,
    shape: Shape,
    code: str,
    result: Shape | None = None,
    native: tuple[tuple[str, str], ...] = (),
) -> Instruction:
    """An instruction from a vector to a vector; the result has the operand's shape where it is not given.

    Parameters:
        native: code for machines that have something, by its name.
    """
    to = (result or shape).llvm
    templates = tuple((needed, vector_template(text, shape.llvm, result=to)) for needed, text in native)
    return vector_row(name, opcode, vector_template(code, shape.llvm, result=to), (V128,), native=templates)


def binary(
    name: str,
    opcode: int,
    shape: Shape,
    code: str,
    result: Shape | None = None,
    native: tuple[tuple[str, str], ...] = (),
) -> Instruction:
    """An instruction from two vectors of one shape to a vector; otherwise as `unary`."""
    types = (shape.llvm, shape.llvm)
    to = (result or shape).llvm
    templates = tuple((needed, vector_template(text, *types, result=to)) for needed, text in native)
    return vector_row(name, opcode, vector_template(code, *types, result=to), (V128, V128), native=templates)


def mask(lanes: list[int] | range) -> str:
    """The operand of a `shufflevector` that picks these lanes."""
    return f"<{len(lanes)} x i32> <{', '.join(f'i32 {lane}' for lane in lanes)}>"


def splat(llvm: str, count: int, value: str | int) -> str:
    """A constant vector of equal lanes, without its type."""
    return f"<{', '.join([f'{llvm} {value}'] * count)}>"
