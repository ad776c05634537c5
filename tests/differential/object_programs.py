"""Random programs on structures, arrays, i31 and casts, as text: every export takes and gives i32.

(wasmtime's Python package ends the process when it is asked for a type that garbage collection adds.)

A program has a few structure types in a hierarchy, arrays of references and of bytes, tables and globals that keep
objects, and functions that do random things with them. Each function burns fuel, so that all end.
"""

from __future__ import annotations

import random
from collections.abc import Callable

TYPES = """
  (type $base (sub (struct (field $n (mut i32)) (field $next (mut anyref)))))
  (type $left (sub $base (struct (field (mut i32)) (field (mut anyref)) (field $small (mut i8)))))
  (type $deep (sub final $left
    (struct (field (mut i32)) (field (mut anyref)) (field (mut i8)) (field $wide (mut i64)) (field $half (mut i16)))))
  (type $right (sub $base (struct (field (mut i32)) (field (mut anyref)) (field $other (mut (ref null $base))))))
  (type $refs (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (type $words (array (mut i64)))
  (type $op (func (param i32) (result i32)))
  (data $data "the bytes that arrays are made of")
  (elem $elements anyref (ref.i31 (i32.const 1)) (ref.null any) (struct.new $base (i32.const 7) (ref.null any))
    (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2)))
  (table $table 8 anyref)
  (global $kept (mut anyref) (ref.null any))
  (global $fuel (mut i32) (i32.const 0))"""

STRUCTS = ("base", "left", "deep", "right")
ARRAYS = ("refs", "bytes", "words")
HEAPS = (*(f"${name}" for name in (*STRUCTS, *ARRAYS)), "i31", "struct", "array", "eq", "any", "none")


