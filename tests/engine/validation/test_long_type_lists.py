"""Two bytes of code can stand for a thousand operands: they are not looked at one by one each time."""

from __future__ import annotations

import sys
import threading

import pytest

from farcall.engine.binary import decode_module
from farcall.engine.errors import InvalidModuleError
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, body, section, signed, unsigned, vector

I32, F64, FUNCREF, STRUCTREF, ANYREF, NULLREF = b"\x7f", b"\x7c", b"\x70", b"\x6b", b"\x6e", b"\x71"
EXNREF_NOT_NULL = b"\x64\x69"
MANY = 1000
TIMES = 400


def function(parameters=(), results=()):
    return b"\x60" + vector(parameters) + vector(results)


def structure(fields):
    return b"\x5f" + vector([field + b"\0" for field in fields])


def module(types, *codes, tags=()):
    """A module of types, after type 0, that takes and returns nothing; its functions: type and code."""
    functions = section(3, vector([unsigned(index) for index, _ in codes]))
    declared = section(13, vector([b"\0" + unsigned(index) for index in tags])) if tags else b""
    bodies = section(10, vector([body(code) for _, code in codes]))
    return HEADER + section(1, vector([function(), *types])) + functions + declared + bodies


UNREACHABLE, END, DROP = b"\0", b"\x0b", b"\x1a"
CONDITION = b"\x41\0"
BLOCK_OF_2 = b"\2\2"


def in_an_unreachable_block(code, types):
    """The code, in a block whose results are those of type 2, after what cannot be gone beyond."""
    return module(types, (0, BLOCK_OF_2 + UNREACHABLE + code * TIMES + UNREACHABLE + END + UNREACHABLE))


SAME = [function([I32] * MANY, [I32] * MANY), function([], [I32] * MANY), function([I32] * MANY, [])]
LOWER = [
    function([ANYREF] * MANY, []),
    function([], [NULLREF] * MANY),
    function([NULLREF] * MANY, [ANYREF] * MANY),
]
ALMOST_THE_SAME = [
    function([], [ANYREF] * (MANY - 6) + [[ANYREF, STRUCTREF][index >> bit & 1] for bit in range(6)])
    for index in range(64)
]
REFERENCES = [function(), function([], [FUNCREF] * MANY)]

SHAPES = {
    "br_if": module(
        SAME, (0, BLOCK_OF_2 + b"\x10\1" + (CONDITION + b"\x0d\0") * TIMES + END + UNREACHABLE), (2, b"\0")
    ),
    "unreachable br_if": in_an_unreachable_block(b"\x0d\0", SAME),
    "unreachable br_if with a value too few": in_an_unreachable_block(CONDITION + b"\x0d\0" + DROP, SAME),
    "unreachable br_on_null": in_an_unreachable_block(b"\xd5\0" + DROP, REFERENCES),
    "unreachable br_on_non_null": in_an_unreachable_block(b"\xd6\0", REFERENCES),
    "unreachable br_on_cast": in_an_unreachable_block(b"\xfb\x18\3\0\x70\x70", REFERENCES),
    "unreachable calls": module(SAME, (0, UNREACHABLE + b"\x10\1" * TIMES + UNREACHABLE), (1, b"\0")),
    "what becomes unreachable": module(SAME, (0, b"\x10\1\0" * TIMES), (2, b"\0")),
    "calls with subtypes": module(LOWER, (0, b"\x10\2\x10\1" * TIMES), (1, b"\0"), (2, b"\0")),
    "tail calls with subtypes": module(
        [function([], [ANYREF] * MANY), *LOWER], (1, b"\x12\1" * TIMES), (3, b"\0")
    ),
    "br_table to many lists of types": module(
        [*ALMOST_THE_SAME, function([], [NULLREF] * MANY)],
        (
            0,
            b"".join(b"\2" + signed(index + 1) for index in range(64))
            + (b"\x10\1" + CONDITION + b"\x0e" + vector([unsigned(depth) for depth in range(64)]) + b"\0") * TIMES
            + UNREACHABLE + (END + UNREACHABLE) * 64,
        ),
        (65, b"\0"),
    ),
    "if without else": module(
        LOWER, (0, (b"\x10\1" + CONDITION + b"\4\3" + END + b"\x10\2") * TIMES), (2, b"\0"), (1, b"\0")
    ),
    "catch clauses": module(
        [function([NULLREF] * MANY), function([], [ANYREF] * MANY)],
        (0, BLOCK_OF_2 + (b"\x1f\x40\1\0\0\0" + END) * TIMES + UNREACHABLE + END + UNREACHABLE),
        tags=[1],
    ),
    "catch clauses with references": module(
        [function([I32] * (MANY - 1)), function([], [I32] * (MANY - 1) + [EXNREF_NOT_NULL])],
        (0, BLOCK_OF_2 + (b"\x1f\x40\1\1\0\0" + END) * TIMES + UNREACHABLE + END + UNREACHABLE),
        tags=[1],
    ),
    "struct.new with subtypes": module(
        [structure([ANYREF] * MANY), function([], [NULLREF] * MANY)],
        (0, (b"\x10\1\xfb\0\1" + DROP) * TIMES),
        (2, b"\0"),
    ),
    "array.new_fixed with subtypes": module(
        [b"\x5e" + ANYREF + b"\0", function([], [NULLREF] * MANY)],
        (0, (b"\x10\1\xfb\x08\1" + unsigned(MANY) + DROP) * TIMES),
        (2, b"\0"),
    ),
    "unreachable array.new_fixed": module(
        [b"\x5e" + ANYREF + b"\0", function([], [NULLREF] * MANY)],
        (0, UNREACHABLE + (b"\x10\1\xfb\x08\1" + unsigned(MANY + 1) + DROP) * TIMES),
        (2, b"\0"),
    ),
}  # fmt: skip


