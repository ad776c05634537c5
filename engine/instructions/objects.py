"""Instructions on structures, arrays, i31 and casts (section 2.4.3). Types are the rules' business."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.engine.instructions.instruction import Feature, Immediate, Instruction
from farcall.engine.structure.types import EQREF, I31REF, I32, reference_to

_PREFIX = 0xFB
_TYPE, _FIELD, _HEAP = Immediate.TYPE, Immediate.FIELD, Immediate.HEAP_TYPE
_DATA, _ELEMENT = Immediate.DATA_SEGMENT, Immediate.ELEMENT_SEGMENT
_CAST = (Immediate.CAST_FLAGS, Immediate.LABEL, _HEAP, _HEAP)

_BY_RULE: tuple[tuple[int, str, str, tuple[Immediate, ...]], ...] = (
    (0, "struct.new", "struct_new", (_TYPE,)),
    (1, "struct.new_default", "struct_new_default", (_TYPE,)),
    (2, "struct.get", "struct_get", (_TYPE, _FIELD)),
    (3, "struct.get_s", "struct_get_s", (_TYPE, _FIELD)),
    (4, "struct.get_u", "struct_get_u", (_TYPE, _FIELD)),
    (5, "struct.set", "struct_set", (_TYPE, _FIELD)),
    (6, "array.new", "array_new", (_TYPE,)),
    (7, "array.new_default", "array_new_default", (_TYPE,)),
    (8, "array.new_fixed", "array_new_fixed", (_TYPE, Immediate.ARRAY_LENGTH)),
    (9, "array.new_data", "array_new_data", (_TYPE, _DATA)),
    (10, "array.new_elem", "array_new_elem", (_TYPE, _ELEMENT)),
    (11, "array.get", "array_get", (_TYPE,)),
    (12, "array.get_s", "array_get_s", (_TYPE,)),
    (13, "array.get_u", "array_get_u", (_TYPE,)),
    (14, "array.set", "array_set", (_TYPE,)),
    (16, "array.fill", "array_fill", (_TYPE,)),
    (17, "array.copy", "array_copy", (_TYPE, _TYPE)),
    (18, "array.init_data", "array_init_data", (_TYPE, _DATA)),
    (19, "array.init_elem", "array_init_elem", (_TYPE, _ELEMENT)),
    (20, "ref.test", "ref_test", (_HEAP,)),
    (21, "ref.test null", "ref_test_null", (_HEAP,)),
    (22, "ref.cast", "ref_cast", (_HEAP,)),
    (23, "ref.cast null", "ref_cast_null", (_HEAP,)),
    (24, "br_on_cast", "br_on_cast", _CAST),
    (25, "br_on_cast_fail", "br_on_cast_fail", _CAST),
    (26, "any.convert_extern", "any_convert_extern", ()),
    (27, "extern.convert_any", "extern_convert_any", ()),
)
"""Opcode after the prefix, name, rule, immediates."""

_OF_DESCRIPTORS: tuple[tuple[int, str, str, tuple[Immediate, ...]], ...] = (
    (32, "struct.new_desc", "struct_new_desc", (_TYPE,)),
    (33, "struct.new_default_desc", "struct_new_default_desc", (_TYPE,)),
    (34, "ref.get_desc", "ref_get_desc", (_TYPE,)),
    (35, "ref.cast_desc_eq", "ref_cast_desc_eq", (_HEAP,)),
    (36, "ref.cast_desc_eq null", "ref_cast_desc_eq_null", (_HEAP,)),
    (37, "br_on_cast_desc_eq", "br_on_cast_desc_eq", _CAST),
    (38, "br_on_cast_desc_eq_fail", "br_on_cast_desc_eq_fail", _CAST),
)
"""The same of the custom-descriptors proposal."""


def _rows() -> Iterator[Instruction]:
    for feature, rows in ((Feature.GC, _BY_RULE), (Feature.CUSTOM_DESCRIPTORS, _OF_DESCRIPTORS)):
        for opcode, name, rule, immediates in rows:
            yield Instruction(name, _PREFIX, opcode, immediates, feature=feature, rule=rule)


ROWS: tuple[Instruction, ...] = (
    *_rows(),
    Instruction(
        "ref.eq",
        None,
        0xD3,
        (),
        (EQREF, EQREF),
        (I32,),
        feature=Feature.GC,
        template="%{n}.c = icmp eq ptr {a}, {b}\n%{n} = zext i1 %{n}.c to i32",
    ),
    Instruction(
        "array.len",
        _PREFIX,
        15,
        (),
        (reference_to("array", nullable=True),),
        (I32,),
        feature=Feature.GC,
        rule="array_len",
    ),
    Instruction(
        "ref.i31",
        _PREFIX,
        28,
        (),
        (I32,),
        (reference_to("i31", nullable=False),),
        feature=Feature.GC,
        rule="ref_i31",
    ),
    Instruction("i31.get_s", _PREFIX, 29, (), (I31REF,), (I32,), feature=Feature.GC, rule="i31_get_s"),
    Instruction("i31.get_u", _PREFIX, 30, (), (I31REF,), (I32,), feature=Feature.GC, rule="i31_get_u"),
)
