"""Floats keep their bits where the specification moves them, and are quieted where it computes (section 4.3.3)."""

from __future__ import annotations

import pytest

SIGNALING_32, SIGNALING_64 = 0x7FA0_0001, 0x7FF4_0000_0000_0001
QUIET_BIT_32, QUIET_BIT_64 = 1 << 22, 1 << 51

IDENTITIES = {
    "times_one": "mul (local.get 0) ({t}.const 1)",
    "one_times": "mul ({t}.const 1) (local.get 0)",
    "times_minus_one": "mul (local.get 0) ({t}.const -1)",
    "by_one": "div (local.get 0) ({t}.const 1)",
    "by_minus_one": "div (local.get 0) ({t}.const -1)",
    "plus_minus_zero": "add (local.get 0) ({t}.const -0)",
    "minus_zero": "sub (local.get 0) ({t}.const 0)",
    "minus_zero_minus": "sub ({t}.const -0) (local.get 0)",
    "minus_default": "sub (local.get 0) (local.get 1)",
    "minus_global": "sub (local.get 0) (global.get ${t})",
    "times_two": "mul (local.get 0) ({t}.const 2)",
    "least": "min (local.get 0) (local.get 0)",
    "greatest": "max (local.get 0) ({t}.const -inf)",
    "least_infinity": "min ({t}.const inf) (local.get 0)",
    "floor": "floor (local.get 0)",
    "nearest": "nearest (local.get 0)",
    "root": "sqrt (local.get 0)",
}

COMPUTED_CONSTANTS = {
    "converted": "({t}.convert_i32_s (i32.const 1))",
    "reinterpreted": "({t}.reinterpret_{i} ({i}.const {one}))",
    "difference": "({t}.sub ({t}.const 3) ({t}.const 2))",
    "quotient": "({t}.div ({t}.const 3) ({t}.const 3))",
    "rounded": "({t}.ceil ({t}.const 0.5))",
    "comparison": "({t}.convert_i32_u ({t}.eq ({t}.const 2) ({t}.const 2)))",
    "through_a_local": "(local.set 1 ({t}.const 3)) ({t}.sub (local.get 1) ({t}.const 2))",
}
"""Expressions of the value 1 that LLVM must not compute."""

MOVES = {
    "local": "(local.set 1 (local.get 0)) (local.get 1)",
    "select": "(select (local.get 0) (local.get 1) (i32.const 1))",
    "memory": "({t}.store (i32.const 0) (local.get 0)) ({t}.load (i32.const 0))",
    "negated_twice": "({t}.neg ({t}.neg (local.get 0)))",
    "absolute": "({t}.abs (local.get 0))",
    "copied_sign": "({t}.copysign ({t}.neg (local.get 0)) ({t}.const 1))",
    "reinterpreted": "({t}.reinterpret_{i} ({i}.reinterpret_{t} (local.get 0)))",
    "called": "(call $identity_{t} (local.get 0))",
}

GLOBALS = "(global $f32 f32 (f32.const 0)) (global $f64 f64 (f64.const 0)) (memory 1)" + "".join(
    f"(func $identity_{t} (param {t}) (result {t}) (local.get 0))" for t in ("f32", "f64")
)


@pytest.mark.parametrize(
    ("t", "signaling", "quiet_bit"),
    [("f32", SIGNALING_32, QUIET_BIT_32), ("f64", SIGNALING_64, QUIET_BIT_64)],
    ids=("f32", "f64"),
)
def test_arithmetic_quiets_and_moving_does_not(instantiate, t, signaling, quiet_bit):
    integer = t.replace("f", "i")
    texts = {name: f"({t}.{body.format(t=t)})" for name, body in IDENTITIES.items()}
    texts |= {name: body.format(t=t, i=integer) for name, body in MOVES.items()}
    functions = "".join(
        f'(func (export "{name}") (param {t}) (result {t}) (local {t}) {body})'
        for name, body in texts.items()
    )
    instance = instantiate(f"(module {GLOBALS} {functions})")
    for name in IDENTITIES:
        (bits,) = instance.function(name).call_bits([signaling])
        assert bits & quiet_bit, name
        assert (bits | quiet_bit) & (quiet_bit << 1) - quiet_bit, name
    for name in MOVES:
        assert instance.function(name).call_bits([signaling]) == (signaling,), name


