"""What is wrong with the name section and with branch hints is told, and the module is valid for all that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine import custom_section_problems, section_headers
from farcall.engine.binary import decode_module
from farcall.engine.errors import InvalidModuleError, MalformedModuleError
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, custom, name, section, unsigned, vector
from tests.engine.guests import wasm

HINTS = "metadata.code.branch_hint"


def problems(source):
    """The problems of a module's custom sections; the module is valid."""
    module = decode_module(source)
    validate_module(module)
    return custom_section_problems(module)


def only(source):
    """The kind, the reason and the offset of the only problem."""
    (problem,) = problems(source)
    return type(problem), problem.reason, problem.offset


# -- Names


NAMED = """(module $everything
  (import "m" "f" (func $imported (param i32)))
  (type $structure (struct (field $first i32) (field $second i64)))
  (table $table 1 funcref) (memory $memory 1) (global $global i32 (i32.const 0)) (tag $tag)
  (elem $elements func) (data $bytes "x")
  (func $own (param $parameter i32) (local $local i64) (block $label (br $label)))
  (func $locals (local i32 i32 f32)))"""

NAMES = [
    # what follows the module, kind, reason, offset in the content
    ([(0, name("twice")), (0, name("twice"))], MalformedModuleError, "subsection 0 after subsection 0", 8),
    ([(1, vector([])), (0, name(""))], MalformedModuleError, "subsection 0 after subsection 1", 3),
    ([(12, b"")], MalformedModuleError, "invalid name subsection id 12", 0),
    ([(0, name("abc") + b"x")], MalformedModuleError, "name subsection size mismatch: 5 bytes, its content has 4", 0),
    ([(0, b"\2\xc3\x28")], MalformedModuleError, "malformed UTF-8 encoding", 3),
    ([(0, b"\x05ab")], MalformedModuleError, "length out of bounds: a name of 5 bytes", 2),
    ([(1, b"\2\0\0")], MalformedModuleError, "unexpected end of section or function", 5),
    ([(1, b"\2\1\0\0\0")], MalformedModuleError, "1 stands before function 0", 5),
    ([(1, b"\2\1\0\1\0")], MalformedModuleError, "multiple names for function 1", 5),
    ([(1, b"\1\3\0")], InvalidModuleError, "unknown function 3", 3),
    ([(2, b"\1\0\1\0\0")], None, "", 0),  # a parameter of the imported function
    ([(2, b"\1\0\1\1\0")], InvalidModuleError, "unknown local of function 0: 1", 5),
    ([(2, b"\1\1\2\0\0\1\0")], None, "", 0),
    ([(2, b"\1\1\1\2\0")], InvalidModuleError, "unknown local of function 1: 2", 5),
    ([(2, b"\1\2\1\2\0")], None, "", 0),
    ([(2, b"\1\2\1\3\0")], InvalidModuleError, "unknown local of function 2: 3", 5),
    ([(2, b"\1\1\2\0\0\0\0")], MalformedModuleError, "multiple names for local of function 1: 0", 7),
    ([(3, b"\1\1\1\0\0")], None, "", 0),
    ([(4, b"\1\2\0")], None, "", 0),
    ([(4, b"\1\3\0")], InvalidModuleError, "unknown type 3", 3),
    ([(5, b"\1\1\0")], InvalidModuleError, "unknown table 1", 3),
    ([(6, b"\1\1\0")], InvalidModuleError, "unknown memory 1", 3),
    ([(7, b"\1\1\0")], InvalidModuleError, "unknown global 1", 3),
    ([(8, b"\1\1\0")], InvalidModuleError, "unknown element segment 1", 3),
    ([(9, b"\1\1\0")], InvalidModuleError, "unknown data segment 1", 3),
    ([(11, b"\1\1\0")], InvalidModuleError, "unknown tag 1", 3),
]  # fmt: skip


def strip_names():
    """The module without its name section."""
    whole = wasm(NAMED)
    (names,) = decode_module(whole).custom_sections
    content = whole[names.start : names.end]
    assert whole.endswith(custom("name", content))
    return whole.removesuffix(custom("name", content))


def test_what_an_assembler_writes_is_right():
    assert problems(wasm(NAMED)) == ()
    assert [entry.name for entry in decode_module(wasm(NAMED)).custom_sections] == ["name"]


@pytest.mark.parametrize(("subsections", "kind", "reason", "at"), NAMES)
def test_names(subsections, kind, reason, at):
    bare = strip_names()
    content = b"".join(bytes([number]) + unsigned(len(part)) + part for number, part in subsections)
    source = bare + custom("name", content)
    if kind is None:
        assert problems(source) == ()
        return
    what = "section" if kind is MalformedModuleError else "annotation"
    assert only(source) == (kind, f"@name {what}: {reason}", len(source) - len(content) + at)


def test_fields_have_names_in_structures_only():
    types = section(1, b"\2\x5f\1\x7f\0\x5e\x7f\0")
    assert problems(HEADER + types + custom("name", b"\x0a\5\1\0\1\0\0")) == ()
    for content, field in ((b"\x0a\5\1\0\1\1\0", "0: 1"), (b"\x0a\5\1\1\1\0\0", "1: 0")):
        reason = f"@name annotation: unknown field of type {field}"
        assert only(HEADER + types + custom("name", content))[:2] == (InvalidModuleError, reason)


