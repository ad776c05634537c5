"""Decoded modules come back from their bytes as they were."""

from __future__ import annotations

import dataclasses
import operator

import pytest
from wasmtime import wat2wasm

from farcall.engine.binary import decode_module
from farcall.engine.cache.module_codec import decode_metadata, encode_module
from farcall.engine.structure.function_facts import CALLEE_MASK
from farcall.engine.structure.module import Module
from farcall.engine.structure.packed import FunctionElements
from farcall.engine.validation import validate_module

TEXTS = {
    "empty": "(module)",
    "imports": """(module (import "m" "f" (func (param i32 f64) (result i64))) (import "m" "g" (global (mut f32)))
        (import "m" "t" (table 1 2 externref)) (import "m" "mem" (memory 1 5)) (export "e" (func 0)))""",
    "data": """(module (memory 1) (data (i32.const -5) "ab") (data (i32.const 7) "") (data (i32.const 1) "x"))""",
    "passive": """(module (memory 1) (data "passive") (data (i32.const 1) "ab")
        (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))""",
    "elements": """(module (table 5 funcref) (func $f) (func $g (local i32 i32 f64 funcref)) (elem (i32.const 1) $f $g)
        (elem func $g) (elem declare func $f) (elem funcref (ref.func $f) (ref.null func)))""",
    "globals": """(module (global $a (import "m" "a") i32)
        (global f32 (f32.const nan)) (global (mut i64) (i64.const -1))
        (global i32 (i32.add (global.get $a) (i32.const 3))) (global funcref (ref.null func))
        (global v128 (v128.const i64x2 1 2)) (start $s) (func $s))""",
    "objects": """(module (rec (type $l (sub (struct (field (mut i32)) (field (ref null $l)) (field i8))))
        (type $a (array (mut (ref null $l))))) (type $m (sub $l (struct (field (mut i32)) (field (ref null $m))
        (field i8) (field (ref $a))))) (rec (type (sub (struct (field (mut i32)) (field (ref null 4)) (field i8))))
        (type (array (mut i16)))) (func (param (ref $m) (ref null func) (ref i31)) (result (ref $a))
        (local (ref null $m) (ref any)) unreachable) (table 3 (ref null $l))
        (global (ref null $a) (array.new_default $a (i32.const 3))) (tag (param (ref $l))))""",
    "64": """(module (memory i64 1 3) (table i64 1 funcref) (memory 1 1 shared))""",
}


def differences(left: Module, right: Module) -> list[str]:
    packed = {"offsets", "functions", "data", "facts"}
    names = [field.name for field in dataclasses.fields(Module) if field.name not in packed]
    different = [name for name in names if getattr(left, name) != getattr(right, name)]
    for path in (
        *("functions.located", "functions.first", "functions.type_indices"),
        *("data.located", "data.others", "facts.rows", "facts.calls", "facts.first_calls"),
    ):
        of = operator.attrgetter(path)
        if of(left) != of(right) or type(of(left)) is not type(of(right)):
            different.append(path)
    if list(left.functions) != list(right.functions) or list(left.data) != list(right.data):
        different.append("functions or data")
    for one, other in zip(left.elements, right.elements, strict=True):
        if type(one.initializers) is not type(other.initializers):
            different.append("elements")
        elif isinstance(one.initializers, FunctionElements) and isinstance(
            other.initializers, FunctionElements
        ):
            for name in FunctionElements.__slots__:
                if getattr(one.initializers, name) != getattr(other.initializers, name):
                    different.append(f"elements.{name}")
    for field in dataclasses.fields(left.offsets):
        one, other = getattr(left.offsets, field.name), getattr(right.offsets, field.name)
        if one != other and list(one) != list(other):
            different.append(f"offsets.{field.name}")
    return different


@pytest.mark.parametrize("name", TEXTS)
def test_every_field_is_the_same(name: str) -> None:
    source = bytes(wat2wasm(TEXTS[name]))
    module = decode_module(source)
    validate_module(module)
    loaded = decode_metadata(encode_module(module), source, module.digest)
    assert differences(module, loaded) == []
    assert all(one is other for one, other in zip(module.defined_types, loaded.defined_types, strict=True))


def many_functions() -> bytes:
    """Large enough for machine code to validate, which collects facts; with names, locals, data and elements."""
    functions = "".join(
        f"(func $f{number} (param i32) (local i64 i64 f32) (local.set 1 (i64.const {number}))"
        f"(i32.store (local.get 0) (i32.const 7))"
        f"(call $f{(number + 1) % 6000} (i32.const {number})))"
        for number in range(6000)
    )
    elements = " ".join(f"$f{number}" for number in range(0, 6000, 7))
    data = "".join(f'(data (i32.const {8 * number}) "data{number}")' for number in range(2000))
    return bytes(
        wat2wasm(
            f"(module $named (memory 1) (table 6000 funcref) {functions} (elem (i32.const 0) {elements}) {data})"
        )
    )


def test_a_large_module_comes_back_with_its_facts_and_names() -> None:
    source = many_functions()
    module = decode_module(source)
    validate_module(module)
    assert module.facts.is_known(5999)
    loaded = decode_metadata(encode_module(module), source, module.digest)
    assert differences(module, loaded) == []
    assert isinstance(loaded.elements[0].initializers, FunctionElements)
    assert (loaded.names.module, loaded.function_name(17)) == ("named", "f17")
    assert [call & CALLEE_MASK for call in loaded.facts.direct_calls(17)] == [18]


@pytest.mark.parametrize("data", [b"", b"\0", b"i\1\0\0\0", b"N", b"(\1\0\0\0N"])
def test_what_is_no_module_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no module|marshal"):
        decode_metadata(data, b"", "")
