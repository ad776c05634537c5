"""Random programs of tail calls and exceptions, in text: two modules that call, throw and catch through each other.

Every function and every turn of a loop burns fuel from a global that both share; without fuel, functions return. So
branches, calls and throws may go anywhere, and every program ends.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import wasmtime

from .case import Case

TAGS = {"$e0": (), "$e1": ("i64",), "$e2": ("i64", "f64", "i32")}
_LOCALS = 4
_SHARED_FUNCTIONS = 4
"""Functions of each module, all in the table that both share: the library's first."""

_COUNTS = (1, 2, 3, 5, 8, 14)
"""Parameters of the function types; tail entries have registers for some of them only."""


@dataclass
class Program:
    """Two modules' texts, and the names of what the second exports."""

    library: str
    main: str
    functions: list[str]


class _Function:
    """Makes the body of one function."""

    def __init__(self, source: random.Random, callees: dict[str, int], parameters: int, size: int) -> None:
        self._source = source
        self._callees = callees
        self._parameters = parameters
        self._left = size
        self._labels = 0
        self._targets: list[str] = []  # labels that take nothing

    def _label(self) -> str:
        self._labels += 1
        return f"$l{self._labels}"

    def body(self) -> str:
        statements = self.statements(0)
        return f"{_locals()} {_BURN} {statements} {self.expression(0)}"

    def statements(self, depth: int) -> str:
        return " ".join(self._statement(depth) for _ in range(self._source.randrange(1, 5)))

    def _statement(self, depth: int) -> str:
        self._left -= 1
        if self._left < 0 or depth > 6:
            return self._set(depth)
        kind = self._source.choice(
            (
                *("set", "set", "global", "if", "block", "loop", "br_if", "br_table", "throw", "try", "try"),
                *("try", "catch_ref", "throw_ref", "call", "call", "tail", "tail_indirect", "return"),
            )
        )
        return str(getattr(self, f"_{kind}")(depth))

    # -- Values ----------------------------------------------------------------------------------------------------

    def _local(self) -> str:
        return self._source.choice(
            [f"$v{index}" for index in range(_LOCALS)] + [f"$p{index}" for index in range(self._parameters)]
        )

    def expression(self, depth: int) -> str:
        self._left -= 1
        kind = self._source.randrange(10 if self._left > 0 and depth < 7 else 4)
        if kind == 0:
            return f"(i64.const {self._source.choice((0, 1, -1, 7, 1 << 40, self._source.getrandbits(62)))})"
        if kind < 4:
            return f"(local.get {self._local()})"
        if kind < 7:
            operation = self._source.choice(("add", "sub", "mul", "xor", "rotl", "and"))
            return f"(i64.{operation} {self.expression(depth + 1)} {self.expression(depth + 1)})"
        if kind == 7:
            return f"(call {self._callee(depth)})"
        # Operands live over what the try_table does.
        label, first = self._label(), self.expression(depth + 1)
        inner = f"{self.statements(depth + 2)} {self.expression(depth + 1)}"
        return f"(i64.add {first} (block {label} (result i64) (try_table (result i64) (catch $e1 {label}) {inner})))"

    def _condition(self, depth: int) -> str:
        return f"(i32.wrap_i64 (i64.and {self.expression(depth + 1)} (i64.const 1)))"

    def _arguments(self, count: int, depth: int) -> str:
        return " ".join(self.expression(depth + 2) for _ in range(count))

    def _callee(self, depth: int) -> str:
        callee = self._source.choice(list(self._callees))
        return f"{callee} {self._arguments(self._callees[callee], depth)}"

    # -- Statements ------------------------------------------------------------------------------------------------

    def _set(self, depth: int) -> str:
        return f"(local.set {self._local()} {self.expression(depth)})"

    def _global(self, depth: int) -> str:
        return f"(global.set $seen (i64.add (global.get $seen) {self.expression(depth)}))"

    def _if(self, depth: int) -> str:
        then, otherwise = self.statements(depth + 1), self.statements(depth + 1)
        return f"(if {self._condition(depth)} (then {then}) (else {otherwise}))"

    def _inside(self, label: str, depth: int) -> str:
        self._targets.append(label)
        try:
            return self.statements(depth + 1)
        finally:
            self._targets.pop()

    def _block(self, depth: int) -> str:
        label = self._label()
        return f"(block {label} {self._inside(label, depth)})"

    def _loop(self, depth: int) -> str:
        label = self._label()
        return f"(loop {label} {_BURN} {self._inside(label, depth)} (br_if {label} {self._condition(depth)}))"

    def _br_if(self, depth: int) -> str:
        if not self._targets:
            return self._set(depth)
        return f"(br_if {self._source.choice(self._targets)} {self._condition(depth)})"

    def _br_table(self, depth: int) -> str:
        if not self._targets:
            return self._set(depth)
        labels = " ".join(self._source.choices(self._targets, k=3))
        index = f"(i32.wrap_i64 (i64.and {self.expression(depth + 1)} (i64.const 3)))"
        return f"(if {self._condition(depth)} (then (br_table {labels} {index})))"

    def _throw(self, depth: int) -> str:
        tag = self._source.choice(list(TAGS))
        values = {
            "i64": lambda: self.expression(depth + 1),
            "f64": lambda: f"(f64.convert_i64_s {self.expression(depth + 1)})",
            "i32": lambda: f"(i32.wrap_i64 {self.expression(depth + 1)})",
        }
        operands = " ".join(values[kind]() for kind in TAGS[tag])
        return f"(if {self._condition(depth)} (then (throw {tag} {operands})))"

    def _try(self, depth: int) -> str:
        """Catches one tag with its values, perhaps others without any, perhaps all that is left."""
        after, label = self._label(), self._label()
        tag = self._source.choice(list(TAGS))
        clauses = [f"(catch {tag} {label})"]
        if self._source.getrandbits(1):
            clauses.append(f"(catch $e0 {self._source.choice([after, *self._targets])})")
        self._source.shuffle(clauses)
        if not self._source.randrange(3):
            clauses.append(f"(catch_all {self._source.choice([after, *self._targets])})")
        body = self._inside(after, depth)
        results = f"(result {' '.join(TAGS[tag])})" if TAGS[tag] else ""
        return (
            f"(block {after} (block {label} {results} (try_table {' '.join(clauses)} {body}) (br {after}))"
            f" {self._take(tag)})"
        )

    def _take(self, tag: str) -> str:
        takers = {
            "i64": f"(local.set {self._local()})",
            "f64": f"(i64.trunc_sat_f64_s) (local.set {self._local()})",
            "i32": f"(i64.extend_i32_s) (local.set {self._local()})",
        }
        return " ".join(takers[kind] for kind in reversed(TAGS[tag]))

    def _catch_ref(self, depth: int) -> str:
        after, label = self._label(), self._label()
        body = self._inside(after, depth)
        if self._source.getrandbits(1):
            block = f"(block {label} (result exnref) (try_table (catch_all_ref {label}) {body}) (br {after}))"
            return f"(block {after} {block} (local.set $exception))"
        tag = self._source.choice(list(TAGS))
        results = f"(result {' '.join((*TAGS[tag], 'exnref'))})"
        block = f"(block {label} {results} (try_table (catch_ref {tag} {label}) {body}) (br {after}))"
        return f"(block {after} {block} (local.set $exception) {self._take(tag)})"

    def _throw_ref(self, depth: int) -> str:
        thrown = (
            "(if (i32.eqz (ref.is_null (local.get $exception))) (then (throw_ref (local.get $exception))))"
        )
        return f"(if {self._condition(depth)} (then {thrown}))"

    def _call(self, depth: int) -> str:
        return f"(local.set {self._local()} (call {self._callee(depth)}))"

    def _tail(self, depth: int) -> str:
        return f"(if {self._condition(depth)} (then (return_call {self._callee(depth)})))"

    def _tail_indirect(self, depth: int) -> str:
        # Mostly of the right type: each has its place among the functions of all types.
        place = self._source.randrange(2 * _SHARED_FUNCTIONS)
        count = _COUNTS[place % len(_COUNTS)]
        call = f"(return_call_indirect (type $t{count}) {self._arguments(count, depth)} (i32.const {place}))"
        return f"(if {self._condition(depth)} (then {call}))"

    def _return(self, depth: int) -> str:
        return f"(if {self._condition(depth)} (then (return {self.expression(depth)})))"