def test_a_name_section_stands_at_the_end_and_once():
    names = custom("name", b"\0\2\1m")
    types = section(1, b"\1\x60\0\0")
    assert problems(HEADER + types + names) == ()
    assert only(HEADER + names + types)[:2] == (
        InvalidModuleError,
        "@name annotation: it stands before the type section",
    )
    assert problems(HEADER + types + names + custom("other", b"")) == ()
    source = HEADER + types + names + names
    assert only(source) == (
        InvalidModuleError,
        "@name annotation: a second section of this kind",
        len(source) - 4,
    )


# -- Branch hints


HINTED = """(module (import "m" "f" (func))
  (func (param i32) (local f64)
    (block (br_if 0 (local.get 0)))
    (if (i32.eqz (local.get 0)) (then (nop))))
  (func)
  (func (result i32) (loop (br_if 0 (i32.const 0))) (i32.const 1)))"""
"""Of function 1, the br_if is at 7, the if at 13; of function 3, the br_if is at 5."""


def hinted(content):
    """The module with hints, and where they begin."""
    module = wasm(HINTED)
    at = next(header.end for header in section_headers(module) if header.name == "function")
    return module[:at] + custom(HINTS, content) + module[at:], at + len(custom(HINTS, content)) - len(content)


HINT_LISTS = [
    # content, kind, reason, offset in the content
    (b"\0", None, "", 0),
    (b"\2\1\2\x07\1\0\x0d\1\1\3\1\5\1\1", None, "", 0),
    (b"\1\2\0", None, "", 0),
    (b"\1\1\1\x09\1\1", InvalidModuleError, "invalid target: end in function 1", 3),
    (b"\1\1\1\5\1\1", InvalidModuleError, "invalid target: local.get in function 1", 3),
    (b"\1\1\1\x06\1\1", MalformedModuleError, "no instruction of function 1 is at 6", 3),
    (b"\1\1\1\x00\1\1", MalformedModuleError, "no instruction of function 1 is at 0", 3),
    (b"\1\1\1\x7f\1\1", MalformedModuleError, "no instruction of function 1 is at 127", 3),
    (b"\1\1\2\7\1\1\7\1\1", MalformedModuleError, "duplicate annotation in function 1", 6),
    (b"\1\1\2\x0d\1\1\7\1\1", MalformedModuleError, "place 7 after place 13 in function 1", 6),
    (b"\1\1\1\7\2\1\1", MalformedModuleError, "a hint of 2 bytes, of 1 byte each is", 3),
    (b"\1\1\1\7\1\2", MalformedModuleError, "invalid hint value 0x02", 5),
    (b"\2\1\0\1\0", MalformedModuleError, "function 1 after function 1", 3),
    (b"\1\0\0", InvalidModuleError, "unknown function 0 among those that the module defines", 1),
    (b"\1\4\0", InvalidModuleError, "unknown function 4 among those that the module defines", 1),
    (b"\1\1\0\0", MalformedModuleError, "section size mismatch: 1 bytes after its content", 3),
    (b"\1\1\1\7\1", MalformedModuleError, "unexpected end of section or function", 5),
]  # fmt: skip


@pytest.mark.parametrize(("content", "kind", "reason", "at"), HINT_LISTS)
def test_branch_hints(content, kind, reason, at):
    source, start = hinted(content)
    if kind is None:
        assert problems(source) == ()
        return
    what = "section" if kind is MalformedModuleError else "annotation"
    assert only(source) == (kind, f"@{HINTS} {what}: {reason}", start + at)


def test_branch_hints_of_an_assembler():
    text = """(module (func) (func (param i32) (block
      (@metadata.code.branch_hint "\\00") (br_if 0 (local.get 0)) {}
      (@metadata.code.branch_hint "\\01") (if (local.get 0) (then)))))"""
    assert problems(wasm(text.format(""))) == ()
    kind, reason, _ = only(wasm(text.format('(@metadata.code.branch_hint "\\01") (nop)')))
    assert (kind, reason) == (InvalidModuleError, f"@{HINTS} annotation: invalid target: nop in function 1")


def test_branch_hints_stand_before_the_code():
    source = wasm(HINTED) + custom(HINTS, b"\0")
    assert only(source)[:2] == (InvalidModuleError, f"@{HINTS} annotation: it stands after the code section")
    assert only(HEADER + custom(HINTS, b"\1\0\0"))[:2] == (
        InvalidModuleError,
        f"@{HINTS} annotation: unknown function 0 among those that the module defines",
    )


# -- Both


@given(st.sampled_from(["name", HINTS]), st.binary(max_size=40))
def test_any_content_is_right_or_has_a_problem_in_it(title, content):
    source, start = hinted(content)
    if title == "name":
        source = strip_names() + custom("name", content)
        start = len(source) - len(content)
    for problem in problems(source):
        assert start <= problem.offset <= start + len(content)


def test_each_kind_has_a_problem_of_its_own():
    module = wasm(HINTED) + custom(HINTS, b"") + custom("name", b"\x7f") + custom("other", b"\xff")
    assert [problem.reason.split(" ")[0] for problem in problems(module)] == ["@name", f"@{HINTS}"]
