"""References to objects, i31 and typed functions between Python and guests, and between instances."""

from __future__ import annotations

import gc

import pytest

from farcall.engine import (
    ANYREF,
    I31,
    I32,
    ArgumentError,
    Engine,
    FunctionType,
    LinkError,
    ObjectReference,
    Store,
    StructReference,
    Trap,
    TrapKind,
)
from tests.engine.guests import wasm

SHAPES = """(rec (type $shape (sub (struct (field $area i32))))
       (type $square (sub $shape (struct (field i32) (field $side (mut i32))))))
  (type $circle (sub final $shape (struct (field i32) (field f64))))"""

MAKER = f"""(module {SHAPES}
  (func (export "shape") (result (ref $shape)) (struct.new $shape (i32.const 1)))
  (func (export "square") (param i32) (result (ref $square))
    (struct.new $square (i32.mul (local.get 0) (local.get 0)) (local.get 0)))
  (func (export "circle") (result (ref $circle)) (struct.new $circle (i32.const 3) (f64.const 1)))
  (func (export "same") (param anyref) (result anyref) (local.get 0))
  (func (export "as_extern") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "from_extern") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "i31") (param i31ref) (result i32) (i31.get_s (local.get 0)))
  (func (export "kind") (param anyref) (result i32)
    (if (ref.test (ref i31) (local.get 0)) (then (return (i32.const 31))))
    (if (ref.test (ref $square) (local.get 0)) (then (return (i32.const 2))))
    (if (ref.test (ref $shape) (local.get 0)) (then (return (i32.const 1))))
    (if (ref.test (ref eq) (local.get 0)) (then (return (i32.const 3))))
    (if (ref.is_null (local.get 0)) (then (return (i32.const 0))))
    (i32.const 4)))"""

USER = f"""(module {SHAPES}
  (func (export "area") (param (ref null $shape)) (result i32) (struct.get $shape $area (local.get 0)))
  (func (export "side") (param anyref) (result i32)
    (struct.get $square $side (ref.cast (ref $square) (local.get 0)))))"""


def test_objects_come_back_as_what_they_are(make):
    exports = make(MAKER).exports
    square = exports.square(5)
    assert isinstance(square, StructReference)
    assert square.type.struct.fields[1].mutable
    again = exports.same(square)
    assert again == square
    assert hash(again) == hash(square)
    assert exports.same(exports.square(5)) != square
    assert exports.from_extern(exports.as_extern(square)) == square
    assert exports.same(None) is None


def test_an_i31_is_a_small_int(make):
    exports = make(MAKER).exports
    for value in (0, 1, -1, 2**30 - 1, -(2**30)):
        assert exports.i31(I31(value)) == exports.i31(value) == value
        returned = exports.same(I31(value))
        assert (type(returned), returned) == (I31, value)
        assert exports.kind(I31(value)) == 31
    for value in (2**30, -(2**30) - 1):
        with pytest.raises(ArgumentError):
            I31(value)
        with pytest.raises(ArgumentError):
            exports.i31(value)


def test_values_of_python_s_pass_as_any_and_come_back_as_themselves(make):
    exports = make(MAKER).exports
    for value in ("text", [1], 5, object()):
        assert exports.same(value) is value
        assert exports.kind(value) == 4
        assert exports.as_extern(value) is value
        assert exports.from_extern(value) is value


def test_casts_see_the_types_of_objects_that_another_instance_made(make):
    maker, user = make(MAKER), make(USER)
    assert user.exports.area(maker.exports.shape()) == 1
    assert user.exports.area(maker.exports.square(3)) == 9
    assert user.exports.area(maker.exports.circle()) == 3
    assert user.exports.side(maker.exports.square(3)) == 3
    for wrong in (maker.exports.shape(), maker.exports.circle(), I31(3), "text", None):
        with pytest.raises(Trap) as caught:
            user.exports.side(wrong)
        assert caught.value.kind is TrapKind.CAST_FAILURE
    with pytest.raises(Trap) as caught:
        user.exports.area(None)
    assert caught.value.kind is TrapKind.NULL_STRUCTURE_REFERENCE


def test_arguments_of_another_type_are_refused(make):
    maker, user = make(MAKER), make(USER)
    for wrong in (5, "text", I31(1), maker.exports.same):
        with pytest.raises(ArgumentError, match=r"argument 0: \(ref null struct"):
            user.exports.area(wrong)
    strict = make(f'(module {SHAPES} (func (export "f") (param (ref $shape))))')
    with pytest.raises(ArgumentError, match=r"argument 0: \(ref struct"):
        strict.exports.f(None)


def test_objects_of_another_store_are_refused(engine, make):
    with Store(engine) as other:
        foreign = other.instantiate(engine.load_module(wasm(MAKER))).exports.shape()
        user = make(USER)
        with pytest.raises(Exception, match="not of an instance that is linked"):
            user.exports.area(foreign)


