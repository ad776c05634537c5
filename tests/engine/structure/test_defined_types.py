"""Defined types: equal groups are the same types, in all modules; subtyping."""

from __future__ import annotations

import gc
import itertools
import pickle
import weakref

import pytest

from farcall.engine.binary import decode_module
from farcall.engine.structure import matching
from farcall.engine.structure.defined_types import (
    FieldType,
    GroupReference,
    Shape,
    StructType,
    define_function,
    define_group,
)
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import I32, I64, FunctionType, reference_to
from tests.engine.guests import wasm

NODE = "(type $node (sub (struct (field (mut (ref null $node))) (field i32))))"


def types(fields: str):
    return decode_module(wasm(f"(module {fields})")).defined_types


def test_equal_types_of_two_modules_are_the_same_object():
    first = types(f"{NODE} (type (func (param (ref $node))))")
    second = types(f"(type (array i8)) {NODE} (type (func (param (ref $node))))")
    assert first[0] is second[1]
    assert first[1] is second[2]
    assert first[1].function.parameters[0] is second[2].function.parameters[0]


@pytest.mark.parametrize(
    "other",
    [
        "(type $node (sub final (struct (field (mut (ref null $node))) (field i32))))",
        "(type $node (sub (struct (field (mut (ref $node))) (field i32))))",
        "(type $node (sub (struct (field (ref null $node)) (field i32))))",
        "(type $node (sub (struct (field (mut (ref null $node))) (field i64))))",
        f"(rec {NODE} (type (func)))",
        f"(rec (type (func)) {NODE})",
    ],
)
def test_types_that_differ_in_anything_are_not(other):
    assert types(NODE)[0] not in types(other)


def test_a_type_that_refers_to_itself_is_not_one_that_refers_to_its_equal():
    unrolled = types(f"{NODE} (type (sub (struct (field (mut (ref null $node))) (field i32))))")
    assert unrolled[1] is not unrolled[0]


def test_a_function_type_alone_is_the_same_however_it_is_made():
    (found,) = types("(type (func (param i32) (result i64)))")
    assert found is define_function(FunctionType((I32,), (I64,)))


def test_types_that_nobody_uses_are_forgotten():
    field = FieldType(GroupReference(0, nullable=True), mutable=True)  # type: ignore[arg-type]
    shape = Shape(final=False, supertype=None, composite=StructType((field,) * 77))
    (defined,) = define_group((shape,))
    gone = weakref.ref(defined)
    assert defined.struct.fields[0].storage is defined.reference(nullable=True)
    del defined
    gc.collect()
    assert gone() is None


def test_a_pickled_type_is_the_type_itself():
    for defined in types(
        f"{NODE} (type (sub $node (struct (field (mut (ref null $node))) (field i32 i64))))"
    ):
        assert pickle.loads(pickle.dumps(defined)) is defined
        reference = defined.reference(nullable=False)
        assert pickle.loads(pickle.dumps(reference)) is reference


def test_names_do_not_follow_references_without_end():
    first, second = types(
        "(rec (type (struct (field (ref 1)))) (type (func (param (ref 0)) (result (ref null 1)))))"
    )
    assert str(first) == "struct {(ref func ...)}"
    assert (
        second.reference(nullable=True).name == "(ref null func ((ref struct ...)) -> ((ref null func ...)))"
    )


HIERARCHY = types(
    """(type $top (sub (struct))) (type $below (sub $top (struct (field i32))))
       (type $other (sub (struct (field f32)))) (type $array (array i8)) (type $function (sub (func)))
       (type $below_function (sub $function (func)))"""
)
TOP, BELOW, OTHER, ARRAY, FUNCTION, BELOW_FUNCTION = HIERARCHY

ABOVE = {
    "none": {"none", "i31", "struct", "array", "eq", "any", TOP, BELOW, OTHER, ARRAY},
    "i31": {"i31", "eq", "any"},
    "struct": {"struct", "eq", "any"},
    "array": {"array", "eq", "any"},
    "eq": {"eq", "any"},
    "any": {"any"},
    BELOW: {BELOW, TOP, "struct", "eq", "any"},
    TOP: {TOP, "struct", "eq", "any"},
    OTHER: {OTHER, "struct", "eq", "any"},
    ARRAY: {ARRAY, "array", "eq", "any"},
    "nofunc": {"nofunc", "func", FUNCTION, BELOW_FUNCTION},
    BELOW_FUNCTION: {BELOW_FUNCTION, FUNCTION, "func"},
    FUNCTION: {FUNCTION, "func"},
    "func": {"func"},
    "noextern": {"noextern", "extern"},
    "extern": {"extern"},
    "noexn": {"noexn", "exn"},
    "exn": {"exn"},
}


@pytest.mark.parametrize(("found", "wanted"), [*itertools.product(ABOVE, repeat=2)], ids=str)
def test_references_match_as_their_heap_types_and_null_do(found, wanted):
    below = wanted in ABOVE[found]
    for found_null, wanted_null in itertools.product((False, True), repeat=2):
        matches = value_matches(reference_to(found, found_null), reference_to(wanted, wanted_null))
        assert matches is (below and (wanted_null or not found_null))


def test_a_reference_of_unreachable_code_matches_every_reference_and_no_number():
    for heap in ABOVE:
        assert value_matches(matching.BOTTOM, reference_to(heap, nullable=False))
    assert not value_matches(matching.BOTTOM, I32)


THING = "(type $thing (sub (descriptor $class) (struct)))"
PAIR = f"(rec {THING} (type $class (sub (describes $thing) (struct))))"


def test_descriptor_clauses_are_part_of_a_type():
    thing, described_by = types(PAIR)
    assert (thing.descriptor, thing.describes) == (described_by, None)
    assert (described_by.descriptor, described_by.describes) == (None, thing)
    assert types(f"(type (func)) {PAIR}")[1:] == (thing, described_by)
    without = types("(rec (type (sub (struct))) (type (sub (struct))))")
    assert not {thing, described_by} & set(without)


def test_exact_references_are_one_object_and_named_as_such():
    struct = types("(type (sub (struct)))")[0]
    exact = struct.reference(nullable=True, exact=True)
    assert exact is struct.reference(nullable=True, exact=True)
    assert exact is not struct.reference(nullable=True)
    assert exact is struct.reference(nullable=False, exact=True).with_null(True)
    assert exact.name == "(ref null (exact struct {}))"
    assert pickle.loads(pickle.dumps(exact)) is exact


def test_only_the_type_itself_and_null_match_an_exact_reference():
    above, below = types("(type $a (sub (struct))) (type (sub $a (struct (field i32))))")
    exact = above.reference(nullable=True, exact=True)
    assert value_matches(exact, above.reference(nullable=True))
    assert value_matches(exact, reference_to("struct", nullable=True))
    assert value_matches(reference_to("none", nullable=True), exact)
    assert value_matches(above.reference(nullable=False, exact=True), exact)
    for other in (
        above.reference(nullable=True),
        below.reference(nullable=True, exact=True),
        reference_to("struct", nullable=True),
    ):
        assert not value_matches(other, exact)
    assert value_matches(below.reference(nullable=True, exact=True), above.reference(nullable=True))


def test_an_exact_reference_differs_from_the_other_in_a_group_s_identity():
    exact, other = (
        types(f"(type $t (struct (field (ref null {heap}))))")[0] for heap in ("(exact $t)", "$t")
    )
    assert exact is not other
    assert exact.struct.fields[0].storage is exact.reference(nullable=True, exact=True)