def steps(source):
    """How many instructions of Python's it takes to decode and validate a module, where no machine code helps."""
    taken = 0

    def count(_frame, event, _argument):
        nonlocal taken
        taken += event == "opcode"
        return count

    def begin(frame, _event, _argument):
        if "/engine/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return count

    def work():
        sys.settrace(begin)
        try:
            validate_module(decode_module(source), native=False)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return taken


@pytest.mark.parametrize("source", SHAPES.values(), ids=SHAPES)
def test_steps_are_in_proportion_to_bytes(source):
    validate_module(decode_module(source), native=False)
    # Measured: at most 110. Where a thousand operands are looked at one by one, thousands.
    assert 10 * TIMES < steps(source) < 200 * len(source)


def test_what_does_not_match_is_named():
    """From the top of the stack downwards, as ever."""
    cases = [
        ([I32] * 500 + [F64] + [I32] * 499, b"\x10\1\x10\2", ("call", "i32", "f64")),
        ([I32] * 999, b"\x10\1\x10\2", ("call", "i32", "")),
        ([F64] + [I32] * 998, b"\0\x10\1\x10\2", ("call", "i32", "f64")),
        ([I32] * 999, b"\0\x10\1\x10\2\x10\2\0", None),
        ([ANYREF] * 1000, b"\x10\1\x10\3", ("call", "structref", "anyref")),
        ([NULLREF] * 1000, b"\x10\1\x10\3" * 3, None),
        ([NULLREF] * 999 + [I32], b"\x10\1\x10\3", ("call", "structref", "i32")),
        ([NULLREF] * 10, b"\x10\1\xfb\x08\4\x0a\x1a", None),
        ([NULLREF] * 10, b"\x10\1\xfb\x08\4\x0b\x1a", ("array.new_fixed", "structref", "")),
        ([NULLREF] * 9 + [FUNCREF], b"\x10\1\xfb\x08\4\x0a\x1a", ("array.new_fixed", "structref", "funcref")),
        ([FUNCREF] + [NULLREF] * 9, b"\0\x10\1\xfb\x08\4\x0a\x1a", ("array.new_fixed", "structref", "funcref")),
        ([NULLREF] * 10, b"\0\x10\1\xfb\x08\4\x0b\x1a", None),
        # An operand of an unknown type, which fits everywhere, among the others: `select` of nothing.
        ([I32] * 999, b"\0\x1b\x10\1\x10\2\0", None),
        ([NULLREF] * 999, b"\0\x1b\x10\1\x10\3\0", None),
    ]  # fmt: skip
    for results, code, mismatch in cases:
        types = [
            function([], results),
            function([I32] * 1000),
            function([STRUCTREF] * 1000),
            b"\x5e" + STRUCTREF + b"\0",
        ]
        source = module(types, (0, code), (1, b"\0"), (2, b"\0"), (3, b"\0"))
        if mismatch is None:
            validate_module(decode_module(source), native=False)
            continue
        with pytest.raises(InvalidModuleError) as raised:
            validate_module(decode_module(source), native=False)
        instruction, wanted, found = mismatch
        reason = f"type mismatch: instruction requires [{wanted}] but stack has [{found}]: {instruction}"
        assert raised.value.reason == reason
        assert raised.value.function_index == 0
