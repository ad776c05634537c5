"""Random modules of vector instructions: straight code on locals, whose values end in the memory.

What the specification leaves open is not observed: after operations that make NaNs, these become canonical at once.
Relaxed instructions are left out, but for those whose operands leave no choice.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import wasmtime

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.instructions.table import INSTRUCTIONS

from .case import Case

LOCALS = {"v128": 8, "i32": 3, "i64": 2, "f32": 2, "f64": 2}
"""How many locals of each type there are, which the instructions work on."""

_INPUTS = 16 * LOCALS["v128"]
_ROWS = [row for row in INSTRUCTIONS if row.feature is Feature.SIMD]
_SCALAR_NAMES = (
    *("f32.add", "f32.mul", "f64.sub", "f64.mul", "f64.div", "f32.demote_f64", "f64.promote_f32"),
    *("i32.add", "i64.mul", "i32.wrap_i64", "i64.shl"),
)
_SCALARS = [row for row in INSTRUCTIONS if row.name in _SCALAR_NAMES]

_NAN = {"f32": "f32.const nan", "f64": "f64.const nan"}
_NAN_VECTOR = {"f32x4": "f32x4 nan nan nan nan", "f64x2": "f64x2 nan nan"}
_KEEPS_NANS = ("abs", "neg", "pmin", "pmax", "splat", "lane", "eq", "ne", "lt", "gt", "le", "ge")


def vector_case(seed: int, length: int) -> Case:
    """A module with one function of that many instructions, and calls of it on several inputs."""
    source = random.Random(seed)
    rows = [source.choice(_ROWS if source.random() < 0.85 else _SCALARS) for _ in range(length)]
    body = "\n".join(_Statement(source, row).text for row in rows)
    declarations = " ".join(
        f"(local ${type_}_{index} {type_})" for type_, count in LOCALS.items() for index in range(count)
    )
    loads = "\n".join(
        f"(local.set $v128_{index} (v128.load (i32.add (local.get $at) (i32.const {16 * index}))))"
        for index in range(LOCALS["v128"])
    )
    inputs = 4
    data = "".join(f"\\{byte:02x}" for _ in range(inputs) for byte in _input(source))
    text = f"""(module (memory (export "memory") 1) (data (i32.const 0) "{data}")
      (func (export "run") (param $at i32) {declarations}
        {loads}
        {body}
        (local.set $at (i32.add (i32.const 8192) (i32.mul (local.get $at) (i32.const 4))))
        {_outputs()}))"""
    calls = tuple(("run", (_INPUTS * position,)) for position in range(inputs))
    return Case(bytes(wasmtime.wat2wasm(text)), calls, "memory")


def _outputs() -> str:
    stores, at = [], 0
    for type_, count in LOCALS.items():
        for index in range(count):
            stores.append(f"({type_}.store offset={at} (local.get $at) (local.get ${type_}_{index}))")
            at += 16
    return "\n".join(stores)


def _input(source: random.Random) -> bytes:
    """Bytes of vectors at which things happen, in lanes of any width."""
    content = bytearray()
    while len(content) < _INPUTS:
        size = source.choice((1, 2, 4, 8))
        bits = 8 * size
        for _ in range(16 // size):
            value = source.choice(_LANES)(source, bits)
            content += (value & (1 << bits) - 1).to_bytes(size, "little")
    return bytes(content)


def _float_bits(source: random.Random, bits: int) -> int:
    if bits < 32:
        return source.getrandbits(bits)
    fraction = 23 if bits == 32 else 52
    bias = (1 << bits - fraction - 2) - 1
    exponent = source.choice((0, 1, bias - 1, bias, bias + 1, bias + 31, bias + 32, 2 * bias, 2 * bias + 1))
    mantissa = source.choice((0, 1, 1 << fraction - 1, (1 << fraction) - 1, source.getrandbits(fraction)))
    return source.getrandbits(1) << bits - 1 | exponent << fraction | mantissa


_LANES: tuple[Callable[[random.Random, int], int], ...] = (
    lambda source, bits: source.getrandbits(bits),
    lambda source, bits: source.randrange(-3, 20),
    lambda source, bits: (1 << bits - 1) + source.randrange(-2, 3),
    _float_bits,
    _float_bits,
)


class _Statement:
    """One instruction on locals, its result going to a local."""

    def __init__(self, source: random.Random, row: Instruction) -> None:
        self._source = source
        operands = " ".join(self._operand(position, row) for position in range(len(row.parameters)))
        text = f"({row.name} {self._immediates(row)} {operands})"
        if row.results:
            result = row.results[0].name
            target = f"${result}_{source.randrange(LOCALS[result])}"
            text = f"(local.set {target} {text})\n{self._canonical(row, target)}"
        self.text = text

    def _operand(self, position: int, row: Instruction) -> str:
        type_ = row.parameters[position].name
        if row.access is not None and position == 0:
            return f"(i32.const {self._source.randrange(4096)})"
        if type_ == "v128" and self._source.random() < 0.1:
            lanes = [str(_float_bits(self._source, 32)) for _ in range(4)]
            return f"(v128.const i32x4 {' '.join(lanes)})"
        if type_ in _NAN and self._source.random() < 0.2:
            return f"({type_}.const {self._source.choice(('0', '-0', '1', '-1', '2.5', 'inf'))})"
        return f"(local.get ${type_}_{self._source.randrange(LOCALS[type_])})"

    def _immediates(self, row: Instruction) -> str:
        source = self._source
        texts = []
        for immediate in row.immediates:
            match immediate:
                case Immediate.LANE:
                    texts.append(str(source.randrange(row.lanes)))
                case Immediate.LANES:
                    texts.append(" ".join(str(source.randrange(32)) for _ in range(16)))
                case Immediate.VECTOR:
                    texts.append("i64x2 " + " ".join(str(source.getrandbits(64)) for _ in range(2)))
                case Immediate.MEMORY_ACCESS:
                    texts.append(f"offset={source.randrange(64)}")
        return " ".join(texts)

    def _canonical(self, row: Instruction, target: str) -> str:
        """Code that makes the NaNs of the result canonical, where the specification leaves them open."""
        shape, _, operation = row.name.partition(".")
        value = f"(local.get {target})"
        if any(word in operation for word in _KEEPS_NANS):
            return ""
        if shape in _NAN_VECTOR:
            numbers = f"({shape}.eq {value} {value})"
            return (
                f"(local.set {target} (v128.bitselect {value} (v128.const {_NAN_VECTOR[shape]}) {numbers}))"
            )
        if shape in _NAN:
            return f"(local.set {target} (select {value} ({_NAN[shape]}) ({shape}.eq {value} {value})))"
        return ""
