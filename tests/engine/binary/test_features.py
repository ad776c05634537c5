"""Features that are switched off: what needs them is refused by their name, where it stands."""

from __future__ import annotations

import pytest

from farcall.engine import Engine, UnsupportedFeatureError
from farcall.engine.instructions.instruction import IMPLEMENTED, Feature
from tests.engine.guests import wasm

NEEDS: list[tuple[str, str, int]] = [
    # feature, module's fields, offset of what needs it
    ("sign-extension", "(func (drop (i32.extend8_s (i32.const 1))))", 0x19),
    ("saturating-float-to-int", "(func nop nop (drop (i32.trunc_sat_f32_s (f32.const 1))))", 0x1E),
    ("mutable-globals", '(global (export "a") (mut i32) (i32.const 0))', 0x13),
    ("mutable-globals", '(import "a" "a" (global (mut i32)))', 0x10),
    ("multi-value", "(func (result i32 i32) i32.const 1 i32.const 2)", 0x0D),
    ("multi-value", "(type (func (param i32))) (func (i32.const 1) (block (type 0) drop))", 0x1E),
    ("bulk-memory", "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))", 0x22),
    ("bulk-memory", '(data "a")', 0x0B),
    ("bulk-memory", "(table 1 funcref) (elem func)", 0x11),
    ("reference-types", "(table 1 funcref) (table 1 funcref)", 0x0E),
    ("multi-memory", "(memory 1) (memory 1)", 0x0D),
    ("multi-memory", '(import "" "m" (memory 1)) (memory 1)', 0x14),
    ("memory64", "(memory i64 1)", 0x0B),
    ("memory64", "(table i64 1 funcref)", 0x0C),
    ("memory64", '(import "" "m" (memory i64 1 2))', 0x0F),
    ("threads", "(memory 1 1 shared)", 0x0B),
    ("threads", '(import "" "m" (memory 1 2 shared))', 0x0F),
    ("threads", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))", 0x1E),
    ("threads", "(func (atomic.fence))", 0x17),
    ("custom-page-sizes", "(memory 1 (pagesize 1))", 0x0B),
    ("custom-page-sizes", "(memory 1 2 (pagesize 65536))", 0x0B),
    ("wide-arithmetic", "(func (param i64 i64) local.get 0 local.get 1 i64.mul_wide_s drop drop)", 0x1D),
    ("simd", "(func (param v128))", 0x0D),
    ("simd", "(func (drop (v128.load (i32.const 0)))) (memory 1)", 0x1E),
    ("simd", "(func (block (result v128) unreachable) drop)", 0x18),
    (
        "relaxed-simd",
        "(func (param v128 v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
        0x1D,
    ),
    ("extended-const", "(global i32 (i32.add (i32.const 1) (i32.const 2)))", 0x11),
    ("tail-call", "(func (return_call 0))", 0x17),
    ("tail-call", "(table 1 funcref) (func (return_call_indirect (i32.const 0)))", 0x1F),
    ("exception-handling", "(tag)", 0x10),
    ("exception-handling", '(import "" "e" (tag))', 0x14),
    ("exception-handling", "(func (try_table))", 0x17),
    ("exception-handling", "(func (unreachable) (throw_ref))", 0x18),
    ("legacy-exceptions", "(func try end)", 0x17),
    ("function-references", "(func unreachable (br_on_null 0) drop)", 0x18),
    ("gc", "(type (struct))", 0x0B),
    ("gc", "(type (sub (func)))", 0x0B),
    ("gc", "(func unreachable ref.eq drop)", 0x18),
    ("reference-types", "(table 1 externref)", 0x0B),
    ("reference-types", "(func (param funcref))", 0x0D),
    ("reference-types", "(func (local externref))", 0x18),
    ("reference-types", "(func (drop (ref.null func)))", 0x17),
    ("reference-types", "(func (block (result funcref) unreachable) drop)", 0x18),
    ("reference-types", "(global externref (ref.null extern))", 0x0B),
    ("simd", "(func (param v128))", 0x0D),
    ("simd", "(func (local v128))", 0x18),
    ("simd", "(func (drop (v128.const i64x2 0 0)))", 0x17),
    ("simd", "(func (block (result v128) unreachable) drop)", 0x18),
    ("simd", "(global v128 (v128.const i64x2 0 0))", 0x0B),
    ("relaxed-simd", "(func unreachable i8x16.relaxed_swizzle drop)", 0x18),
    ("custom-descriptors", '(type (func)) (import "" "" (func (exact (type 0))))', 0x13),
    ("custom-descriptors", "(rec (type (descriptor 1) (struct)) (type (describes 0) (struct)))", 0x0D),
    ("custom-descriptors", "(type (struct (field (ref null (exact 0)))))", 0x0D),
    ("custom-descriptors", "(type $f (func)) (func (drop (ref.null (exact $f))))", 0x18),
    ("gc", "(func (param anyref))", 0x0D),
    ("function-references", "(type $f (func)) (func (param (ref $f)))", 0x10),
]


@pytest.mark.parametrize("feature", ["function-references", "tail-call"])
def test_what_needs_two_features_is_refused_without_either(feature):
    source = wasm("(module (type $t (func)) (func unreachable (return_call_ref $t)))")
    with Engine() as engine:
        engine.load_module(source)
    refused = pytest.raises(UnsupportedFeatureError, match=f"needs the feature '{feature}'")
    with Engine(disabled_features=[feature]) as engine, refused:
        engine.load_module(source)


BUILT_ON: dict[str, frozenset[str]] = {
    "relaxed-simd": frozenset({"simd"}),
    "gc": frozenset({"reference-types"}),
    "function-references": frozenset({"reference-types"}),
    "custom-descriptors": frozenset({"reference-types", "function-references", "gc"}),
}
"""The features without which some of a feature's modules would not do."""


@pytest.mark.parametrize(("feature", "fields", "offset"), NEEDS)
def test_what_needs_a_feature_that_is_off_is_refused_by_its_name(feature, fields, offset):
    source = wasm(f"(module {fields})")
    with Engine() as engine:
        engine.load_module(source)
    refused = pytest.raises(UnsupportedFeatureError, match=f"needs the feature '{feature}'")
    with Engine(disabled_features=[feature]) as engine, refused as caught:
        engine.load_module(source)
    assert (caught.value.feature, caught.value.offset) == (feature, offset)


@pytest.mark.parametrize(("feature", "fields", "_offset"), NEEDS)
def test_what_needs_one_feature_is_taken_with_all_others_off(feature, fields, _offset):
    others = {entry.value for entry in Feature} - {"core", feature} - BUILT_ON.get(feature, frozenset())
    with Engine(disabled_features=others) as engine:
        engine.load_module(wasm(f"(module {fields})"))


def test_an_engine_says_which_features_are_on():
    with Engine() as engine:
        assert set(engine.features) == {feature.value for feature in IMPLEMENTED}
    with Engine(disabled_features=["bulk-memory", "bulk-memory"]) as engine:
        assert set(engine.features) == {feature.value for feature in IMPLEMENTED} - {"bulk-memory"}


def test_every_implemented_feature_has_a_module_here_that_needs_it():
    assert {feature.value for feature in IMPLEMENTED} == {feature for feature, _, _ in NEEDS}


@pytest.mark.parametrize("name", ["core", "no-such-feature", "SIMD", ""])
def test_what_is_no_feature_cannot_be_switched_off(name):
    with pytest.raises(ValueError, match=f"no feature '{name}'"):
        Engine(disabled_features=[name])
