"""Arguments and expected results of a script: what they are, how they are written, when a result matches.

A result of farcall's is a pair of its type's name and its value: numbers and vectors as bit patterns,
references as the engine's Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .numbers import FLOAT_BITS, INTEGER_BITS, float_bits, integer_bits
from .s_expressions import Atom, Expression, Form

LANES = {"i8x16": ("i8", 16), "i16x8": ("i16", 8), "i32x4": ("i32", 4), "i64x2": ("i64", 2)} | {
    "f32x4": ("f32", 4),
    "f64x2": ("f64", 2),
}
"""Type and number of a vector shape's lanes."""


@dataclass(frozen=True, slots=True)
class HostReference:
    """`(ref.extern N)` and `(ref.host N)`: an object of the embedder's, equal to its like."""

    number: int


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument; numbers and vectors as bit patterns, null as None."""

    type: str
    value: int | HostReference | None

    def __str__(self) -> str:
        return f"{self.type} {_show(self.value)}"


@dataclass(frozen=True, slots=True)
class Result:
    """One result of the engine's: the name of its type, and its value."""

    type: str
    value: object

    def __str__(self) -> str:
        return f"{self.type} {_show(self.value)}"


def _show(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class ExactBits:
    """A number with this bit pattern."""

    type: str
    bits: int

    def matches(self, result: Result) -> bool:
        return result.type == self.type and result.value == self.bits

    def __str__(self) -> str:
        return f"{self.type} {self.bits:#x}"


@dataclass(frozen=True, slots=True)
class NanPattern:
    """A NaN: canonical, of either sign; or arithmetic, its payload's top bit set (section 4.3.3)."""

    type: str
    canonical: bool

    def matches(self, result: Result) -> bool:
        if result.type != self.type or not isinstance(result.value, int):
            return False
        magnitude = result.value & ~(1 << FLOAT_BITS[self.type] - 1)
        canonical = float_bits("nan", FLOAT_BITS[self.type])
        return magnitude == canonical if self.canonical else magnitude & canonical == canonical

    def __str__(self) -> str:
        return f"{self.type} nan:{'canonical' if self.canonical else 'arithmetic'}"


@dataclass(frozen=True, slots=True)
class VectorPattern:
    """A vector whose lanes, the lowest first, match."""

    lanes: tuple[ExactBits | NanPattern, ...]

    def matches(self, result: Result) -> bool:
        if result.type != "v128" or not isinstance(result.value, int):
            return False
        width = 128 // len(self.lanes)
        mask = (1 << width) - 1
        return all(
            lane.matches(Result(lane.type, result.value >> width * position & mask))
            for position, lane in enumerate(self.lanes)
        )

    def __str__(self) -> str:
        return f"v128 [{', '.join(map(str, self.lanes))}]"


@dataclass(frozen=True, slots=True)
class NullPattern:
    """`(ref.null)` or `(ref.null HEAPTYPE)`: null; of which heap type cannot be seen from outside."""

    heap: str | None

    def matches(self, result: Result) -> bool:
        return result.type not in NUMERIC_TYPES and result.value is None

    def __str__(self) -> str:
        return f"ref.null {self.heap or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class ReferencePattern:
    """`(ref.func)`, `(ref.extern)`, `(ref.struct)` and so on: not null, and of that kind."""

    kind: str

    def matches(self, result: Result) -> bool:
        if result.type in NUMERIC_TYPES or result.value is None:
            return False
        kind = type(result.value).__name__.lower().removesuffix("reference")
        if self.kind == "extern":
            return "extern" in result.type
        if self.kind == "func":
            return kind == "function"
        return self.kind in (kind, "any") or (self.kind == "eq" and kind in ("i31", "struct", "array"))

    def __str__(self) -> str:
        return f"ref.{self.kind}"


@dataclass(frozen=True, slots=True)
class HostPattern:
    """`(ref.extern N)` or `(ref.host N)`: that object of the embedder's."""

    number: int

    def matches(self, result: Result) -> bool:
        return result.value == HostReference(self.number)

    def __str__(self) -> str:
        return f"host reference {self.number}"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several, where the specification leaves a choice."""

    alternatives: tuple[Pattern, ...]

    def matches(self, result: Result) -> bool:
        return any(alternative.matches(result) for alternative in self.alternatives)

    def __str__(self) -> str:
        return f"either {' or '.join(map(str, self.alternatives))}"


Pattern = ExactBits | NanPattern | VectorPattern | NullPattern | ReferencePattern | HostPattern | Either

NUMERIC_TYPES = frozenset(("i32", "i64", "f32", "f64", "v128"))
_REFERENCE_KINDS = frozenset(("func", "extern", "any", "eq", "i31", "struct", "array", "exn", "cont"))


def show(values: Sequence[object]) -> str:
    """Values or patterns as one line, for reports."""
    return f"({', '.join(map(str, values))})"


def _number_bits(type_name: str, literal: str) -> int:
    if type_name in INTEGER_BITS:
        return integer_bits(literal, INTEGER_BITS[type_name])
    return float_bits(literal, FLOAT_BITS[type_name])


def _words(form: Form) -> list[str]:
    words = [item.text for item in form.items if isinstance(item, Atom)]
    if len(words) != len(form.items) or not words:
        raise ValueError("a value consists of keywords and numbers")
    return words


def parse_argument(expression: Expression) -> Argument:
    """Parse a constant such as `(i32.const 1)` or `(ref.extern 2)`.

    Raises:
        ValueError: it is no constant.
    """
    if not isinstance(expression, Form):
        raise ValueError("a constant is expected")
    head, *rest = _words(expression)
    if head == "v128.const":
        lane_type, count = LANES[rest[0]]
        if len(rest) != count + 1:
            raise ValueError(f"{rest[0]} has {count} lanes")
        bits = 0
        for lane in reversed(rest[1:]):
            bits = bits << 128 // count | _number_bits(lane_type, lane)
        return Argument("v128", bits)
    type_name, _, operation = head.partition(".")
    if operation == "const" and type_name in NUMERIC_TYPES and len(rest) == 1:
        return Argument(type_name, _number_bits(type_name, rest[0]))
    if head == "ref.null":
        return Argument("ref", None)
    if head in ("ref.extern", "ref.host") and len(rest) == 1:
        return Argument("ref", HostReference(int(rest[0], 0)))
    raise ValueError(f"not a constant: {head}")


def _number_pattern(type_name: str, literal: str) -> ExactBits | NanPattern:
    if literal in ("nan:canonical", "nan:arithmetic"):
        return NanPattern(type_name, literal == "nan:canonical")
    return ExactBits(type_name, _number_bits(type_name, literal))


def parse_pattern(expression: Expression) -> Pattern:
    """Parse an expected result.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(expression, Form):
        raise ValueError("a result pattern is expected")
    if expression.head == "either":
        return Either(tuple(parse_pattern(item) for item in expression.items[1:]))
    head, *rest = _words(expression)
    if head == "v128.const":
        lane_type, count = LANES[rest[0]]
        if len(rest) != count + 1:
            raise ValueError(f"{rest[0]} has {count} lanes")
        return VectorPattern(tuple(_number_pattern(lane_type, lane) for lane in rest[1:]))
    type_name, _, operation = head.partition(".")
    if operation == "const" and type_name in NUMERIC_TYPES and len(rest) == 1:
        return _number_pattern(type_name, rest[0])
    if head == "ref.null" and len(rest) <= 1:
        return NullPattern(rest[0] if rest else None)
    if head in ("ref.extern", "ref.host") and len(rest) == 1:
        return HostPattern(int(rest[0], 0))
    if type_name == "ref" and operation in _REFERENCE_KINDS and not rest:
        return ReferencePattern(operation)
    raise ValueError(f"not a result pattern: {head}")
