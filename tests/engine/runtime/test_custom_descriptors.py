"""Custom descriptors at run time: what structures carry, through collections, subtyping, Python and other instances."""

from __future__ import annotations

import gc

import pytest

from farcall.engine import ArgumentError, LinkError, Trap, TrapKind
from farcall.engine.abi.objects import struct_layout
from tests.engine.guests import wasm

TYPES = """(rec (type $plain (sub (struct (field i32))))
    (type $thing (sub $plain (descriptor $class) (struct (field i32) (field i8))))
    (type $class (sub (describes $thing) (struct (field i32))))
    (type $sub (sub $thing (descriptor $subclass) (struct (field i32) (field i8) (field i64))))
    (type $subclass (sub $class (describes $sub) (struct (field i32) (field i32)))))"""

MAKER = f"""(module {TYPES}
  (func (export "class") (param i32) (result (ref (exact $class))) (struct.new $class (local.get 0)))
  (func (export "subclass") (param i32) (result (ref (exact $subclass)))
    (struct.new $subclass (local.get 0) (i32.const 0)))
  (func (export "thing") (param (ref null (exact $class))) (result (ref (exact $thing)))
    (struct.new_desc $thing (i32.const 1) (i32.const 2) (local.get 0)))
  (func (export "sub") (param (ref null (exact $subclass))) (result (ref (exact $sub)))
    (struct.new_desc $sub (i32.const 3) (i32.const 4) (i64.const 5) (local.get 0)))
  (func (export "default") (param (ref null (exact $class))) (result (ref $thing))
    (struct.new_default_desc $thing (local.get 0)))
  (func (export "plain") (result (ref $plain)) (struct.new $plain (i32.const 9)))
  (func (export "number") (param (ref null $thing)) (result i32)
    (struct.get $class 0 (ref.get_desc $thing (local.get 0))))
  (func (export "fields") (param (ref null $thing)) (result i32 i32)
    (struct.get $thing 0 (local.get 0)) (struct.get_s $thing 1 (local.get 0)))
  (func (export "last") (param (ref null $sub)) (result i64) (struct.get $sub 2 (local.get 0)))
  (func (export "cast") (param anyref (ref null $class)) (result (ref $thing))
    (ref.cast_desc_eq (ref $thing) (local.get 0) (local.get 1)))
  (func (export "cast_null") (param anyref (ref null $class)) (result (ref null $thing))
    (ref.cast_desc_eq (ref null $thing) (local.get 0) (local.get 1)))
  (func (export "branch") (param anyref (ref null $class)) (result i32)
    (block $is (result (ref $thing))
      (br_on_cast_desc_eq $is anyref (ref $thing) (local.get 0) (local.get 1))
      (return (i32.const 0)))
    (drop) (i32.const 1))
  (func (export "exactly") (param anyref) (result i32) (ref.test (ref (exact $thing)) (local.get 0)))
  (func (export "churn") (local i32)
    (loop (drop (struct.new $class (local.get 0)))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 400000))))))"""


@pytest.fixture
def exports(make):
    return make(MAKER).exports


def test_a_structure_gives_its_descriptor_back_and_keeps_its_fields(exports):
    thing = exports.thing(exports["class"](7))
    sub = exports.sub(exports.subclass(8))
    assert (exports.number(thing), exports.number(sub)) == (7, 8)
    assert (exports.fields(thing), exports.fields(sub)) == ((1, 2), (3, 4))
    assert exports.last(sub) == 5
    assert exports.fields(exports.default(exports["class"](1))) == (0, 0)


def test_what_only_a_structure_refers_to_survives_collections(exports):
    things = [exports.thing(exports["class"](number)) for number in range(50)]
    subs = [exports.sub(exports.subclass(number)) for number in range(50)]
    gc.collect()
    for _ in range(3):
        exports.churn()
    assert [exports.number(thing) for thing in things] == list(range(50))
    assert [exports.number(sub) for sub in subs] == list(range(50))


