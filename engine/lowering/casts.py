"""Casts (sections 4.6.3 and 4.6.8): whether a reference is of a type, decided when it is reached.

A type's descriptor has a display: pointers to the descriptors of all types above it. So the test for a subtype is a
comparison with the object's own descriptor, nearly always, and else with one entry of its display.
"""

from __future__ import annotations

from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi import objects
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering import object_access
from farcall.engine.lowering.control import branch_if
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.metadata import CONTEXT, INVARIANT, INVARIANT_POINTER
from farcall.engine.lowering.objects import type_descriptor
from farcall.engine.lowering.reference import check_not_null
from farcall.engine.structure.defined_types import DefinedType
from farcall.engine.structure.types import ReferenceType

_BOTTOMS = frozenset({"none", "nofunc", "noextern", "noexn"})
_KINDS = {"struct": objects.DescriptorKind.STRUCT, "array": objects.DescriptorKind.ARRAY}


def is_of_type(  # noqa: PLR0911 - a case each
    function: FunctionLowering, reference: str, target: ReferenceType, nullable: bool
) -> str:
    """Whether a reference is of a heap type, or null where `nullable`; an i1."""
    heap = target.heap
    if isinstance(heap, DefinedType):
        index = function.context.type_index(heap)
        if heap.kind == "func":
            return _of_function_type(function, reference, target, index, nullable)
        return _of_object(
            function, reference, nullable, lambda found: _matches(function, found, target, index)
        )
    if heap in _BOTTOMS:
        return function.define(f"icmp eq ptr {reference}, null") if nullable else "false"
    if heap in _KINDS:
        kind = _KINDS[heap].value
        return _of_object(function, reference, nullable, lambda found: _has_kind(function, found, kind))
    if heap == "i31":
        return _or_null(function, reference, nullable, _has_tag(function, reference, "i31"))
    not_null = function.define(f"icmp ne ptr {reference}, null") if not nullable else "true"
    if heap == "eq":
        ours = _has_tag(function, reference, "not host")
        return function.define(f"and i1 {not_null}, {ours}")
    return not_null


def _or_null(function: FunctionLowering, reference: str, nullable: bool, condition: str) -> str:
    if not nullable:
        return condition
    null = function.define(f"icmp eq ptr {reference}, null")
    return function.define(f"or i1 {null}, {condition}")


def _has_tag(function: FunctionLowering, reference: str, what: str) -> str:
    word = function.define(f"ptrtoint ptr {reference} to i64")
    if what == "i31":
        tag = function.define(f"and i64 {word}, {objects.I31_TAG}")
        return function.define(f"icmp ne i64 {tag}, 0")
    tag = function.define(f"and i64 {word}, {objects.TAG_MASK}")
    return function.define(f"icmp ne i64 {tag}, {objects.HOST_TAG}")


def _of_object(function: FunctionLowering, reference: str, nullable: bool, test: Any) -> str:
    """Whether a reference is to an object that passes a test of its descriptor."""
    word = function.define(f"ptrtoint ptr {reference} to i64")
    tag = function.define(f"and i64 {word}, {objects.TAG_MASK}")
    null = function.define(f"icmp eq ptr {reference}, null")
    tagged = function.define(f"icmp ne i64 {tag}, 0")
    other = function.define(f"or i1 {null}, {tagged}")
    return _unless(
        function,
        other,
        null if nullable else "false",
        lambda: test(function.load("ptr", reference, objects.OBJECT_TYPE, CONTEXT)),
    )


def _unless(function: FunctionLowering, condition: str, otherwise: str, compute: Any) -> str:
    """An i1: `otherwise` where `condition` holds, else what `compute` emits."""
    name = function.name()
    before = function.block
    function.lines.append(f"br i1 {condition}, label %{name}.done, label %{name}.test")
    function.continue_in(f"{name}.test")
    computed = compute()
    last = function.block
    function.lines.append(f"br label %{name}.done")
    function.continue_in(f"{name}.done")
    return function.define(f"phi i1 [ {otherwise}, %{before} ], [ {computed}, %{last} ]")


def _has_kind(function: FunctionLowering, found: str, kind: int) -> str:
    value = function.load("i32", found, objects.DESCRIPTOR_KIND, INVARIANT)
    return function.define(f"icmp eq i32 {value}, {kind}")


def _matches(function: FunctionLowering, found: str, target: ReferenceType, index: int) -> str:
    """Whether a descriptor is that of a type, or if not exact, of one below it."""
    wanted = _defined(target)
    own = type_descriptor(function, index)
    same = function.define(f"icmp eq ptr {found}, {own}")
    if wanted.final or target.exact:
        return same
    return _unless(function, same, "true", lambda: is_below(function, found, own, wanted.depth))


def _defined(target: ReferenceType) -> DefinedType:
    assert isinstance(target.heap, DefinedType)
    return target.heap


def is_below(function: FunctionLowering, found: str, wanted: str, depth: int) -> str:
    """Whether a descriptor is of a type that is truly below the one of descriptor `wanted`; an i1."""
    found_depth = function.load("i32", found, objects.DESCRIPTOR_DEPTH, INVARIANT)
    too_high = function.define(f"icmp ule i32 {found_depth}, {depth}")

    def compare() -> str:
        place = objects.DESCRIPTOR_DISPLAY + 8 * depth
        above = function.load("ptr", found, place, INVARIANT_POINTER)
        return function.define(f"icmp eq ptr {above}, {wanted}")

    return _unless(function, too_high, "false", compare)


