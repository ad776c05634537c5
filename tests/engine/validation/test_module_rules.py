"""Modules: what chapter 3 demands beside function bodies."""

from __future__ import annotations

import re

import pytest
import wasmtime

from farcall.engine.binary import decode_module
from farcall.engine.errors import InvalidModuleError
from farcall.engine.structure.types import ExternKind
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, TYPE, body, section, unsigned, vector


def assemble(fields: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {fields})"))


VALID = {
    "nothing": "",
    "largest memory": "(memory 65536 65536)",
    "shared memory": '(memory 0 65536 shared) (export "m" (memory 0))',
    "largest table": "(table 0xffffffff 0xffffffff funcref)",
    "several tables": "(table 1 funcref) (table 1 externref)",
    "initial value from an imported global": '(import "" "g" (global i32)) (global i32 (global.get 0))',
    "initial value from an earlier global": "(global $a i32 (i32.const 1)) (global i32 (global.get $a))",
    "offset from a global": '(memory 1) (global $a i32 (i32.const 1)) (data (global.get $a) "x")',
    "references as initial values": "(func $f) (global funcref (ref.func $f)) (global externref (ref.null extern))",
    "elements from a global": """(import "" "g" (global funcref)) (table 1 funcref)
        (elem (i32.const 0) funcref (global.get 0))""",
    "a start function": "(func $f) (start $f)",
    "names that differ": '(func (export "a") (export "b") (export ""))',
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_valid_modules_pass(fields):
    validate_module(decode_module(assemble(fields)))


INVALID = {
    "memory over 4 GiB": ("(memory 65537)", "memory size must be at most 65536 pages (4GiB): 65537"),
    "memory maximum over 4 GiB": ("(memory 0 65537)", "memory size must be at most 65536 pages (4GiB)"),
    "imported memory": (
        '(import "" "m" (memory 2 1))',
        "size minimum must not be greater than maximum: 2..1",
    ),
    "shared memory without maximum": ("(memory 1 shared)", "shared memory must have maximum"),
    "imported shared memory": ('(import "" "m" (memory 1 shared))', "shared memory must have maximum"),
    "table limits": ("(table 2 1 funcref)", "size minimum must not be greater than maximum"),
    "type of an import": ('(import "" "f" (func (type 0)))', "unknown type 0"),
    "global's initial value of another type": (
        "(global i32 (i64.const 1))",
        "type mismatch: constant expression expected i32, found i64",
    ),
    "no initial value": ("(global i32)", "type mismatch: constant expression expected i32, found nothing"),
    "two initial values": (
        "(global i32 (i32.const 1) (i32.const 2))",
        "type mismatch: constant expression expected i32, found i32, i32",
    ),
    "initial value not constant": (
        "(global i32 (i32.ctz (i32.const 1)))",
        "constant expression required: i32.ctz is not constant",
    ),
    "initial value with a block": (
        "(global i32 (block (result i32) (i32.const 1)))",
        "constant expression required: block is not constant",
    ),
    "initial value from a mutable global": (
        '(import "" "g" (global (mut i32))) (global i32 (global.get 0))',
        "constant expression required: global 0 is mutable",
    ),
    "initial value from itself": ("(global i32 (global.get 0))", "unknown global 0"),
    "initial value from a later global": (
        "(global i32 (global.get 1)) (global i32 (i32.const 1))",
        "unknown global 1",
    ),
    "initial value of an unknown function": ("(global funcref (ref.func 3))", "unknown function 3"),
    "export twice": ('(func (export "a")) (memory (export "a") 1)', "duplicate export name: 'a'"),
    "exported function": ('(export "a" (func 1))', "unknown function 1: exported as 'a'"),
    "exported table": ('(export "a" (table 0))', "unknown table 0"),
    "exported memory": ('(export "a" (memory 0))', "unknown memory 0"),
    "exported global": ('(export "a" (global 0))', "unknown global 0"),
    "start function": ("(start 0)", "unknown function 0: the start function"),
    "start function with parameters": (
        "(func $f (param i32)) (start $f)",
        "start function must take and return nothing: function 0 is (i32) -> ()",
    ),
    "data without memory": ('(data (i32.const 0) "x")', "unknown memory 0"),
    "data offset": (
        '(memory 1) (data (i64.const 0) "x")',
        "type mismatch: constant expression expected i32, found i64",
    ),
    "elements without table": ("(func) (elem (i32.const 0) 0)", "unknown table 0"),
    "elements of another type": (
        "(table 1 externref) (func) (elem (i32.const 0) func 0)",
        "type mismatch: elements of (ref func) for a table of externref",
    ),
    "elements of an unknown function": ("(table 1 funcref) (elem (i32.const 0) 5)", "unknown function 5"),
    "element that is a number": (
        "(table 1 funcref) (elem (i32.const 0) funcref (i32.const 1))",
        "type mismatch: constant expression expected funcref, found i32",
    ),
    "element offset": (
        "(table 1 funcref) (elem (f32.const 0))",
        "type mismatch: constant expression expected i32, found f32",
    ),
}


@pytest.mark.parametrize(("fields", "reason"), INVALID.values(), ids=INVALID)
def test_invalid_modules_are_refused_with_reason_and_offset(fields, reason):
    source = assemble(fields)
    with pytest.raises(InvalidModuleError) as raised:
        validate_module(decode_module(source))
    assert raised.value.reason.startswith(reason)
    assert len(HEADER) < raised.value.offset < len(source)
    assert raised.value.function_index is None


def test_limits_beyond_what_32_bits_count_are_invalid_not_malformed():
    for number, limits, reason in (
        (4, b"\x70\0" + unsigned(1 << 32), "table size"),
        (4, b"\x70\1\0" + unsigned((1 << 64) - 1), "table size"),
        (5, b"\0" + unsigned(1 << 63), "memory size"),
    ):
        source = HEADER + section(number, b"\1" + limits)
        with pytest.raises(InvalidModuleError, match=reason) as raised:
            validate_module(decode_module(source))
        assert raised.value.offset == 11


def test_the_offset_of_an_unknown_type_is_the_index_s():
    source = HEADER + TYPE + section(3, b"\3\0\0\5") + section(10, vector([body(b"")] * 3))
    with pytest.raises(InvalidModuleError, match="unknown type 5") as raised:
        validate_module(decode_module(source))
    assert source[raised.value.offset] == 5


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (
            "(i32.add (i32.const 1) (i64.const 2))",
            "type mismatch: instruction requires [i32] but stack has [i64]: i32.add",
        ),
        ("i32.const 1 i32.mul", "type mismatch: instruction requires [i32] but stack has []: i32.mul"),
        (
            "(i32.add (i32.const 1) (i32.const 2)) i32.const 3",
            "constant expression expected i32, found i32, i32",
        ),
        ("(i64.sub (i64.const 1) (i64.const 2))", "constant expression expected i32, found i64"),
        ("(i32.and (i32.const 1) (i32.const 2))", "constant expression required: i32.and is not constant"),
    ],
)
def test_operands_of_arithmetic_in_constant_expressions_are_checked(expression, reason):
    with pytest.raises(InvalidModuleError, match=re.escape(reason)):
        validate_module(decode_module(assemble(f"(global i32 {expression})")))


def test_every_kind_of_export_is_checked():
    for kind in ExternKind:
        source = HEADER + section(7, b"\1\0" + bytes([kind.value]) + b"\0")
        with pytest.raises(InvalidModuleError, match=f"unknown {kind.name.lower()} 0"):
            validate_module(decode_module(source))