def test_a_cast_compares_descriptors_by_identity(exports):
    first, second = exports["class"](1), exports["class"](1)
    thing = exports.thing(first)
    assert exports.cast(thing, first) == thing
    assert exports.branch(thing, first) == 1
    assert exports.branch(thing, second) == 0
    with pytest.raises(Trap) as caught:
        exports.cast(thing, second)
    assert caught.value.kind is TrapKind.DESCRIPTOR_CAST_FAILURE


def test_a_cast_takes_descriptors_of_subtypes(exports):
    subclass = exports.subclass(1)
    sub = exports.sub(subclass)
    assert exports.cast(sub, subclass) == sub
    assert exports.exactly(sub) == 0
    assert exports.exactly(exports.thing(exports["class"](1))) == 1


def test_what_has_no_descriptor_is_no_structure_that_a_cast_looks_for(exports):
    described_by = exports["class"](1)
    for other in (exports.plain(), described_by, 5, "text", None):
        assert exports.branch(other, described_by) == 0
        with pytest.raises(Trap) as caught:
            exports.cast(other, described_by)
        assert caught.value.kind is TrapKind.DESCRIPTOR_CAST_FAILURE
    assert exports.cast_null(None, described_by) is None


@pytest.mark.parametrize(
    ("name", "arguments"), [("thing", 1), ("default", 1), ("cast_null", 2), ("branch", 2)]
)
def test_a_null_descriptor_traps(exports, name, arguments):
    with pytest.raises(Trap) as caught:
        exports[name](*[None] * arguments)
    assert caught.value.kind is TrapKind.NULL_DESCRIPTOR_REFERENCE


def test_the_descriptor_of_null_is_no_structure(exports):
    with pytest.raises(Trap) as caught:
        exports.number(None)
    assert caught.value.kind is TrapKind.NULL_REFERENCE


def test_python_cannot_pass_a_subtype_where_a_type_is_exact(exports):
    with pytest.raises(ArgumentError, match=r"argument 0: \(ref null \(exact struct"):
        exports.thing(exports.subclass(1))


def test_descriptors_are_equal_in_all_instances(make, store):
    maker = make(MAKER)
    other = store.engine.load_module(
        wasm(f"""(module (type $other (func)) {TYPES}
        (import "m" "thing" (func $thing (param (ref null (exact $class))) (result (ref (exact $thing)))))
        (global $class (ref (exact $class)) (struct.new $class (i32.const 3)))
        (global $constant (ref (exact $thing))
          (struct.new_desc $thing (i32.const 1) (i32.const 2) (global.get $class)))
        (func (export "constant") (result (ref $thing)) (global.get $constant))
        (func (export "same") (result i32)
          (ref.eq (ref.get_desc $thing (call $thing (global.get $class))) (global.get $class))))""")
    )
    instance = store.instantiate(other, {"m": maker})
    assert instance.exports.same() == 1
    assert maker.exports.number(instance.exports.constant()) == 3
    assert maker.exports.fields(instance.exports.constant()) == (1, 2)


def test_an_exact_import_refuses_functions_of_a_subtype(make):
    types = "(type $super (sub (func))) (type $sub (sub $super (func)))"
    exporter = make(
        f'(module {types} (func (export "super") (type $super)) (func (export "sub") (type $sub)))'
    )
    make(f'(module {types} (import "m" "sub" (func (type $super))))', {"m": exporter})
    make(f'(module {types} (import "m" "super" (func (exact (type $super)))))', {"m": exporter})
    with pytest.raises(LinkError):
        make(f'(module {types} (import "m" "sub" (func (exact (type $super)))))', {"m": exporter})


def test_the_descriptor_lies_where_that_of_the_supertype_lies(store):
    module = store.engine.load_module(wasm(f"(module {TYPES})"))
    plain, thing, described_by, sub, _ = map(struct_layout, module.defined_types)
    assert (plain.descriptor, described_by.descriptor) == (None, None)
    assert thing.descriptor == sub.descriptor == 16
    assert thing.offsets == (8, 12)
    assert sub.offsets == (8, 12, 24)
    assert thing.references == sub.references == (16,)