class ObjectProgram:
    """One program, from a seed."""

    def __init__(self, seed: int, functions: int = 4, statements: int = 12) -> None:
        self._random = random.Random(seed)
        self._count = functions
        self._statements = statements

    def text(self) -> str:
        """The module's text; it exports `f0` to `f<n>`."""
        functions = "".join(self._function(index) for index in range(self._count))
        return f"(module {TYPES}{functions}{CHECKSUM})"

    def _pick(self, *choices: str | Callable[[], str]) -> str:
        choice = self._random.choice(choices)
        return choice if isinstance(choice, str) else choice()

    def _function(self, index: int) -> str:
        body = "\n    ".join(self._statement() for _ in range(self._statements))
        return f"""
  (func $f{index} (export "f{index}") (type $op) (local $a anyref) (local $b anyref) (local $i i32)
    (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
    (if (i32.lt_s (global.get $fuel) (i32.const 0)) (then (return (i32.const -1))))
    (local.set $i (local.get 0))
    {body}
    (i32.add (local.get $i) (i32.mul (call $checksum (local.get $a) (i32.const 3)) (i32.const 31))))"""

    def _number(self, depth: int = 2) -> str:
        if depth == 0:
            return self._pick(
                "(local.get $i)", f"(i32.const {self._random.randrange(-3, 9)})", "(i32.const 2)"
            )
        return self._pick(
            lambda: self._number(0),
            lambda: f"(i32.add {self._number(depth - 1)} {self._number(0)})",
            lambda: f"(i32.and {self._number(depth - 1)} (i32.const 7))",
            lambda: (
                f"(ref.test (ref {self._pick('', 'null ')}{self._pick(*HEAPS)}) {self._reference(depth - 1)})"
            ),
            lambda: f"(call $checksum {self._reference(depth - 1)} (i32.const 2))",
            lambda: f"(ref.eq {self._eq(depth - 1)} {self._eq(depth - 1)})",
            lambda: f"(ref.is_null {self._reference(depth - 1)})",
        )

    def _eq(self, depth: int) -> str:
        return self._pick(
            lambda: f"(ref.i31 {self._number(depth)})",
            lambda: f"(ref.cast eqref {self._reference(depth)})",
            "(ref.null eq)",
        )

    def _wide(self) -> str:
        return f"(i64.mul (i64.extend_i32_s {self._number(1)}) (i64.const 0x123456789))"

    def _reference(self, depth: int = 2) -> str:
        if depth == 0:
            return self._pick(
                "(local.get $a)", "(local.get $b)", "(global.get $kept)",
                f"(table.get $table (i32.const {self._random.randrange(8)}))",
                f"(ref.i31 {self._number(0)})", "(ref.null any)",
            )  # fmt: skip
        inner = depth - 1
        return self._pick(
            lambda: self._reference(0),
            lambda: f"(struct.new $base {self._number(inner)} {self._reference(inner)})",
            lambda: (
                f"(struct.new $left {self._number(inner)} {self._reference(inner)} {self._number(inner)})"
            ),
            lambda: (
                f"""(struct.new $deep {self._number(inner)} {self._reference(inner)} {self._number(inner)}
                {self._wide()} {self._number(inner)})"""
            ),
            lambda: f"(struct.new $right {self._number(inner)} {self._reference(inner)} {self._base(inner)})",
            lambda: f"(struct.new_default ${self._pick(*STRUCTS)})",
            lambda: f"(array.new $refs {self._reference(inner)} (i32.const {self._random.randrange(9)}))",
            lambda: f"(array.new $bytes {self._number(inner)} (i32.const {self._random.randrange(40)}))",
            lambda: f"(array.new $words {self._wide()} (i32.const {self._random.randrange(9)}))",
            lambda: (
                f"(array.new_fixed $refs 3 {self._reference(0)} {self._reference(0)} {self._reference(0)})"
            ),
            lambda: f"(array.new_data $bytes $data (i32.const {self._random.randrange(4)}) (i32.const 9))",
            lambda: f"(array.new_elem $refs $elements (i32.const 0) (i32.const {self._random.randrange(5)}))",
            lambda: f"(struct.get $base $next (ref.cast (ref $base) {self._reference(inner)}))",
            lambda: (
                f"(array.get $refs (ref.cast (ref $refs) {self._reference(inner)}) {self._number(inner)})"
            ),
            lambda: (
                f"""(block $out (result anyref)
                (br_on_cast{self._pick("", "_fail")} $out anyref (ref {self._pick("", "null ")}{self._pick(*HEAPS)})
                  {self._reference(inner)}) (drop) {self._reference(0)})"""
            ),
            lambda: f"(any.convert_extern (extern.convert_any {self._reference(inner)}))",
        )

    def _base(self, depth: int) -> str:
        return self._pick(
            "(ref.null $base)",
            lambda: f"(struct.new $left {self._number(0)} {self._reference(0)} {self._number(0)})",
            lambda: f"(ref.cast (ref null $base) {self._reference(depth)})",
        )

    def _array(self, name: str) -> str:
        return f"(ref.cast (ref ${name}) {self._reference(1)})"

    def _set_field(self, struct: str, field: str, local: str, value: str) -> str:
        reference = f"(ref.cast (ref ${struct}) (local.get ${local}))"
        return f"""(if (ref.test (ref ${struct}) (local.get ${local})) (then
                (struct.set ${struct} ${field} {reference} {value})))"""

    def _call(self) -> str:
        return f"(call $f{self._random.randrange(self._count)} {self._number(1)})"

    def _statement(self) -> str:
        return self._pick(
            lambda: f"(local.set ${self._pick('a', 'b')} {self._reference(3)})",
            lambda: f"(local.set ${self._pick('a', 'b')} {self._reference(2)})",
            lambda: f"(local.set $i {self._number(3)})",
            lambda: f"(global.set $kept {self._reference(2)})",
            lambda: f"(table.set $table (i32.const {self._random.randrange(8)}) {self._reference(2)})",
            lambda: self._set_field("base", "n", "a", self._number(2)),
            lambda: self._set_field("base", "next", "b", self._reference(2)),
            lambda: self._set_field("deep", "half", "a", self._number(2)),
            lambda: f"""(if (ref.test (ref $refs) (local.get $a)) (then
                (array.fill $refs (ref.cast (ref $refs) (local.get $a)) (i32.const 0) {self._reference(1)}
                  (i32.const 1))))""",
            lambda: f"""(if (i32.and (ref.test (ref $refs) (local.get $a)) (ref.test (ref $refs) (local.get $b))) (then
                (array.copy $refs $refs (ref.cast (ref $refs) (local.get $a)) (i32.const 0)
                  (ref.cast (ref $refs) (local.get $b)) (i32.const {self._random.randrange(3)}) (i32.const 1))))""",
            lambda: f"(array.set $bytes {self._array('bytes')} {self._number(1)} {self._number(1)})",
            lambda: f"""(if (ref.test (ref $bytes) (local.get $b)) (then (array.init_data $bytes $data
                (ref.cast (ref $bytes) (local.get $b)) (i32.const 1) (i32.const 2) {self._number(1)})))""",
            lambda: f"(local.set $i (i32.add (local.get $i) {self._call()}))",
            """(loop $again (local.set $a (struct.new $left (local.get $i) (local.get $a) (i32.const 200)))
                (br_if $again (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 15))))""",
        )  # fmt: skip


