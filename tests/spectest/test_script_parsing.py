"""Scripts are parsed into commands, with the lines they stand on."""

from __future__ import annotations

import pytest

from .assembler import assemble, plain_ascii
from .commands import (
    ActionCommand,
    AssertRefused,
    AssertReturn,
    AssertStopped,
    Get,
    InstanceCommand,
    Invoke,
    ModuleCommand,
    RegisterCommand,
    ThreadCommand,
    WaitCommand,
    parse_script,
)
from .legacy_try import unfold_legacy_try
from .s_expressions import ScriptSyntaxError, String, parse, unescape
from .suite import HOW_TO_GET_IT, all_scripts, suite_directory
from .values import Argument, ExactBits, HostPattern, HostReference

EMPTY = b"\0asm\1\0\0\0"


def test_commands_carry_their_lines_and_contents():
    commands = parse_script(
        b"""(module $M (func (export "f") (param i32)))  ;; line 1
        (register "lib" $M)
        (invoke $M "f" (i32.const -1))
        (assert_return (get "g") (i64.const 0x10))
        (assert_trap (invoke "f") "unreachable") (assert_malformed (module binary "\\00a" "sm") "end")
        (module instance $I $M)
        (thread $T (shared (module $M)) (register "lib" $M))
        (wait $T)
        """
    )
    assert commands[1:6] == [
        RegisterCommand(2, "lib", "$M"),
        ActionCommand(3, Invoke("$M", "f", (Argument("i32", 0xFFFFFFFF),))),
        AssertReturn(4, Get(None, "g"), (ExactBits("i64", 16),)),
        AssertStopped(5, "assert_trap", Invoke(None, "f", ()), "unreachable"),
        AssertRefused(5, "assert_malformed", commands[5].source, "end"),
    ]
    assert commands[5].source.content == b"\0asm"
    assert commands[6:] == [
        InstanceCommand(6, "$I", "$M"),
        ThreadCommand(7, "$T", ("$M",), (RegisterCommand(7, "lib", "$M"),)),
        WaitCommand(8, "$T"),
    ]


@pytest.mark.parametrize(
    "script",
    [
        b"(module)",
        b"(module $name)",
        b"(module definition $name)",
        b'(module binary "\\00asm" "\\01\\00\\00\\00")',
        b'(module definition $name binary "\\00asm\\01\\00\\00\\00")',
        b'(module quote "(mod" "ule)")'.replace(b'" "', b""),
        b'(module $name quote "(func)" "(memory 1)")',
    ],
)
def test_every_form_of_module_assembles(script):
    (command,) = parse_script(script)
    assert isinstance(command, ModuleCommand)
    assert command.definition_only == (b"definition" in script)
    assert assemble(command.source)[:8] == EMPTY


def test_a_file_may_be_a_modules_fields():
    (command,) = parse_script(b'(func) (memory 0) (func (export "f"))')
    assert assemble(command.source).startswith(EMPTY)


def test_comments_nest_and_annotations_hold_any_tokens():
    expressions = parse(b'(a (; (; "not a string ;) ( ;) b) ;; (\n (@x , ; ] ({) "s") (@"y z" (deep)) (c)')
    assert [form.head for form in expressions] == ["a", "c"]


def test_strings_resolve_their_escapes():
    literal = b'"a\\"\\\\\\t\\n\\r\\\'\\4a\\u{20ac}"'
    assert parse(literal) == [String(b"a\"\\\t\n\r'J\xe2\x82\xac", 0, len(literal))]
    assert unescape(b"\\ff\\00") == b"\xff\0"


def test_deep_nesting_costs_no_stack():
    depth = 100_000
    (form,) = parse(b"(" * depth + b")" * depth)
    assert form.end == 2 * depth


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (b"(module", "line 1: unclosed"),
        (b"(module)\n)", r"line 2: unexpected \)"),
        (b'(module)\n"open', "line 2: unclosed string"),
        (b"(module)\n\n(; (; ;)", "line 3: unclosed block comment"),
        (b"(module)\n(assert_everything)", "line 2: a command is expected"),
        (b'(assert_return (invoke "f") (i32.const 0x1_0000_0000))', "integer out of range"),
        (b'(assert_return (invoke "f" (i32.const)))', "not a constant"),
        (b"(assert_trap)", "missing"),
    ],
)
def test_what_is_no_script_is_refused_with_its_line(script, message):
    with pytest.raises(ScriptSyntaxError, match=message):
        parse_script(script)


def test_deceiving_characters_are_escaped_for_the_assembler():
    text = '(module (; \u202e ;) (func (export "\u202e")))'.encode()
    assert plain_ascii(text) == b'(module (; ??? ;) (func (export "\\e2\\80\\ae")))'


def test_a_folded_legacy_try_is_unfolded():
    text = (
        b"(module (tag $e) (func $untouched (nop)) (func (result i32) "
        b"(if (result i32) (i32.const 1) (then (i32.eqz (try $l (result i32) (do (throw $e)) "
        b"(catch $e (i32.const 2)) (catch_all (try (do) (delegate $l)) (i32.const 3))))) "
        b"(else (i32.const 4)))))"
    )
    unfolded = b" ".join(unfold_legacy_try(text).split())
    assert (
        b"(i32.const 1) if (result i32) try $l (result i32) (throw $e) catch $e (i32.const 2) catch_all "
        b"try delegate $l (i32.const 3) end i32.eqz else (i32.const 4) end" in unfolded
    )
    assert b"(func $untouched (nop))" in unfolded


def test_references_are_parsed():
    (command,) = parse_script(b'(assert_return (invoke "f" (ref.extern 7) (ref.null func)) (ref.host 7))')
    assert command.action.arguments == (Argument("ref", HostReference(7)), Argument("ref", None))
    assert command.patterns == (HostPattern(7),)


def test_every_script_of_the_suite_parses():
    directory = suite_directory()
    if directory is None:
        pytest.skip(HOW_TO_GET_IT)
    scripts = all_scripts(directory)
    assert len(scripts) > 200
    for name, path in scripts:
        assert parse_script(path.read_bytes()), name