_BURN = """(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
  (if (i32.lt_s (global.get $fuel) (i32.const 0)) (then (return (i64.const 0))))"""


def _locals() -> str:
    return " ".join(f"(local $v{index} i64)" for index in range(_LOCALS)) + " (local $exception exnref)"


def _types() -> str:
    return " ".join(f"(type $t{count} (func (param {'i64 ' * count}) (result i64)))" for count in _COUNTS)


def _tags(imported: bool) -> str:
    lines = []
    for name, values in TAGS.items():
        parameters = f"(param {' '.join(values)})" if values else ""
        shared = f'(import "library" "{name}")' if imported else f'(export "{name}")'
        lines.append(f"(tag {name} {shared} {parameters})")
    return " ".join(lines)


def _function(source: random.Random, place: int, callees: dict[str, int], size: int) -> str:
    count = _COUNTS[place % len(_COUNTS)]
    parameters = " ".join(f"(param $p{index} i64)" for index in range(count))
    body = _Function(source, callees, count, size).body()
    return f'(func $f{place} (export "f{place}") (type $t{count}) {parameters} (result i64) {body})'


def _runner(place: int) -> str:
    """An export that gives fuel, calls a function, and returns what it throws as a number."""
    count = _COUNTS[place % len(_COUNTS)]
    arguments = " ".join(f"(i64.add (local.get 1) (i64.const {index}))" for index in range(count))
    return f"""(func (export "run{place}") (param i32 i64) (result i64)
      (global.set $fuel (local.get 0))
      (block $e2 (result i64 f64 i32)
        (block $e1 (result i64)
          (block $e0
            (return (try_table (result i64) (catch $e0 $e0) (catch $e1 $e1) (catch $e2 $e2)
              (call $f{place} {arguments}))))
          (return (i64.const -1000)))
        (return (i64.xor (i64.const 0x5555))))
      (drop) (i64.trunc_sat_f64_s) (i64.add) (i64.xor (i64.const 0xAAAA)))"""


