"""Vectors of floats keep their bits where the specification moves them, and are quieted where it computes (4.3.3)."""

from __future__ import annotations

import struct

import pytest

SIGNALING = {"f32x4": 0x7FA0_0001, "f64x2": 0x7FF4_0000_0000_0001}
QUIET_BIT = {"f32x4": 1 << 22, "f64x2": 1 << 51}
LANES = {"f32x4": 4, "f64x2": 2}

QUIETED = {
    "times_one": "({t}.mul (local.get 0) {one})",
    "one_times": "({t}.mul {one} (local.get 0))",
    "times_minus_one": "({t}.mul (local.get 0) ({t}.neg {one}))",
    "by_one": "({t}.div (local.get 0) {one})",
    "by_a_splat": "({t}.div (local.get 0) ({t}.splat ({s}.const -1)))",
    "by_a_difference": "({t}.div (local.get 0) ({t}.sub {three} {two}))",
    "through_a_local": "(local.set 1 {one}) ({t}.mul (local.get 0) (local.get 1))",
    "by_bits": "({t}.mul (local.get 0) ({i}.splat ({w}.const {bits})))",
    "plus_minus_zero": "({t}.add (local.get 0) ({t}.neg {zero}))",
    "minus_zero": "({t}.sub (local.get 0) {zero})",
    "minus_default": "({t}.sub (local.get 0) (local.get 1))",
    "minus_itself_xored": "({t}.sub (local.get 0) (v128.xor (local.get 0) (local.get 0)))",
    "minus_zero_minus": "({t}.sub ({t}.neg {zero}) (local.get 0))",
    "minus_global": "({t}.sub (local.get 0) (global.get $zero))",
    "least": "({t}.min (local.get 0) (local.get 0))",
    "least_infinity": "({t}.min {infinity} (local.get 0))",
    "greatest": "({t}.max (local.get 0) ({t}.neg {infinity}))",
    "floor": "({t}.floor (local.get 0))",
    "ceil": "({t}.ceil (local.get 0))",
    "trunc": "({t}.trunc (local.get 0))",
    "nearest": "({t}.nearest (local.get 0))",
    "root": "({t}.sqrt (local.get 0))",
    "constant": "({t}.mul {signaling} {one})",
    "constant_floor": "({t}.floor {signaling})",
    "constant_least": "({t}.min {signaling} {infinity})",
    "fused": "({t}.relaxed_madd (local.get 0) {one} ({t}.neg {zero}))",
    "subtracted": "({t}.relaxed_nmadd (local.get 0) {one} ({t}.neg {zero}))",
}

MOVED = {
    "local": "(local.set 1 (local.get 0)) (local.get 1)",
    "select": "(select (local.get 0) (local.get 1) (i32.const 1))",
    "memory": "(v128.store (i32.const 3) (local.get 0)) (v128.load (i32.const 3))",
    "negated_twice": "({t}.neg ({t}.neg (local.get 0)))",
    "absolute": "({t}.abs (local.get 0))",
    "lane": "({t}.splat ({t}.extract_lane 0 (local.get 0)))",
    "replaced": "({t}.replace_lane 1 (local.get 0) ({t}.extract_lane 0 (local.get 0)))",
    "first_of_pseudo_minimum": "({t}.pmin (local.get 0) {one})",
    "first_of_pseudo_maximum": "({t}.pmax (local.get 0) {one})",
    "constant": "{signaling}",
    "called": "(call $identity (local.get 0))",
}


def texts(t, bodies):
    s, i = t[:3], t.replace("f", "i")
    values = {"zero": "0", "one": "1", "two": "2", "three": "3", "infinity": "inf"}
    values["signaling"] = f"nan:{SIGNALING[t] & (2 * QUIET_BIT[t] - 1):#x}"
    constants = {name: f"(v128.const {t} {' '.join([value] * LANES[t])})" for name, value in values.items()}
    words = {"t": t, "s": s, "i": i, "w": i[:3], "bits": 0x3F80_0000 if t == "f32x4" else 0x3FF0 << 48}
    return {name: body.format(**words, **constants) for name, body in bodies.items()}


def lanes(t, slots):
    return struct.unpack("<4I" if t == "f32x4" else "<2Q", struct.pack("<2Q", *slots))


def exporting(t, bodies):
    functions = "".join(
        f'(func (export "{name}") (param v128) (result v128) (local v128) {text})'
        for name, text in texts(t, bodies).items()
    )
    return (
        "(module (memory 1) (global $zero v128 (v128.const i64x2 0 0))"
        f" (func $identity (param v128) (result v128) (local.get 0)) {functions})"
    )


@pytest.mark.parametrize("t", LANES)
def test_arithmetic_quiets(instantiate, t):
    instance = instantiate(exporting(t, QUIETED))
    quiet_bit = QUIET_BIT[t]
    signaling = [SIGNALING[t] | SIGNALING[t] << 32, SIGNALING[t] | SIGNALING[t] << 32]
    slots = signaling if t == "f32x4" else [SIGNALING[t], SIGNALING[t]]
    for name in QUIETED:
        found = lanes(t, instance.function(name).call_bits(slots))
        assert all(lane & quiet_bit for lane in found), name
        assert all((lane | quiet_bit) & (quiet_bit << 1) - quiet_bit for lane in found), name


@pytest.mark.parametrize("t", LANES)
def test_moving_does_not(instantiate, t):
    instance = instantiate(exporting(t, MOVED))
    lane = SIGNALING[t]
    slots = [lane | lane << 32] * 2 if t == "f32x4" else [lane, lane]
    for name in MOVED:
        assert lanes(t, instance.function(name).call_bits(slots)) == (lane,) * LANES[t], name


def test_conversion_there_and_back_quiets(instantiate):
    there = "(f32x4.demote_f64x2_zero (f64x2.promote_low_f32x4 (local.get 0)))"
    instance = instantiate(f'(module (func (export "f") (param v128) (result v128) {there}))')
    lane = SIGNALING["f32x4"]
    found = lanes("f32x4", instance.function("f").call_bits([lane | lane << 32] * 2))
    assert found == (lane | QUIET_BIT["f32x4"],) * 2 + (0, 0)


def test_a_lane_of_a_constant_is_quieted_like_any_scalar(instantiate):
    instance = instantiate(
        """(module (func (export "f") (param f32) (result f32)
             (f32.mul (local.get 0) (f32x4.extract_lane 2 (v128.const f32x4 0 0 1 0)))))"""
    )
    assert instance.function("f").call_bits([SIGNALING["f32x4"]]) == (
        SIGNALING["f32x4"] | QUIET_BIT["f32x4"],
    )
