"""Types, typed references and objects: what is valid, and why the rest is not."""

from __future__ import annotations

import random

import pytest
import wasmtime

from farcall.engine.binary import decode_module
from farcall.engine.errors import InvalidModuleError, ModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, section, unsigned, vector
from tests.engine.guests import wasm
from tests.engine.validation.test_against_wasmtime import mutate

TYPES = """(type $f (func (param i32) (result i32)))
    (type $s (sub (struct (field $a i32) (field $b (mut i8)) (field $r (mut (ref null $s))))))
    (type $t (sub $s (struct (field i32) (field (mut i8)) (field (mut (ref null $s))) (field f64))))
    (type $bytes (array (mut i8))) (type $constant (array i32)) (type $refs (array (mut (ref $f))))"""


def validate(fields: str) -> None:
    validate_module(decode_module(wasm(f"(module {TYPES} {fields})")))


VALID = {
    "a local that is set before it is read": """(func (param (ref $f)) (local (ref $f))
        (local.set 1 (local.get 0)) (drop (local.get 1)))""",
    "a subtype in place of its supertype": "(func (param (ref $t)) (result (ref null $s)) (local.get 0))",
    "a reference of unreachable code": "(func (result (ref $f)) unreachable (ref.as_non_null))",
    "a table of references that are not null": """(func $g (type $f) local.get 0)
        (table 3 (ref $f) (ref.func $g))""",
    "objects as first values": """(global (ref $s) (struct.new $s (i32.const 1) (i32.const 2) (ref.null $s)))
        (global (ref i31) (ref.i31 (i32.const 5))) (table 1 (ref $bytes) (array.new_default $bytes (i32.const 3)))""",
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_valid_modules_pass(fields):
    validate(fields)


INVALID = {
    "unknown type in a type": ("(type (func (param (ref 99))))", "unknown type 99"),
    "unknown type of a local": ("(func (local (ref null 99)))", "unknown type 99"),
    "unknown type of a block": ("(func (block (result (ref null 99)) unreachable) drop)", "unknown type 99"),
    "unknown type in an instruction": ("(func (drop (ref.null 99)))", "unknown type 99"),
    "below a final type": ("(type (sub $bytes (array (mut i8))))", "sub type 6 does not match super type"),
    "below another kind of type": ("(type (sub $s (array i8)))", "sub type 6 does not match super type"),
    "fewer fields": ("(type (sub $s (struct (field i32))))", "sub type 6 does not match super type"),
    "a local that is not set": (
        "(func (local (ref $f)) (drop (local.get 0)))",
        "uninitialized local 0: a (ref func (i32) -> (i32)) has no default value",
    ),
    "a local that is set in a block only": (
        "(func (param (ref $f)) (local (ref $f)) (block (local.set 1 (local.get 0))) (drop (local.get 1)))",
        "uninitialized local 1",
    ),
    "a local that is set in one branch only": (
        """(func (param (ref $f) i32) (local (ref $f))
            (if (local.get 1) (then (local.set 2 (local.get 0))) (else (drop (local.get 2)))))""",
        "uninitialized local 2",
    ),
    "a table without first values": ("(table 1 (ref $f))", "type mismatch: elements of (ref func"),
    "a first value of a later global": (
        "(global $g (ref null $f) (ref.null $f)) (table 1 (ref null $f) (global.get $g))",
        "unknown global 0",
    ),
    "a field that is not there": (
        "(func (param (ref $s)) (drop (struct.get $s 9 (local.get 0))))",
        "unknown field 9",
    ),
    "a packed field without extension": (
        "(func (param (ref $s)) (drop (struct.get $s 1 (local.get 0))))",
        "type mismatch: struct.get of a field that is packed",
    ),
    "an immutable field": (
        "(func (param (ref $s)) (struct.set $s 0 (local.get 0) (i32.const 1)))",
        "immutable field",
    ),
    "an immutable array": (
        "(func (param (ref $constant)) (array.set $constant (local.get 0) (i32.const 0) (i32.const 1)))",
        "immutable array",
    ),
    "elements without default": (
        "(func (drop (array.new_default $refs (i32.const 1))))",
        "field type is not defaultable",
    ),
    "a structure where an array is wanted": (
        "(func (drop (array.new_default $s (i32.const 1))))",
        "type mismatch",
    ),
    "a cast across hierarchies": (
        "(func (param anyref) (drop (ref.cast (ref func) (local.get 0))))",
        "type mismatch",
    ),
    "a cast across hierarchies in br_on_cast": (
        "(func (param anyref) (result funcref) (br_on_cast 0 anyref funcref (local.get 0)) unreachable)",
        "type mismatch: br_on_cast from anyref to funcref, which is of another hierarchy",
    ),
    "a call of another type": (
        "(func (param (ref $s)) (call_ref $f (i32.const 1) (local.get 0)) drop)",
        "type mismatch",
    ),
    "a call of no function type": (
        "(func (param (ref $s)) (call_ref $s (local.get 0)))",
        "type mismatch: type 1",
    ),
    "a branch whose label takes no reference": (
        "(func (param (ref $s)) (br_on_non_null 0 (local.get 0)))",
        "type mismatch: br_on_non_null",
    ),
    "ref.eq of functions": (
        "(func (param funcref) (drop (ref.eq (local.get 0) (local.get 0))))",
        "type mismatch",
    ),
    "array.copy to other elements": (
        """(func (param (ref $bytes) (ref $constant)) (array.copy $bytes $constant
            (local.get 0) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0)))""",
        "array types do not match",
    ),
    "a first value that is not constant": (
        "(global i32 (struct.get $s 0 (ref.null $s)))",
        "constant expression required: struct.get",
    ),
}


@pytest.mark.parametrize(("fields", "reason"), INVALID.values(), ids=INVALID)
def test_invalid_modules_are_refused_with_reason(fields, reason):
    with pytest.raises(InvalidModuleError) as caught:
        validate(fields)
    assert caught.value.reason.startswith(reason)


def test_sixty_three_types_above_are_possible_and_one_more_is_not():
    def chain(length: int) -> bytes:
        first = b"\x50\0\x5f\0"  # (sub (struct))
        below = [b"\x50\1" + unsigned(index) + b"\x5f\0" for index in range(length)]
        return HEADER + section(1, vector([first, *below]))

    validate_module(decode_module(chain(63)))
    with pytest.raises(InvalidModuleError, match="64 types above type 64, at most 63 are possible"):
        validate_module(decode_module(chain(64)))


def test_groups_of_a_hundred_thousand_types_take_no_longer_than_their_size():
    member = b"\x50\0\x5f\1\x63" + unsigned(0) + b"\1"  # (sub (struct (field (mut (ref null 0)))))
    group = b"\x4e" + vector([member] * 100_000)
    module = decode_module(HEADER + section(1, b"\1" + group))
    validate_module(module)
    assert len(set(module.defined_types)) == 100_000


@pytest.mark.parametrize(
    ("fields", "features"),
    [
        ("(type (struct))", {"gc"}),
        ("(rec (type (func)))", {"gc"}),
        ("(func (param anyref))", {"gc"}),
        ("(func (drop (ref.null any)))", {"gc"}),
        ("(func (drop (ref.i31 (i32.const 1))))", {"gc"}),
        ("(type $f (func)) (func (param (ref $f)))", {"function-references"}),
        ("(func (param (ref null func)) (drop (ref.as_non_null (local.get 0))))", {"function-references"}),
        ("(func $f) (table 1 funcref (ref.func $f))", {"function-references"}),
    ],
)
def test_what_a_module_needs_and_is_switched_off_is_named(fields, features):
    source = wasm(f"(module {fields})")
    validate_module(decode_module(source))
    off = frozenset({Feature.GC, Feature.FUNCTION_REFERENCES})
    with pytest.raises(UnsupportedFeatureError) as caught:
        validate_module(decode_module(source, off), off)
    assert caught.value.feature in features


DESCRIBED = """(rec (type $thing (sub (descriptor $class) (struct (field i32))))
    (type $class (sub (describes $thing) (struct))))"""

INVALID_DESCRIPTORS = {
    "a descriptor outside of the group": (
        "(type (descriptor 1) (struct)) (type (describes 0) (struct))",
        "descriptor type is outside rec group",
    ),
    "a descriptor that describes nothing": (
        "(rec (type (descriptor 1) (struct)) (type (struct)))",
        "type is not described by its descriptor",
    ),
    "a described type without descriptor": (
        "(rec (type (struct)) (type (describes 0) (struct)))",
        "described type is not described by descriptor",
    ),
    "a descriptor before what it describes": (
        "(rec (type (describes 1) (struct)) (type (descriptor 0) (struct)))",
        "forward use of described type",
    ),
    "a function with a descriptor": (
        "(rec (type (descriptor 1) (func)) (type (describes 0) (struct)))",
        "descriptor type must be a struct",
    ),
    "a subtype without descriptor": (
        f"{DESCRIBED} (type (sub $thing (struct (field i32))))",
        "sub type 2 does not match super type 0",
    ),
    "a subtype whose descriptor is not below the supertype's": (
        f"""{DESCRIBED} (rec (type $a (sub $thing (descriptor $b) (struct (field i32))))
            (type $b (describes $a) (struct)))""",
        "descriptor type 3 does not match",
    ),
    "a structure made without its descriptor": (
        f"{DESCRIBED} (func (drop (struct.new $thing (i32.const 1))))",
        "type with descriptor requires descriptor allocation",
    ),
    "a structure made with a descriptor that has none": (
        f"{DESCRIBED} (func (drop (struct.new_desc $class (ref.null none))))",
        "type without descriptor requires non-descriptor allocation",
    ),
    "a descriptor that is not exact": (
        f"{DESCRIBED} (func (param (ref $class)) (drop (struct.new_desc $thing (i32.const 1) (local.get 0))))",
        "type mismatch",
    ),
    "a reference to an inexact import": (
        '(type $f (func)) (import "" "" (func (type $f))) (global (ref (exact $f)) (ref.func 0))',
        "type mismatch",
    ),
    "a cast by descriptor to a type without": (
        f"{DESCRIBED} (func (drop (ref.cast_desc_eq (ref $class) (unreachable))))",
        "type 1 does not have a descriptor",
    ),
}


@pytest.mark.parametrize(("fields", "reason"), INVALID_DESCRIPTORS.values(), ids=INVALID_DESCRIPTORS)
def test_invalid_descriptors_are_refused_with_reason(fields, reason):
    with pytest.raises(InvalidModuleError) as caught:
        validate_module(decode_module(wasm(f"(module {fields})")))
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("name", ["br_on_cast", "br_on_cast_fail"])
def test_branches_cast_within_a_hierarchy_and_without_custom_descriptors_only_downwards(name):
    source = wasm(f"(module {TYPES} (func (result anyref) ({name} 0 structref (ref $t) (unreachable))))")
    across = wasm(f"(module (func (result anyref) ({name} 0 structref arrayref (unreachable))))")
    off = frozenset({Feature.CUSTOM_DESCRIPTORS})
    validate_module(decode_module(source, off), off)
    validate_module(decode_module(across))
    with pytest.raises(InvalidModuleError, match=f"{name} from structref to arrayref, which does not match"):
        validate_module(decode_module(across, off), off)


SEEDS = [
    wasm(f"(module {TYPES} {fields})")
    for fields in (
        *VALID.values(),
        """(func (param (ref null $f)) (result i32) (block $null
             (return (call_ref $f (i32.const 1) (br_on_null $null (local.get 0))))) (i32.const 0))
           (func (param (ref null $s)) (result (ref $s)) (block $it (result (ref $s))
             (br_on_non_null $it (local.get 0)) unreachable))""",
        """(data $d "abcdefgh") (elem $e (ref $f) (ref.func $g)) (func $g (type $f) local.get 0)
           (func (param (ref $bytes) (ref $refs)) (result i32)
             (array.fill $bytes (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3))
             (array.init_data $bytes $d (local.get 0) (i32.const 0) (i32.const 0) (i32.const 1))
             (array.init_elem $refs $e (local.get 1) (i32.const 0) (i32.const 0) (i32.const 1))
             (array.copy $refs $refs (local.get 1) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 1))
             (array.set $bytes (array.new_data $bytes $d (i32.const 0) (i32.const 4)) (i32.const 1) (i32.const 7))
             (array.get_u $bytes (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2)) (i32.const 0))
             (i32.add (array.len (array.new_elem $refs $e (i32.const 0) (i32.const 1)))))""",
        """(func (param anyref eqref) (result i32)
             (block $cast (result (ref $t)) (br_on_cast $cast anyref (ref $t) (local.get 0))
               (br_on_cast_fail $cast anyref (ref null $t)) (ref.as_non_null))
             (struct.get $t 0) (ref.test (ref null $s) (local.get 1)) (i32.add)
             (ref.eq (local.get 1) (ref.cast i31ref (local.get 0))) (i32.add)
             (i31.get_s (ref.cast (ref i31) (local.get 0))) (i32.add))
           (func (param externref) (result externref) (extern.convert_any (any.convert_extern (local.get 0))))""",
    )
]


def wasmtime_of_version_3() -> wasmtime.Engine:
    config = wasmtime.Config()
    for feature in ("gc", "function_references"):
        setattr(config, f"wasm_{feature}", True)
    for feature in (
        "relaxed_simd",
        "simd",
        "tail_call",
        "threads",
        "exceptions",
        "stack_switching",
        "memory64",
    ):
        setattr(config, f"wasm_{feature}", False)
    return wasmtime.Engine(config)


WASMTIME = wasmtime_of_version_3()
HERE = frozenset(
    feature
    for feature in Feature
    if feature.value
    in ("simd", "relaxed-simd", "tail-call", "threads", "exception-handling", "memory64", "custom-page-sizes",
        "wide-arithmetic", "legacy-exception-handling", "custom-descriptors")
)  # fmt: skip

THEIRS_ONLY = ("malformed memop alignment",)
"""What the test suite takes and wasmtime, without several memories, does not."""


def refusal(source: bytes) -> ModuleError | None:
    try:
        validate_module(decode_module(source, HERE), HERE)
    except ModuleError as error:
        return error
    return None


def wasmtime_refusal(source: bytes) -> str | None:
    try:
        wasmtime.Module.validate(WASMTIME, source)
    except wasmtime.WasmtimeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_mutated_modules_get_wasmtime_s_verdict(seed):
    generator = random.Random(seed)
    valid = 0
    for _ in range(3000):
        source = mutate(generator, generator.choice(SEEDS))
        ours, theirs = refusal(source), wasmtime_refusal(source)
        valid += ours is None
        if ours is None and theirs is not None:
            assert any(words in theirs for words in THEIRS_ONLY), f"{source.hex()}: {theirs}"
        if ours is not None:
            assert 0 <= ours.offset <= len(source)
            known = theirs is not None or "malformed import kind: 0x7" in ours.reason
            assert known, f"{source.hex()}: {ours}, but wasmtime takes it"
    assert 100 < valid < 2900