@pytest.mark.parametrize("source", ["f32", "f64"])
def test_conversion_there_and_back_quiets(instantiate, source):
    back = {
        "f32": "(f32.demote_f64 (f64.promote_f32 (local.get 0)))",
        "f64": "(f64.promote_f32 (f32.demote_f64 (local.get 0)))",
    }
    signaling, quiet_bit = {"f32": (SIGNALING_32, QUIET_BIT_32), "f64": (SIGNALING_64, QUIET_BIT_64)}[source]
    instance = instantiate(f'(module (func (export "f") (param {source}) (result {source}) {back[source]}))')
    (bits,) = instance.exports.f.call_bits([signaling])
    assert bits & quiet_bit


@pytest.mark.parametrize(
    ("t", "signaling", "quiet_bit", "one"),
    [
        ("f32", SIGNALING_32, QUIET_BIT_32, 0x3F800000),
        ("f64", SIGNALING_64, QUIET_BIT_64, 0x3FF0 << 48),
    ],
    ids=["f32", "f64"],
)
def test_multiplying_by_a_computed_one_quiets(instantiate, t, signaling, quiet_bit, one):
    texts = {
        name: body.format(t=t, i=t.replace("f", "i"), one=one) for name, body in COMPUTED_CONSTANTS.items()
    }
    functions = "".join(
        f'(func (export "{name}") (param {t}) (result {t}) (local {t}) {body} ({t}.mul (local.get 0)))'
        for name, body in texts.items()
    )
    instance = instantiate(f"(module {functions})")
    for name in texts:
        assert instance.function(name).call_bits([signaling]) == (signaling | quiet_bit,), name
        assert instance.function(name).call_bits([one]) == (one,), name


CONSTANTS = {
    "f32": [
        0,
        1 << 31,
        0x3F800000,
        0xBF800000,
        1,
        0x7F800000,
        0x7FC00000,
        0xFFC00000,
        SIGNALING_32,
        0x40490FDB,
    ],
    "f64": [
        0,
        1 << 63,
        0x3FF0 << 48,
        0xBFF0 << 48,
        1,
        0x7FF0 << 48,
        0x7FF8 << 48,
        0xFFF8 << 48,
        SIGNALING_64,
        0x400921FB54442D18,
    ],
}


@pytest.mark.parametrize("t", CONSTANTS)
def test_constants_are_exact(instantiate, t):
    integer = t.replace("f", "i")
    functions = "".join(
        f"(global $g{bits} {t} ({t}.const {literal(t, bits)}))"
        f'(func (export "{bits}") (result {t} {integer} {t} {t}) ({t}.const {literal(t, bits)})'
        f" ({integer}.reinterpret_{t} ({t}.const {literal(t, bits)})) ({t}.neg ({t}.const {literal(t, bits)}))"
        f" (global.get $g{bits}))"
        for bits in CONSTANTS[t]
    )
    instance = instantiate(f"(module {functions})")
    sign = 1 << int(t[1:]) - 1
    for bits in CONSTANTS[t]:
        assert instance.function(str(bits)).call_bits([]) == (bits, bits, bits ^ sign, bits)


def literal(t: str, bits: int) -> str:
    """A float's bits in the text format."""
    width, significant = {"f32": (32, 23), "f64": (64, 52)}[t]
    sign = "-" if bits >> width - 1 else ""
    fraction = bits & (1 << significant) - 1
    exponent = bits >> significant & (1 << width - 1 - significant) - 1
    largest = (1 << width - 1 - significant) - 1
    if exponent == largest:
        return f"{sign}nan:{fraction:#x}" if fraction else f"{sign}inf"
    bias = largest >> 1
    if exponent == 0:
        return f"{sign}{fraction:#x}p{1 - bias - significant}"
    return f"{sign}{fraction | 1 << significant:#x}p{exponent - bias - significant}"