def generate_control(source: random.Random, size: int) -> Program:
    """A program whose functions have about `size` instructions each."""
    own = range(_SHARED_FUNCTIONS)
    others = range(_SHARED_FUNCTIONS, 2 * _SHARED_FUNCTIONS)
    callees = {f"$f{place}": _COUNTS[place % len(_COUNTS)] for place in own}
    library = f"""(module {_types()} {_tags(imported=False)}
      (global $fuel (export "fuel") (mut i32) (i32.const 0)) (global $seen (export "seen") (mut i64) (i64.const 0))
      (table (export "table") {2 * _SHARED_FUNCTIONS} funcref) (elem (i32.const 0) {" ".join(callees)})
      {" ".join(_function(source, place, callees, size) for place in own)})"""
    imports = " ".join(
        f'(import "library" "f{place}" (func $f{place} (type $t{_COUNTS[place % len(_COUNTS)]})))'
        for place in own
    )
    mine = [f"$f{place}" for place in others]
    callees |= {f"$f{place}": _COUNTS[place % len(_COUNTS)] for place in others}
    main = f"""(module {_types()} {imports} {_tags(imported=True)}
      (import "library" "table" (table {2 * _SHARED_FUNCTIONS} funcref))
      (global $fuel (import "library" "fuel") (mut i32)) (global $seen (import "library" "seen") (mut i64))
      (export "seen" (global $seen)) (elem (i32.const {_SHARED_FUNCTIONS}) {" ".join(mine)})
      {" ".join(_function(source, place, callees, size) for place in others)}
      {" ".join(_runner(place) for place in (*own, *others))})"""
    return Program(library, main, [f"run{place}" for place in (*own, *others)])


def control_case(seed: int, size: int) -> Case:
    """The program of a seed, and calls of its functions with little and much fuel."""
    source = random.Random(seed)
    program = generate_control(source, size)
    calls = [(name, (fuel, source.getrandbits(64))) for name in program.functions for fuel in (5, 40, 300)]
    return Case(
        bytes(wasmtime.wat2wasm(program.main)),
        tuple(calls),
        globals=("seen",),
        library=bytes(wasmtime.wat2wasm(program.library)),
    )