def test_host_functions_take_and_give_objects(make, store):
    square = make(MAKER).exports.square(1).type.reference(nullable=True)
    seen = []
    host = store.host_function(FunctionType((square, ANYREF), (square,)), lambda a, b: seen.append(b) or a)
    caller = make(
        f"""(module {SHAPES}
          (import "" "f" (func $f (param (ref null $square) anyref) (result (ref null $square))))
          (func (export "run") (param i32) (result i32) (struct.get $square $side
            (call $f (struct.new $square (i32.const 0) (local.get 0)) (ref.i31 (local.get 0))))))""",
        {"": {"f": host}},
    )
    assert caller.exports.run(77) == 77
    assert seen == [77]
    wrong = store.host_function(FunctionType((), (square,)), lambda: 5)
    with pytest.raises(ArgumentError, match="result of the host function"):
        make(
            f"""(module {SHAPES} (import "" "f" (func $f (result (ref null $square))))
              (func (export "f") (drop (call $f))))""",
            {"": {"f": wrong}},
        ).exports.f()


def test_a_reference_that_python_drops_is_no_root_any_more(make):
    instance = make(MAKER)
    held = instance.exports.square(1)
    heap = instance.engine.group.heap
    assert held.address in heap._pins
    del held
    gc.collect()
    assert not heap._pins


FUNCTIONS = """(type $any (sub (func (param i32) (result i32)))) (type $some (sub $any (func (param i32) (result i32))))
  (type $other (sub final $any (func (param i32) (result i32)))) (type $plain (func (param i32) (result i32)))"""


def test_indirect_calls_take_functions_of_subtypes_of_other_instances(make):
    provider = make(
        f"""(module {FUNCTIONS}
          (func $f (export "some") (type $some) (i32.add (local.get 0) (i32.const 1)))
          (func $g (export "any") (type $any) (i32.add (local.get 0) (i32.const 2)))
          (func $h (export "plain") (type $plain) (i32.add (local.get 0) (i32.const 3)))
          (table (export "table") 3 3 funcref) (elem (i32.const 0) func $f $g $h))"""
    )
    caller = make(
        f"""(module {FUNCTIONS} (import "p" "table" (table $t 3 3 funcref))
          (func (export "as_any") (param i32) (result i32)
            (call_indirect $t (type $any) (i32.const 10) (local.get 0)))
          (func (export "as_some") (param i32) (result i32)
            (call_indirect $t (type $some) (i32.const 10) (local.get 0)))
          (func (export "as_plain") (param i32) (result i32)
            (call_indirect $t (type $plain) (i32.const 10) (local.get 0)))
          (func (export "is_any") (param i32) (result i32) (ref.test (ref $any) (table.get $t (local.get 0))))
          (func (export "is_other") (param i32) (result i32) (ref.test (ref $other) (table.get $t (local.get 0)))))""",
        {"p": provider},
    )
    exports = caller.exports
    assert (exports.as_any(0), exports.as_any(1), exports.as_some(0), exports.as_plain(2)) == (11, 12, 11, 13)
    for function, index in ((exports.as_any, 2), (exports.as_some, 1), (exports.as_plain, 0)):
        with pytest.raises(Trap) as caught:
            function(index)
        assert caught.value.kind is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
    assert [exports.is_any(index) for index in range(3)] == [1, 1, 0]
    assert [exports.is_other(index) for index in range(3)] == [0, 0, 0]
    # `lookup_function` reaches what call_indirect does.
    types = caller.engine._code.types
    any_type, some_type = (caller.module.defined_types[index] for index in (0, 1))
    assert (
        caller.engine.lookup_function(0, types.id_of(any_type), 0)[1] == provider.engine.new_function(0).index
    )
    with pytest.raises(Trap, match="indirect call type mismatch"):
        caller.engine.lookup_function(0, types.id_of(some_type), 1)


def test_imports_match_by_subtyping(make):
    provider = make(
        f"""(module {FUNCTIONS} {SHAPES} (func $f (export "some") (type $some) local.get 0)
          (func (export "plain") (type $plain) local.get 0)
          (global (export "constant") (ref $square) (struct.new $square (i32.const 4) (i32.const 2)))
          (global (export "variable") (mut (ref null $square)) (ref.null $square))
          (table (export "table") 1 (ref null $square)))"""
    )
    importer = make(
        f"""(module {FUNCTIONS} {SHAPES} (import "p" "some" (func $f (type $any)))
          (import "p" "constant" (global $g (ref null $shape)))
          (elem declare func $f)
          (func (export "area") (result i32) (struct.get $shape $area (global.get $g)))
          (func (export "is_some") (result i32) (ref.test (ref $some) (ref.func $f)))
          (func (export "call") (result i32) (call $f (i32.const 6))))""",
        {"p": provider},
    )
    assert (importer.exports.area(), importer.exports.is_some(), importer.exports.call()) == (4, 1, 6)
    for wrong in (
        '(import "p" "some" (func (type $other)))',
        '(import "p" "some" (func (type $plain)))',
        '(import "p" "plain" (func (type $any)))',
        '(import "p" "variable" (global (mut (ref null $shape))))',
        '(import "p" "constant" (global (ref $circle)))',
        '(import "p" "table" (table 1 (ref null $shape)))',
    ):
        with pytest.raises(LinkError, match="incompatible import type"):
            make(f"(module {FUNCTIONS} {SHAPES} {wrong})", {"p": provider})


