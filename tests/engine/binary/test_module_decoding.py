"""Modules: what is in them is found, where it is; what is malformed is refused, where it is."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
import wasmtime

from farcall.engine.binary import decode_module
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.module import ConstantExpression, Names
from farcall.engine.structure.type_text import type_texts
from farcall.engine.structure.types import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    ExternKind,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
)
from tests.engine.binary_format import (
    HEADER,
    TYPE,
    body,
    custom,
    name,
    one_function,
    section,
    unsigned,
    vector,
)

EVERYTHING = """
(module
  (type $binary (func (param i32 i64) (result f32 f64)))
  (type (func))
  (type (func (param i32 i64) (result f32 f64)))
  (import "env" "f" (func $imported (type $binary)))
  (import "env" "t" (table 1 2 externref))
  (import "env" "m" (memory 3 4))
  (import "env" "g" (global (mut i32)))
  (table $own 5 funcref)
  (global $answer i64 (i64.const -42))
  (global f64 (f64.const -0x1p+0))
  (func $first (type $binary) (local i32 i32 externref i32) (f32.const 1) (f64.const 2))
  (func $second)
  (export "second" (func $second)) (export "own" (table $own))
  (export "memory" (memory 0)) (export "answer" (global $answer))
  (start $second)
  (elem (table $own) (i32.const 1) func $first $second)
  (elem declare func $imported)
  (elem funcref (ref.null func) (ref.func $second))
  (data (i32.const 7) "active")
  (data "passive"))
