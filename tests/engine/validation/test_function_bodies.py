"""Function bodies: what is valid passes, what is not is refused with reason, function and offset."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine.binary import decode_module
from farcall.engine.errors import InvalidModuleError, MalformedModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, TYPE, body, one_function, section, unsigned, vector


def load(source: bytes) -> None:
    validate_module(decode_module(source))


def assemble(fields: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {fields})"))


VALID = {
    "empty": "(func)",
    "results in order": "(func (result i32 f64) (i32.const 1) (f64.const 2))",
    "multi-value block": """(func (result i32)
        (i32.const 1) (block (param i32) (result i32 i64) (i64.const 2)) (drop))""",
    "loop with parameters": """(func
        (i32.const 1) (loop (param i32) (br_if 0 (i32.const 2) (i32.const 3)) (drop) (drop)))""",
    "if with else": """(func (result i64)
        (if (result i64) (i32.const 1) (then (i64.const 1)) (else (i64.const 2))))""",
    "if without else passes its parameters on": """(func (result i32)
        (i32.const 1) (i32.const 2) (if (param i32) (result i32) (then)))""",
    "branch out with more on the stack": "(func (block (i32.const 1) (br 0)))",
    "return with more on the stack": "(func (result i32) (f32.const 0) (i32.const 1) (return))",
    "unreachable code takes anything": """(func (result i32)
        (unreachable) (i32.add) (i32.eqz) (select) (br_if 0))""",
    "unreachable code and unknown operands": """(func
        (unreachable) (select) (i64.const 1) (i32.const 1) (select) (i64.eqz) (drop))""",
    "unreachable ends with its block": "(func (result i32) (block (unreachable)) (i32.const 1))",
    "unreachable br_table of unlike labels": """(func (result i32)
        (block (result f32) (unreachable) (br_table 0 1)) (drop) (i32.const 1))""",
    "br_table with values": """(func (param i32) (result i64)
        (block (result i64) (br_table 0 1 0 (i64.const 1) (local.get 0))))""",
    "locals": """(func (param i32) (local i64 f32)
        (local.set 1 (i64.const 1)) (drop (local.tee 2 (f32.const 1))) (local.set 0 (i32.const 1)))""",
    "typed select of references": """(func (param funcref) (result funcref)
        (select (result funcref) (local.get 0) (ref.null func) (i32.const 1)))""",
    "reference of an exported function": '(func $f (export "f")) (func (drop (ref.func $f)))',
    "reference of a declared function": "(func $f) (elem declare func $f) (func (drop (ref.func $f)))",
    "tables": """(table 1 externref) (func
        (table.set 0 (i32.const 0) (table.get 0 (i32.const 0)))
        (drop (table.grow 0 (ref.null extern) (i32.const 1)))
        (table.fill 0 (i32.const 0) (ref.null extern) (table.size 0)))""",
    "bulk memory": """(memory 1) (data "x") (func
        (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop 0)
        (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
        (memory.fill (i32.const 0) (i32.const 0) (memory.size)))""",
    "atomic accesses of a memory that is not shared": """(memory 1) (func (param i32 i64) (result i64)
        (drop (memory.atomic.wait32 (local.get 0) (i32.const 1) (local.get 1))) (atomic.fence)
        (i64.atomic.rmw16.cmpxchg_u (local.get 0) (local.get 1) (i64.const 0)))""",
    "natural alignment": """(memory 1) (func
        (drop (i64.load align=8 (i32.const 0))) (i32.store16 align=2 (i32.const 0) (i32.const 1)))""",
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_valid_functions_pass(fields):
    source = assemble(fields)
    wasmtime.Module.validate(wasmtime.Engine(), source)
    load(source)


INVALID = {
    "operand of another type": (
        "(func (drop (i32.add (i32.const 1) (f32.const 1))))",
        "type mismatch: instruction requires [i32] but stack has [f32]: i32.add",
    ),
    "operand missing": ("(func (drop))", "type mismatch: drop expected a value, found nothing"),
    "second operand missing": (
        "(func (result i64) (i64.const 1) (i64.mul))",
        "type mismatch: instruction requires [i64] but stack has []: i64.mul",
    ),
    "operand below the block": (
        "(func (result i32) (i32.const 1) (block (result i32) (i32.eqz)))",
        "type mismatch: instruction requires [i32] but stack has []: i32.eqz",
    ),
    "result missing": (
        "(func (result i32))",
        "type mismatch: instruction requires [i32] but stack has []: end",
    ),
    "value left": (
        "(func (i32.const 1))",
        "type mismatch: block requires [] but stack has [i32]",
    ),
    "value left in unreachable code": (
        "(func (unreachable) (i32.const 1))",
        "type mismatch: block requires [] but stack has [i32]",
    ),
    "known operand in unreachable code": (
        "(func (unreachable) (i64.const 1) (i32.eqz) (drop))",
        "type mismatch: instruction requires [i32] but stack has [i64]: i32.eqz",
    ),
    "if without else that changes types": (
        "(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1))))",
        "type mismatch: an if without else has the type () -> (i32)",
    ),
    "branch value": (
        "(func (result i32) (br 0 (i64.const 1)))",
        "type mismatch: instruction requires [i32] but stack has [i64]: br",
    ),
    "br_if leaves the label's types": (
        "(func (block (result i32) (br_if 0 (f32.const 1) (i32.const 1))) (drop))",
        "type mismatch: instruction requires [i32] but stack has [f32]: br_if",
    ),
    "br_table arity": (
        "(func (block (block (result i32) (br_table 0 1 (i32.const 1) (i32.const 1))) (drop)))",
        "type mismatch: labels of br_table take 1 and 0 values",
    ),
    "label": ("(func (block (br 2)))", "unknown label 2"),
    "label of br_table": ("(func (br_table 0 7 0 (i32.const 1)))", "unknown label 7"),
    "block type": ("(func (block (type 3)))", "unknown type 3"),
    "local": ("(func (param i32) (local i32) (local.set 2 (i32.const 1)))", "unknown local 2"),
    "local type": (
        "(func (local i64) (local.set 0 (i32.const 1)))",
        "type mismatch: instruction requires [i64] but stack has [i32]: local.set",
    ),
    "global": ("(func (drop (global.get 0)))", "unknown global 0"),
    "immutable global": (
        "(global i32 (i32.const 0)) (func (global.set 0 (i32.const 1)))",
        "immutable global 0",
    ),
    "function": ("(func (call 5))", "unknown function 5"),
    "argument": (
        "(func $f (param i32 i64)) (func (call $f (i32.const 1) (i32.const 1)))",
        "type mismatch: instruction requires [i64] but stack has [i32]: call",
    ),
    "table of call_indirect": ("(func (call_indirect (i32.const 0)))", "unknown table 0"),
    "table's type of call_indirect": (
        "(table 1 externref) (func (call_indirect (i32.const 0)))",
        "type mismatch: call_indirect through a table of externref",
    ),
    "memory": ("(func (drop (i32.load (i32.const 0))))", "unknown memory 0"),
    "alignment": (
        "(memory 1) (func (drop (i32.load16_u align=4 (i32.const 0))))",
        "alignment must not be larger than natural",
    ),
    "data segment": (
        '(memory 1) (data "x") (func (data.drop 0) (data.drop 1))',
        "unknown data segment 1",
    ),
    "element segment": ("(table 1 funcref) (func (elem.drop 0))", "unknown elem segment 0"),
    "undeclared reference": ("(func (drop (ref.func 0)))", "undeclared function reference"),
    "the start section declares nothing": (
        "(func $f) (start $f) (func (drop (ref.func $f)))",
        "undeclared function reference",
    ),
    "unknown reference": ("(func (drop (ref.func 9)))", "unknown function 9"),
    "ref.is_null of a number": (
        "(func (drop (ref.is_null (i32.const 1))))",
        "type mismatch: ref.is_null expected a reference, found i32",
    ),
    "untyped select of references": (
        "(func (param funcref) (drop (select (local.get 0) (local.get 0) (i32.const 1))))",
        "type mismatch: select without a type cannot choose a funcref",
    ),
    "select of unlike operands": (
        "(func (drop (select (i32.const 1) (i64.const 1) (i32.const 1))))",
        "type mismatch: instruction requires [i32] but stack has [i64]: select",
    ),
    "table.copy between unlike tables": (
        "(table 1 funcref) (table 1 externref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "type mismatch: table.copy of externref to a table of funcref",
    ),
    "table.init of an unlike segment": (
        "(table 1 externref) (elem func) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "type mismatch: table.init of (ref func) to a table of externref",
    ),
}


@pytest.mark.parametrize(("fields", "reason"), INVALID.values(), ids=INVALID)
def test_invalid_functions_are_refused_with_reason_and_function(fields, reason):
    source = assemble(f'(import "" "" (func (param f32))) {fields}')
    module = decode_module(source)
    with pytest.raises(InvalidModuleError) as raised:
        validate_module(module)
    error = raised.value
    assert error.reason.startswith(reason)
    function = next(body for body in module.functions if body.index == error.function_index)
    assert function.start <= error.offset < function.end


def test_the_offset_is_the_instruction_s():
    source = one_function(b"\x01\x01\x41\x80\x01\x1a\x45\x1a")
    with pytest.raises(InvalidModuleError) as raised:
        load(source)
    assert source[raised.value.offset] == 0x45
    assert str(raised.value) == (
        f"invalid module: type mismatch: instruction requires [i32] but stack has []: i32.eqz "
        f"(at byte {source.index(0x45):#x} in function 0)"
    )


def test_select_with_other_than_one_type_is_invalid():
    for code in (b"\0\x1c\0", b"\0\x1c\2\x7f\x7f"):
        with pytest.raises(InvalidModuleError, match="invalid result arity"):
            load(one_function(code))


MEMORY = section(5, b"\1\0\1")


def test_an_offset_beyond_the_address_space_is_invalid():
    load(one_function(b"\x41\0\x28\0" + unsigned(0xFFFFFFFF) + b"\x1a", between=MEMORY))
    with pytest.raises(InvalidModuleError, match="offset out of range: 4294967296"):
        load(one_function(b"\x41\0\x28\0" + unsigned(1 << 32) + b"\x1a", between=MEMORY))


def test_a_memory_index_may_be_written_out():
    load(one_function(b"\x41\0\x28\x40\0\0\x1a", between=MEMORY))
    with pytest.raises(InvalidModuleError, match="unknown memory 1"):
        load(one_function(b"\x41\0\x28\x40\1\0\x1a", between=MEMORY))


@pytest.mark.parametrize("runs", [[(3, 0x7F), (40_000, 0x7E), (1, 0x7D), (2_000, 0x7C)], [(1, 0x7F)] * 3000])
def test_locals_are_found_however_many_there_are(runs):
    declared = vector([unsigned(count) + bytes([code]) for count, code in runs])
    types = section(1, vector([b"\x60\2\x7d\x70\0"]))
    all_codes = [0x7D, 0x70, *(code for count, code in runs for _ in range(count))]
    zero = {
        0x7F: b"\x41\0",
        0x7E: b"\x42\0",
        0x7D: b"\x43\0\0\0\0",
        0x7C: b"\x44" + bytes(8),
        0x70: b"\xd0\x70",
    }
    step = max(1, len(all_codes) // 500)
    checked = sorted({*range(0, len(all_codes), step), 0, 1, 2, 4, 5, len(all_codes) - 1})
    for index in checked:
        code = zero[all_codes[index]] + b"\x21" + unsigned(index)
        code += b"\x20" + unsigned(index) + b"\x22" + unsigned(index) + b"\x1a"
        load(one_function(code, types=types, declared=declared))
        wrong = zero[0x7E if all_codes[index] != 0x7E else 0x7F] + b"\x21" + unsigned(index)
        with pytest.raises(InvalidModuleError, match=r"type mismatch: .*: local\.set "):
            load(one_function(wrong, types=types, declared=declared))
    with pytest.raises(InvalidModuleError, match=f"unknown local {len(all_codes)}"):
        load(one_function(b"\x20" + unsigned(len(all_codes)) + b"\x1a", types=types, declared=declared))


MALFORMED = {
    "opcode": (b"\1\xff", "illegal opcode ff", 1),
    "opcode after a prefix": (b"\xfc\x40", "illegal opcode fc 40", 0),
    "code after the end": (
        b"\x0b\1",
        "section size mismatch: the code ends before the function body does",
        1,
    ),
    "else outside of an if": (b"\1\5", "END opcode expected", 1),
    "block type": (b"\2\x41\x0b", "malformed value type: 0x41", 1),
    "integer": (b"\x41\x80\x80\x80\x80\x10\x1a", "integer too large", 1),
    "index": (b"\x10\x80\x80\x80\x80\x80\0", "integer representation too long", 1),
    "data.drop": (b"\xfc\x09\0", "data count section required: data.drop refers to it", 0),
}


@pytest.mark.parametrize(("code", "reason", "offset"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_code_is_refused_with_reason_and_offset(code, reason, offset):
    module = decode_module(one_function(code))
    with pytest.raises(MalformedModuleError) as raised:
        validate_module(module)
    assert raised.value.reason.startswith(reason)
    assert raised.value.offset == module.functions[0].start + offset
    assert raised.value.function_index == 0


def functions(*codes: bytes) -> bytes:
    return (
        HEADER
        + TYPE
        + section(3, vector([b"\0"] * len(codes)))
        + section(10, vector([body(code) for code in codes]))
    )


def test_malformed_goes_before_invalid_in_the_whole_module():
    with pytest.raises(MalformedModuleError, match="illegal opcode ff") as raised:
        load(functions(b"", b"\x1a", b"", b"\xff"))
    assert raised.value.function_index == 3
    with pytest.raises(MalformedModuleError, match="illegal opcode ff"):
        load(functions(b"\x1a\xff"))
    duplicate = section(7, b"\2" + b"\1x\0\0" * 2)
    with pytest.raises(MalformedModuleError, match="illegal opcode ff"):
        load(one_function(b"\xff", between=duplicate))


def test_a_body_that_runs_into_the_next_is_malformed():
    two = section(10, b"\2" + b"\3\0\x41\1" + body(b""))
    with pytest.raises(MalformedModuleError) as raised:
        load(HEADER + TYPE + section(3, b"\2\0\0") + two)
    assert raised.value.function_index == 0


def test_instructions_that_are_switched_off_name_the_feature_and_the_function():
    off = frozenset({Feature.GC})
    with pytest.raises(UnsupportedFeatureError) as raised:
        validate_module(decode_module(functions(b"", b"\xfb\x0c" + bytes(16)), off), off)
    assert raised.value.feature == "gc"
    assert raised.value.function_index == 1