def test_typed_functions_of_the_host_are_final(make, store):
    host = store.host_function(FunctionType((I32,), (I32,)), lambda value: value + 1)
    caller = make(
        f"""(module {FUNCTIONS} (import "" "f" (func $f (type $plain))) (elem declare func $f)
          (func (export "call") (param i32) (result i32) (call_ref $plain (local.get 0) (ref.func $f)))
          (func (export "is_any") (result i32) (ref.test (ref $any) (ref.func $f))))""",
        {"": {"f": host}},
    )
    assert caller.exports.call(4) == 5
    assert caller.exports.is_any() == 0


def test_a_module_without_types_of_its_own_can_look_at_objects(make):
    looker = make(
        """(module (func (export "length") (param arrayref) (result i32) (array.len (local.get 0)))
          (func (export "is_array") (param anyref) (result i32) (ref.test (ref array) (local.get 0)))
          (func (export "is_struct") (param anyref) (result i32) (ref.test (ref struct) (local.get 0))))"""
    ).exports
    maker = make(
        """(module (type $a (array i8)) (type $s (struct))
          (func (export "array") (result arrayref) (array.new_default $a (i32.const 12)))
          (func (export "struct") (result structref) (struct.new $s)))"""
    ).exports
    assert looker.length(maker.array()) == 12
    assert [looker.is_array(each()) for each in (maker.array, maker.struct)] == [1, 0]
    assert [looker.is_struct(each()) for each in (maker.array, maker.struct)] == [0, 1]


def test_a_function_in_an_object_that_went_to_another_instance_keeps_its_own(make):
    holder = make('(module (global (export "kept") (mut anyref) (ref.null any)))')
    maker = make(
        """(module (type $f (func (result i32))) (type $box (struct (field (ref $f))))
          (func $f (type $f) (i32.const 42)) (elem declare func $f)
          (func (export "box") (result anyref) (struct.new $box (ref.func $f))))"""
    )
    caller = make(
        """(module (type $f (func (result i32))) (type $box (struct (field (ref $f))))
          (func (export "call") (param anyref) (result i32)
            (call_ref $f (struct.get $box 0 (ref.cast (ref $box) (local.get 0))))))"""
    )
    holder.exports.kept.value = maker.exports.box()
    maker.close()
    gc.collect()
    make("(module)").close()
    assert caller.exports.call(holder.exports.kept.value) == 42


def test_engines_agree_on_types_by_their_own_ids():
    with Engine() as first, Engine() as second:
        for engine in (first, second):
            with Store(engine) as store:
                maker = store.instantiate(engine.load_module(wasm(MAKER)))
                user = store.instantiate(engine.load_module(wasm(USER)))
                square: ObjectReference = maker.exports.square(2)
                assert user.exports.side(square) == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("(drop (struct.get $square 0 (ref.null $square)))", TrapKind.NULL_STRUCTURE_REFERENCE),
        ("(drop (array.get $bytes (ref.null $bytes) (i32.const 0)))", TrapKind.NULL_ARRAY_REFERENCE),
        ("(drop (array.len (ref.null array)))", TrapKind.NULL_ARRAY_REFERENCE),
        ("(drop (i31.get_u (ref.null i31)))", TrapKind.NULL_I31_REFERENCE),
        ("(drop (ref.as_non_null (ref.null any)))", TrapKind.NULL_REFERENCE),
        ("(call_ref $f (ref.null $f))", TrapKind.NULL_FUNCTION_REFERENCE),
        ("(drop (ref.cast (ref i31) (ref.null any)))", TrapKind.CAST_FAILURE),
        (
            "(drop (array.get_u $bytes (array.new_default $bytes (i32.const 3)) (i32.const 3)))",
            TrapKind.OUT_OF_BOUNDS_ARRAY_ACCESS,
        ),
        (
            "(array.set $bytes (array.new_default $bytes (i32.const 3)) (i32.const -1) (i32.const 3))",
            TrapKind.OUT_OF_BOUNDS_ARRAY_ACCESS,
        ),
        (
            """(array.fill $bytes (array.new_default $bytes (i32.const 3)) (i32.const -1) (i32.const 3)
                (i32.const 2))""",
            TrapKind.OUT_OF_BOUNDS_ARRAY_ACCESS,
        ),
        (
            "(drop (array.new_data $bytes $d (i32.const 2) (i32.const 2)))",
            TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS,
        ),
    ],
)
def test_each_way_to_go_wrong_is_a_trap_of_its_own(make, body, kind):
    body = body.replace("array.get $bytes", "array.get_u $bytes")
    instance = make(
        f"""(module {SHAPES} (type $bytes (array (mut i8))) (type $f (func)) (data $d "abc")
          (func (export "run") {body}))"""
    )
    with pytest.raises(Trap) as caught:
        instance.exports.run()
    assert caught.value.kind is kind