CHECKSUM = """
  (func $checksum (param $r anyref) (param $depth i32) (result i32) (local $sum i32) (local $i i32)
    (if (i32.eqz (local.get $depth)) (then (return (i32.const 5))))
    (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
    (if (ref.is_null (local.get $r)) (then (return (i32.const 11))))
    (if (ref.test (ref i31) (local.get $r)) (then
      (return (i32.add (i31.get_s (ref.cast (ref i31) (local.get $r)))
        (i31.get_u (ref.cast (ref i31) (local.get $r)))))))
    (if (ref.test (ref $deep) (local.get $r)) (then (local.set $sum (i32.add
      (i32.wrap_i64 (struct.get $deep $wide (ref.cast (ref $deep) (local.get $r))))
      (i32.add (struct.get_s $deep $half (ref.cast (ref $deep) (local.get $r)))
        (struct.get_u $deep $half (ref.cast (ref $deep) (local.get $r))))))))
    (if (ref.test (ref $left) (local.get $r)) (then (local.set $sum (i32.add (local.get $sum)
      (i32.add (struct.get_s $left $small (ref.cast (ref $left) (local.get $r)))
        (i32.mul (i32.const 3) (struct.get_u $left $small (ref.cast (ref $left) (local.get $r)))))))))
    (if (ref.test (ref $right) (local.get $r)) (then (local.set $sum (i32.add (local.get $sum)
      (call $checksum (struct.get $right $other (ref.cast (ref $right) (local.get $r))) (local.get $depth))))))
    (if (ref.test (ref $base) (local.get $r)) (then (return (i32.add (local.get $sum)
      (i32.add (struct.get $base $n (ref.cast (ref $base) (local.get $r)))
        (i32.mul (i32.const 7)
          (call $checksum (struct.get $base $next (ref.cast (ref $base) (local.get $r))) (local.get $depth))))))))
    (if (ref.test (ref array) (local.get $r)) (then
      (block $end (loop $again
        (br_if $end (i32.ge_u (local.get $i) (array.len (ref.cast (ref array) (local.get $r)))))
        (local.set $sum (i32.mul (local.get $sum) (i32.const 13)))
        (if (ref.test (ref $refs) (local.get $r)) (then (local.set $sum (i32.add (local.get $sum) (call $checksum
          (array.get $refs (ref.cast (ref $refs) (local.get $r)) (local.get $i)) (local.get $depth))))))
        (if (ref.test (ref $bytes) (local.get $r)) (then (local.set $sum (i32.add (local.get $sum)
          (array.get_s $bytes (ref.cast (ref $bytes) (local.get $r)) (local.get $i))))))
        (if (ref.test (ref $words) (local.get $r)) (then (local.set $sum (i32.add (local.get $sum)
          (i32.wrap_i64 (array.get $words (ref.cast (ref $words) (local.get $r)) (local.get $i)))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again)))))
    (local.get $sum))
  (func (export "refuel") (global.set $fuel (i32.const 60)))
  (func (export "kept") (result i32) (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
        (call $checksum (table.get $table (local.get $i)) (i32.const 4))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
    (i32.add (local.get $sum) (call $checksum (global.get $kept) (i32.const 4))))"""