"""


def initializers(expressions: tuple[ConstantExpression, ...]) -> list[tuple[str, tuple[object, ...]]]:
    return [
        (expression.instructions[0].name, expression.instructions[0].immediates) for expression in expressions
    ]


@pytest.fixture(scope="module")
def everything():
    return decode_module(bytes(wasmtime.wat2wasm(EVERYTHING)))


def test_types_are_found_and_equal_ones_are_one_object(everything):
    binary = FunctionType((I32, I64), (F32, F64))
    assert everything.types == (binary, FunctionType((), ()), binary)
    assert everything.types[0] is everything.types[2]


def test_index_spaces_hold_imports_first(everything):
    assert [(entry.module, entry.name, entry.kind) for entry in everything.imports] == [
        ("env", "f", ExternKind.FUNCTION),
        ("env", "t", ExternKind.TABLE),
        ("env", "m", ExternKind.MEMORY),
        ("env", "g", ExternKind.GLOBAL),
    ]
    assert everything.imports[0].type is everything.types[0]
    assert everything.imports[0].type_index == 0
    assert everything.function_types == (0, 0, 1)
    assert everything.imported_function_count == 1
    assert everything.tables == (TableType(EXTERNREF, Limits(1, 2)), TableType(FUNCREF, Limits(5)))
    assert everything.memories == (MemoryType(Limits(3, 4)),)
    assert everything.global_types == (GlobalType(I32, True), GlobalType(I64, False), GlobalType(F64, False))
    assert initializers(tuple(entry.initializer for entry in everything.globals)) == [
        ("i64.const", (-42,)),
        ("f64.const", (0xBFF0000000000000,)),
    ]


def test_functions_say_where_their_code_is(everything):
    first, second = everything.functions
    assert (first.index, first.type_index, second.index, second.type_index) == (1, 0, 2, 1)
    assert first.locals == ((2, I32), (1, EXTERNREF), (1, I32))
    assert everything.source[first.start : first.end] == b"\x43\0\0\x80\x3f\x44\0\0\0\0\0\0\0\x40\x0b"
    assert everything.source[second.start : second.end] == b"\x0b"


def test_exports_start_and_segments_are_found(everything):
    assert [(export.name, export.kind, export.index) for export in everything.exports] == [
        ("second", ExternKind.FUNCTION, 2),
        ("own", ExternKind.TABLE, 1),
        ("memory", ExternKind.MEMORY, 0),
        ("answer", ExternKind.GLOBAL, 1),
    ]
    assert everything.start == 2
    active, declarative, passive = everything.elements
    assert (active.mode, active.table, active.type.name) == ("active", 1, "(ref func)")
    assert initializers((active.table_offset,)) == [("i32.const", (1,))]
    assert initializers(active.initializers) == [("ref.func", (1,)), ("ref.func", (2,))]
    assert (declarative.mode, declarative.table_offset) == ("declarative", None)
    assert passive.mode == "passive"
    assert initializers(passive.initializers) == [("ref.null", (FUNCREF,)), ("ref.func", (2,))]
    first, second = everything.data
    assert (first.mode, everything.source[first.start : first.end]) == ("active", b"active")
    assert (second.mode, everything.source[second.start : second.end]) == ("passive", b"passive")


def test_names_and_digest(everything):
    assert everything.names.functions == {0: "imported", 1: "first", 2: "second"}
    assert everything.digest == hashlib.sha256(everything.source).hexdigest()


def test_offsets_point_at_what_they_are_of(everything):
    source = everything.source
    for entry in everything.imports:
        assert source[entry.offset :].startswith(name(entry.module) + name(entry.name))
    for export in everything.exports:
        assert source[export.offset :].startswith(name(export.name))
    assert source[everything.offsets.start] == everything.start
    assert [source[offset] for offset in everything.offsets.functions] == [0, 1]
    assert [source[offset] for offset in everything.offsets.tables] == [FUNCREF.code]


def test_a_copy_or_pickle_has_the_same_types(everything):
    for copied in (pickle.loads(pickle.dumps(everything)), copy.deepcopy(everything)):
        assert copied.types[0].parameters[0] is I32
        assert copied.tables[0].element is EXTERNREF
        assert copied.elements == everything.elements


def test_custom_sections_stand_anywhere_and_may_repeat():
    source = HEADER + custom("a", b"one") + TYPE + custom("", b"") + custom("a", b"two")
    module = decode_module(source)
    found = [(section.name, source[section.start : section.end]) for section in module.custom_sections]
    assert found == [("a", b"one"), ("", b""), ("a", b"two")]


FUNCTION_NAMES = b"\1" + unsigned(10) + vector([b"\0" + name("zero"), b"\5" + name("x")])


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\0\4" + name("mod") + FUNCTION_NAMES, Names("mod", {0: "zero"})),  # there is no function 5
        (FUNCTION_NAMES[:-6], Names(None, {})),
        (b"\0\4" + name("mod") + b"\1\xff\xff", Names("mod", {})),
        (b"\0\4" + b"\3\xff\xff\xff" + FUNCTION_NAMES, Names(None, {})),
        (b"\1\x80\x80\x80\x80\x10", Names(None, {})),
        (b"\2\1\0" + FUNCTION_NAMES, Names(None, {0: "zero"})),
        (b"", Names(None, {})),
    ],
)
def test_a_malformed_name_section_is_read_as_far_as_it_goes(content, names):
    assert decode_module(one_function(b"", after=custom("name", content))).names == names


def test_names_that_are_cut_off_keep_those_before():
    whole = b"\1" + unsigned(100) + unsigned(2) + b"\0" + name("zero") + b"\0\x7f"
    assert decode_module(one_function(b"", after=custom("name", whole))).names == Names(None, {0: "zero"})


MALFORMED = {
    "empty": (b"", "unexpected end", 0),
    "magic cut short": (b"\0as", "unexpected end", 3),
    "no magic": (b"\x7fELF\2\1\1\0", "magic header not detected", 0),
    "version cut short": (HEADER[:6], "unexpected end", 6),
    "version": (b"\0asm\2\0\0\0", "unknown binary version", 4),
    "component": (b"\0asm\x0d\0\1\0", "unknown binary version: a component, not a module", 4),
    "section id": (HEADER + section(14, b""), "malformed section id: 14", 8),
    "section past the end": (HEADER + b"\1\5\0", "length out of bounds", 8),
    "section longer than its content": (HEADER + section(1, b"\0\0"), "section size mismatch", 8),
    "section shorter than its content": (HEADER + b"\1\1\1\x60\0\0", "section size mismatch", 8),
    "sections out of order": (HEADER + section(3, b"\0") + TYPE, "unexpected content after last section", 11),
    "section twice": (
        HEADER + TYPE + TYPE,
        "unexpected content after last section: a second type section",
        14,
    ),
    "type form": (HEADER + section(1, b"\1\x40\0\0"), "malformed definition type: 0x40", 11),
    "value type": (HEADER + section(1, b"\1\x60\1\0\0"), "malformed value type: 0x00", 13),
    "import kind": (HEADER + section(2, b"\1\0\0\x05\0"), "malformed import kind: 0x05", 13),
    "import name": (HEADER + section(2, b"\1\1\xff\0\0\0"), "malformed UTF-8 encoding", 12),
    "import name past the end": (HEADER + section(2, b"\1\x7f\0"), "length out of bounds", 11),
    "table type": (HEADER + section(4, b"\1\x7f\0\0"), "malformed reference type: 0x7f", 11),
    "limits": (HEADER + section(4, b"\1\x70\x08\0"), "malformed limits flags: 0x08", 12),
    "mutability": (HEADER + section(6, b"\1\x7f\2\x41\0\x0b"), "malformed mutability: 0x02", 12),
    "initial value without end": (HEADER + section(6, b"\1\x7f\0\x41\0"), "unexpected end of section", 15),
    "export kind": (HEADER + section(7, b"\1\0\x05\0"), "malformed export kind: 0x05", 12),
    "element kind": (HEADER + section(9, b"\1\1\1\0"), "malformed element kind: 0x01", 12),
    "element flags": (HEADER + section(9, b"\1\x08\0"), "malformed elements segment kind: 0x8", 11),
    "data flags": (HEADER + section(11, b"\1\3\0"), "malformed data segment kind: 0x3", 11),
    "data past the end": (HEADER + section(11, b"\1\1\x7f"), "unexpected end of section or function", 13),
    "no code": (HEADER + TYPE + section(3, b"\1\0"), "function and code section have inconsistent", 18),
    "no functions": (HEADER + section(10, vector([body(b"")])), "function and code section have incons", 14),
    "data count": (HEADER + section(12, b"\1"), "data count and data section have inconsistent lengths", 11),
    "local count": (one_function(b"", declared=b"\1\x80\x80\x80\x80\x10\x7f"), "integer too large", 23),
    "too many locals": (
        one_function(b"", declared=b"\2\xff\xff\xff\xff\x0f\x7f\1\x7f"),
        "too many locals: 4294967296",
        29,
    ),
    "shared table": (HEADER + section(4, b"\1\x70\3\0\0"), "malformed limits flags: 0x03", 12),
    "byte of a body before the section's size": (
        one_function(b"\xff", after=b"\x0b\x02\0"),
        "illegal opcode ff",
        23,
    ),
}


@pytest.mark.parametrize(("source", "reason", "offset"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_modules_are_refused_with_reason_and_offset(source, reason, offset):
    with pytest.raises(MalformedModuleError) as raised:
        decode_module(source)
    assert raised.value.reason.startswith(reason)
    assert raised.value.offset == offset


@pytest.mark.parametrize(
    "source",
    [
        HEADER + section(1, b"\1\x4d\0\x5f\0"),
        HEADER + section(1, b"\1\x60\1\x64\x62\0\0"),
    ],
)
def test_what_is_switched_off_is_named(source):
    decode_module(source)
    with pytest.raises(UnsupportedFeatureError) as raised:
        decode_module(source, frozenset({Feature.CUSTOM_DESCRIPTORS}))
    assert raised.value.feature == "custom-descriptors"
    assert "switched off" in str(raised.value)


def test_a_prefix_of_a_module_is_malformed_unless_whole_sections_are_missing(everything):
    source = everything.source
    whole = {len(HEADER)}
    while (position := max(whole)) < len(source):
        size, shift = 0, 0
        for byte in source[position + 1 :]:
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        whole.add(position + 1 + shift // 7 + size)
    for length in sorted(set(range(len(source))) - whole):
        with pytest.raises(MalformedModuleError) as raised:
            decode_module(source[:length])
        assert 0 <= raised.value.offset <= length


def test_types_are_read_with_their_groups_and_supertypes():
    types = [
        b"\x4e\2"  # a group of two
        + b"\x50\0\x5f\2\x63\1\1\x78\0"  # (sub (struct (field (mut (ref null 1))) (field i8)))
        + b"\x4f\1\0\x5f\2\x63\1\1\x78\0",  # (sub final 0 (struct ...))
        b"\x5e\x77\1",  # (array (mut i16))
        b"\x60\1\x64\0\1\x6d",  # (func (param (ref 0)) (result eqref))
    ]
    module = decode_module(HEADER + section(1, vector(types)))
    assert type_texts(module) == [
        "(sub (struct (field (mut (ref null 1))) (field i8)))",
        "(sub final 0 (struct (field (mut (ref null 1))) (field i8)))",
        "(array (mut i16))",
        "(func (param (ref 0)) (result eqref))",
    ]
    assert module.type_problem is None
    assert module.defined_types[1].supertype is module.defined_types[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x60\1\x64\5\0", "unknown type 5"),
        (b"\x50\1\0\x5f\0", "unknown type 0: the supertype of type 0"),
        (b"\x50\1\7\x5f\0", "unknown type 7: the supertype of type 0"),
        (b"\x50\2\0\0\x5f\0", "a type with 2 supertypes"),
    ],
)
def test_what_is_invalid_about_types_is_kept_for_validation(content, reason):
    problem = decode_module(HEADER + section(1, b"\1" + content)).type_problem
    assert problem is not None
    assert problem.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x5e\x7f\2", "malformed mutability: 0x02"),
        (b"\x5e\x76\0", "malformed storage type: 0x76"),
        (b"\x50\0\x7f", "malformed definition type: 0x7f"),
        (b"\x4e\2\x5e\x7f\0", "unexpected end"),
        (b"\x5f\xff\xff\xff\xff\x0f", "unexpected end"),
    ],
)
def test_malformed_types_are_refused(content, reason):
    with pytest.raises(MalformedModuleError, match=reason):
        decode_module(HEADER + section(1, b"\1" + content))
