"""Memories of all kinds, several in a module, and 64-bit tables: random operations do on both engines the same."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from wasmtime import wat2wasm

from farcall.engine.instructions.table import INSTRUCTIONS

from .case import Case
from .farcall_subject import run_on_farcall
from .test_numeric_instructions import interesting_values

ACCESSES = [row for row in INSTRUCTIONS if row.rule in ("load", "store") and not row.name.startswith("v128")]
TO_INTEGER = {"f32": "i32.reinterpret_f32", "f64": "i64.reinterpret_f64"}
TO_FLOAT = {"f32": ("i32", "f32.reinterpret_i32"), "f64": ("i64", "f64.reinterpret_i64")}


@dataclass(frozen=True)
class Kind:
    index: str
    page: int
    minimum: int
    maximum: int

    @property
    def text(self) -> str:
        return f"{self.index} {self.minimum} {self.maximum} (pagesize {self.page})"

    @property
    def mask(self) -> int:
        return (1 << int(self.index[1:])) - 1

    def offset(self, source: random.Random) -> int:
        """A constant offset: mostly small."""
        return (
            source.choice((0, 0, 1, 8, self.page, source.getrandbits(17), source.getrandbits(40), self.mask))
            & self.mask
        )

    def address(self, source: random.Random) -> int:
        """An address near one of the ends that the memory can have, or anywhere."""
        end = self.page * source.randint(self.minimum, self.maximum)
        anywhere = source.getrandbits(int(self.index[1:]))
        return source.choice((end, end, end, 0, 1 << 32, anywhere)) + source.randint(-20, 20) & self.mask


KINDS = (
    Kind("i32", 65536, 1, 2),
    Kind("i64", 65536, 1, 3),
    Kind("i32", 1, 4090, 4200),
    Kind("i64", 1, 100, 9000),
)


def access_functions(memory: int, kind: Kind, source: random.Random) -> list[tuple[str, str, str | None]]:
    """Exports that access a memory: text, name, and the type of what they store."""
    functions = []
    for row in ACCESSES:
        for number in range(2):
            offset, name = kind.offset(source), f"{row.name} {memory} {number}"
            place = f"{memory} offset={offset}"
            if row.rule == "load":
                value = row.results[0].name
                result, convert = value.replace("f", "i"), TO_INTEGER.get(value, "")
                body = f"({row.name} {place} (local.get 0))"
                body = f"({convert} {body})" if convert else body
                functions.append(
                    (f'(func (export "{name}") (param {kind.index}) (result {result}) {body})', name, None)
                )
            else:
                value = row.parameters[1].name
                given, convert = TO_FLOAT.get(value, (value, ""))
                operand = f"({convert} (local.get 1))" if convert else "(local.get 1)"
                text = f"({row.name} {place} (local.get 0) {operand})"
                functions.append(
                    (f'(func (export "{name}") (param {kind.index} {given}) {text})', name, given)
                )
    return functions


def memory_case(seed: int) -> Case:
    """A module with a memory of each kind, and a long sequence of operations on them."""
    source = random.Random(seed)
    fields = [f'(memory (export "m{number}") {kind.text})' for number, kind in enumerate(KINDS)]
    fields.append('(data $d "0123456789abcdef")')
    calls: list[tuple[str, tuple[int, ...]]] = []
    for memory, kind in enumerate(KINDS):
        for text, name, stored in access_functions(memory, kind, source):
            fields.append(text)
            for _ in range(8):
                value = () if stored is None else (source.getrandbits(int(stored[1:])),)
                calls.append((name, (kind.address(source), *value)))
        index = kind.index
        fields.append(
            f'(func (export "grow {memory}") (param {index}) (result {index}) (memory.grow {memory} (local.get 0)))'
            f'(func (export "size {memory}") (result {index}) (memory.size {memory}))'
            f'(func (export "fill {memory}") (param {index} i32 {index})'
            f" (memory.fill {memory} (local.get 0) (local.get 1) (local.get 2)))"
            f'(func (export "init {memory}") (param {index} i32 i32)'
            f" (memory.init {memory} $d (local.get 0) (local.get 1) (local.get 2)))"
        )
        lengths = (0, 1, 15, 16, 17, 100, kind.mask, kind.mask - 15)
        for _ in range(12):
            calls.append((f"grow {memory}", (source.choice((0, 1, 1, 2, 4000, kind.mask)),)))
            calls.append((f"size {memory}", ()))
            calls.append(
                (f"fill {memory}", (kind.address(source), source.getrandbits(32), source.choice(lengths)))
            )
            init = (source.choice((0, 1, 16, 17, 2**32 - 1)), source.choice((0, 1, 15, 16, 2**32 - 1)))
            calls.append((f"init {memory}", (kind.address(source), *init)))
        for other, from_kind in enumerate(KINDS):
            shorter = index if from_kind.index == "i64" else from_kind.index
            fields.append(
                f'(func (export "copy {memory} {other}") (param {index} {from_kind.index} {shorter})'
                f" (memory.copy {memory} {other} (local.get 0) (local.get 1) (local.get 2)))"
            )
            for _ in range(12):
                length = source.choice((0, 1, 15, 20, 40, 3000, (1 << int(shorter[1:])) - 1))
                calls.append(
                    (f"copy {memory} {other}", (kind.address(source), from_kind.address(source), length))
                )
    source.shuffle(calls)
    return Case(bytes(wat2wasm(f"(module {' '.join(fields)})")), tuple(calls), f"m{seed % len(KINDS)}")


def table_case(seed: int) -> Case:
    """Two tables, with 32-bit and 64-bit indices, whose functions tell themselves apart."""
    source = random.Random(seed)
    indices = ("i32", "i64")
    fields = ["(type $t (func (result i32)))", "(elem $e func $f0 $f1 $f2 $f3)"]
    fields += [f"(func $f{number} (type $t) (i32.const {number}))" for number in range(4)]
    calls: list[tuple[str, tuple[int, ...]]] = []

    def place(index: str) -> int:
        bits = int(index[1:])
        return (
            source.choice((source.randint(0, 25), source.randint(-3, 3), 1 << 31, 1 << 32, 1 << 63))
            & (1 << bits) - 1
        )

    for table, index in enumerate(indices):
        given = f"(param {index})"
        fields.append(
            f"(table {index} 10 20 funcref)"
            f'(func (export "call {table}") {given} (result i32) (call_indirect {table} (type $t) (local.get 0)))'
            f'(func (export "null {table}") {given} (result i32) (ref.is_null (table.get {table} (local.get 0))))'
            f'(func (export "set {table}") (param {index}) (table.set {table} (local.get 0) (ref.func $f1)))'
            f'(func (export "grow {table}") (param {index}) (result {index})'
            f" (table.grow {table} (ref.func $f2) (local.get 0)))"
            f'(func (export "size {table}") (result {index}) (table.size {table}))'
            f'(func (export "fill {table}") (param {index} {index})'
            f" (table.fill {table} (local.get 0) (ref.func $f3) (local.get 1)))"
            f'(func (export "init {table}") (param {index} i32 i32)'
            f" (table.init {table} $e (local.get 0) (local.get 1) (local.get 2)))"
        )
        for _ in range(40):
            calls += [
                (f"call {table}", (place(index),)),
                (f"null {table}", (place(index),)),
                (f"set {table}", (place(index),)),
                (f"grow {table}", (source.choice((0, 1, 1, (1 << int(index[1:])) - 1)),)),
                (f"size {table}", ()),
                (f"fill {table}", (place(index), place(index))),
                (f"init {table}", (place(index), place("i32"), place("i32"))),
            ]
        for other, from_index in enumerate(indices):
            shorter = index if from_index == "i64" else from_index
            fields.append(
                f'(func (export "copy {table} {other}") (param {index} {from_index} {shorter})'
                f" (table.copy {table} {other} (local.get 0) (local.get 1) (local.get 2)))"
            )
            calls += [
                (f"copy {table} {other}", (place(index), place(from_index), place(shorter)))
                for _ in range(40)
            ]
    source.shuffle(calls)
    return Case(bytes(wat2wasm(f"(module {' '.join(fields)})")), tuple(calls))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [memory_case, table_case])
def test_random_operations(engine, oracle, make, seed):
    case = make(seed)
    ours, theirs = run_on_farcall(engine, case, ensure_termination=False), oracle.run(case)
    pairs = zip(case.calls, ours.outcomes, theirs.outcomes, strict=True)
    assert [(call, our, their) for call, our, their in pairs if our != their] == []
    assert ours.memory == theirs.memory
    returned = sum(isinstance(outcome, tuple) for outcome in ours.outcomes)
    assert len(ours.outcomes) / 10 < returned < len(ours.outcomes)


WIDE = ("i64.add128", "i64.sub128", "i64.mul_wide_s", "i64.mul_wide_u")


@pytest.mark.parametrize("name", WIDE)
def test_wide_arithmetic(engine, oracle, name):
    """With operands from run time and with constant ones."""
    count = 4 if "128" in name else 2
    source = random.Random(name)
    values = interesting_values("i64")

    def operands() -> tuple[int, ...]:
        return tuple(source.choice((source.choice(values), source.getrandbits(64))) for _ in range(count))

    calls = [("run", operands()) for _ in range(2000)]
    parameters = " ".join(f"(local.get {position})" for position in range(count))
    fields = f'(func (export "run") (param {"i64 " * count}) (result i64 i64) ({name} {parameters}))'
    for number in range(100):
        constants = " ".join(f"(i64.const {value})" for value in operands())
        fields += f'(func (export "{number}") (result i64 i64) ({name} {constants}))'
        calls.append((str(number), ()))
    case = Case(bytes(wat2wasm(f"(module {fields})")), tuple(calls))
    ours, theirs = run_on_farcall(engine, case, ensure_termination=False), oracle.run(case)
    assert ours.outcomes == theirs.outcomes