def _of_function_type(
    function: FunctionLowering, reference: str, target: ReferenceType, index: int, nullable: bool
) -> str:
    wanted = _defined(target)
    null = function.define(f"icmp eq ptr {reference}, null")

    def compare() -> str:
        found = function.load("i32", reference, abi.FUNCTION_RECORD_TYPE_ID, CONTEXT)
        same = function.define(f"icmp eq i32 {found}, {type_id(function, index)}")
        if wanted.final or target.exact:
            return same
        return _unless(function, same, "true", lambda: function_is_below(function, reference, wanted, index))

    return _unless(function, null, "true" if nullable else "false", compare)


def type_id(function: FunctionLowering, index: int) -> str:
    """The canonical id of a type of the module."""
    type_ids = function.load("ptr", "%vmctx", abi.CONTEXT_TYPE_IDS, INVARIANT_POINTER)
    return function.load("i32", type_ids, 4 * index, INVARIANT)


def function_is_below(function: FunctionLowering, record: str, wanted: DefinedType, index: int) -> str:
    """Whether a function's type is truly below a type; an i1."""
    found = function.load("ptr", record, abi.FUNCTION_RECORD_DESCRIPTOR, CONTEXT)
    return is_below(function, found, type_descriptor(function, index), wanted.depth)


def has_descriptor(
    function: FunctionLowering, reference: str, wanted: str, target: ReferenceType, nullable: bool
) -> str:
    """Whether a reference is to a structure that the structure `wanted` describes, or null where `nullable`; an i1.

    `wanted`, which is not null, describes only structures of the type `target`. Others need not have a descriptor, or
    not where that type has it, so that their type is looked at first.
    """
    index = function.context.type_index(_defined(target))

    def test(found: str) -> str:
        other = function.define(f"xor i1 {_matches(function, found, target, index)}, true")
        return _unless(function, other, "false", compare)

    def compare() -> str:
        own = object_access.load_descriptor(function, index, reference)
        return function.define(f"icmp eq ptr {own}, {wanted}")

    return _of_object(function, reference, nullable, test)


# -- Rules -------------------------------------------------------------------------------------------------------------


def _test(function: FunctionLowering, immediates: tuple[Any, ...], nullable: bool) -> None:
    target = function.context.module.reference_type(immediates[0])
    condition = is_of_type(function, function.pop(), target, nullable)
    name = function.name()
    function.lines.append(f"%{name}.c = or i1 {condition}, false\n%{name} = zext i1 %{name}.c to i32")
    function.stack.append(("i32", f"%{name}"))


def ref_test(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.test (ref ht)`."""
    _test(function, immediates, nullable=False)


def ref_test_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.test (ref null ht)`."""
    _test(function, immediates, nullable=True)


def _cast(function: FunctionLowering, immediates: tuple[Any, ...], nullable: bool) -> None:
    target = function.context.module.reference_type(immediates[0])
    condition = is_of_type(function, function.stack[-1][1], target, nullable)
    function.trap_if(function.define(f"xor i1 {condition}, true"), "cast_failure")


def ref_cast(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.cast (ref ht)`."""
    _cast(function, immediates, nullable=False)


def ref_cast_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.cast (ref null ht)`."""
    _cast(function, immediates, nullable=True)


def _condition(function: FunctionLowering, immediates: tuple[Any, ...]) -> str:
    (_, nullable), _, _, encoded = immediates
    target = function.context.module.reference_type(encoded)
    return is_of_type(function, function.stack[-1][1], target, nullable)


def br_on_cast(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_on_cast`."""
    branch_if(function, _condition(function, immediates), immediates[1])


def br_on_cast_fail(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_on_cast_fail`."""
    condition = function.define(f"xor i1 {_condition(function, immediates)}, true")
    branch_if(function, condition, immediates[1])


def _descriptor_condition(function: FunctionLowering, encoded: Any, nullable: bool) -> str:
    """Whether the reference on the stack has the descriptor above it, which is taken off."""
    wanted = check_not_null(function, function.pop(), "null_descriptor_reference")
    target = function.context.module.reference_type(encoded)
    return has_descriptor(function, function.stack[-1][1], wanted, target, nullable)


def _cast_by_descriptor(function: FunctionLowering, encoded: Any, nullable: bool) -> None:
    condition = _descriptor_condition(function, encoded, nullable)
    function.trap_if(function.define(f"xor i1 {condition}, true"), "descriptor_cast_failure")


def ref_cast_desc_eq(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.cast_desc_eq (ref ht)`."""
    _cast_by_descriptor(function, immediates[0], nullable=False)


def ref_cast_desc_eq_null(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`ref.cast_desc_eq (ref null ht)`."""
    _cast_by_descriptor(function, immediates[0], nullable=True)


def br_on_cast_desc_eq(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_on_cast_desc_eq`."""
    (_, nullable), label, _, encoded = immediates
    branch_if(function, _descriptor_condition(function, encoded, nullable), label)


def br_on_cast_desc_eq_fail(
    function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]
) -> None:
    """`br_on_cast_desc_eq_fail`."""
    (_, nullable), label, _, encoded = immediates
    condition = _descriptor_condition(function, encoded, nullable)
    branch_if(function, function.define(f"xor i1 {condition}, true"), label)
