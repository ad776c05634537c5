"""Instructions: every row of the table is read with its immediates, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.binary.instructions import decode_body, read_expression, read_instruction
from farcall.engine.errors import MalformedModuleError
from farcall.engine.instructions.instruction import Catch, Immediate
from farcall.engine.instructions.table import BY_NAME, BY_OPCODE, BY_PREFIX, INSTRUCTIONS
from farcall.engine.structure.defined_types import IndexedReference
from farcall.engine.structure.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I31REF,
    I32,
    I64,
    NULLEXNREF,
    NULLREF,
    STRUCTREF,
    V128,
    reference_to,
)
from tests.engine.binary_format import signed, unsigned, vector

U32 = st.integers(0, (1 << 32) - 1)
TYPES = (I32, I64, F32, F64, V128, FUNCREF, EXTERNREF)


def _index(draw):
    value = draw(U32)
    return value, unsigned(value)


def _integer(bits):
    def draw_it(draw):
        value = draw(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
        return value, signed(value)

    return draw_it


def _bits(size):
    def draw_it(draw):
        content = draw(st.binary(min_size=size, max_size=size))
        return int.from_bytes(content, "little"), content

    return draw_it


def _block_type(draw):
    value = draw(st.none() | U32 | st.just("value type"))
    if value is None:
        return None, b"\x40"
    return (value, signed(value)) if isinstance(value, int) else _value_type(draw)


def _labels(draw):
    labels = draw(st.lists(st.integers(0, 300), min_size=1))
    *targets, default = labels
    return tuple(labels), vector([unsigned(target) for target in targets]) + unsigned(default)


def _memory_access(draw):
    exponent, offset = draw(st.integers(0, 63)), draw(st.integers(0, (1 << 64) - 1))
    if draw(st.booleans()):
        memory = draw(U32)
        return (exponent, memory, offset), bytes([exponent | 0x40]) + unsigned(memory) + unsigned(offset)
    return (exponent, 0, offset), bytes([exponent]) + unsigned(offset)


def _value_types(draw):
    types = [_value_type(draw) for _ in range(draw(st.integers(0, 5)))]
    return tuple(value for value, _ in types), vector([encoded for _, encoded in types])


def _value_type(draw):
    if draw(st.booleans()):
        value = draw(st.sampled_from(TYPES))
        return value, bytes([value.code])
    heap, encoded = _heap_type(draw)
    if isinstance(heap, IndexedReference):
        nullable = draw(st.booleans())
        return IndexedReference(heap.index, nullable), bytes([0x63 if nullable else 0x64]) + encoded
    return reference_to(heap.heap, nullable=False), b"\x64" + encoded


def _lane(draw):
    lane = draw(st.integers(0, 255))
    return lane, bytes([lane])


def _lanes(draw):
    lanes = draw(st.binary(min_size=16, max_size=16))
    return tuple(lanes), lanes


def _catches(draw):
    catches = [
        Catch(draw(st.none() | U32), draw(U32), draw(st.booleans())) for _ in range(draw(st.integers(0, 4)))
    ]
    encoded = [
        bytes([2 * (catch.tag is None) + catch.reference])
        + (b"" if catch.tag is None else unsigned(catch.tag))
        + unsigned(catch.label)
        for catch in catches
    ]
    return tuple(catches), vector(encoded)


def _heap_type(draw):
    if draw(st.booleans()):
        index = draw(U32)
        return IndexedReference(index, nullable=True), signed(index)
    choices = (FUNCREF, EXTERNREF, EXNREF, NULLEXNREF, ANYREF, I31REF, NULLREF, STRUCTREF)
    reference = draw(st.sampled_from(choices))
    return reference, bytes([reference.code])


def _cast_flags(draw):
    flags = draw(st.integers(0, 3))
    return (bool(flags & 1), bool(flags & 2)), bytes([flags])


ENCODERS = {
    Immediate.BLOCK_TYPE: _block_type,
    Immediate.LABELS: _labels,
    Immediate.MEMORY_ACCESS: _memory_access,
    Immediate.VALUE_TYPES: _value_types,
    Immediate.HEAP_TYPE: _heap_type,
    Immediate.CATCHES: _catches,
    Immediate.CAST_FLAGS: _cast_flags,
    Immediate.SIGNED_32: _integer(32),
    Immediate.SIGNED_64: _integer(64),
    Immediate.FLOAT_32: _bits(4),
    Immediate.FLOAT_64: _bits(8),
    Immediate.VECTOR: _bits(16),
    Immediate.LANE: _lane,
    Immediate.LANES: _lanes,
    Immediate.ZERO_BYTE: lambda _: (0, b"\0"),
}


@st.composite
def instructions(draw, row=None):
    """A row, its immediates, and its encoding."""
    row = row or draw(st.sampled_from(INSTRUCTIONS))
    opcode = bytes([row.opcode]) if row.prefix is None else bytes([row.prefix]) + unsigned(row.opcode)
    drawn = [ENCODERS.get(immediate, _index)(draw) for immediate in row.immediates]
    return row, tuple(value for value, _ in drawn), opcode + b"".join(encoded for _, encoded in drawn)


@pytest.mark.parametrize("row", INSTRUCTIONS, ids=lambda row: row.name)
@given(data=st.data())
def test_every_row_is_read_with_its_immediates(row, data):
    _, immediates, encoded = data.draw(instructions(row))
    assert read_instruction(b"\xff" + encoded + b"\xff", 1) == (row, immediates, 1 + len(encoded))
    for length in range(len(encoded)):  # cut short: never taken for something shorter
        with pytest.raises((IndexError, MalformedModuleError)):
            read_instruction(encoded[:length], 0)


@given(st.lists(instructions()))
def test_a_body_is_read_instruction_by_instruction(body):
    before = b"\0\x0b"
    source = before + b"".join(encoded for _, _, encoded in body) + b"\x0b"
    expected, position = [], len(before)
    for row, immediates, encoded in body:
        expected.append((row, immediates, position))
        position += len(encoded)
    expected.append((BY_NAME["end"], (), position))
    assert list(decode_body(source, len(before), len(source))) == expected


def unused_opcodes():
    unused = [bytes([code]) for code, row in enumerate(BY_OPCODE) if row is None and code not in BY_PREFIX]
    for prefix, rows in BY_PREFIX.items():
        opcodes = {*range(300), (1 << 32) - 1}.difference(rows)
        unused += [bytes([prefix]) + unsigned(opcode) for opcode in sorted(opcodes)]
    return unused


def test_an_opcode_without_a_row_is_refused():
    assert len(unused_opcodes()) > 300
    for encoded in unused_opcodes():
        with pytest.raises(MalformedModuleError) as raised:
            read_instruction(b"\1\1" + encoded + b"\0", 2)
        assert raised.value.offset == 2
        assert raised.value.reason.startswith(f"illegal opcode {encoded[0]:02x}")


@pytest.mark.parametrize(
    ("encoded", "name", "immediates"),
    [
        ("fb20 05", "struct.new_desc", (5,)),
        ("fb21 8501", "struct.new_default_desc", (133,)),
        ("fb22 05", "ref.get_desc", (5,)),
        ("fb23 05", "ref.cast_desc_eq", (IndexedReference(5, True),)),
        ("fb24 62 63", "ref.cast_desc_eq null", (IndexedReference(0x63, True, exact=True),)),
        (
            "fb25 03 01 6e 62 05",
            "br_on_cast_desc_eq",
            ((True, True), 1, ANYREF, IndexedReference(5, True, True)),
        ),
        (
            "fb26 00 01 6e 05",
            "br_on_cast_desc_eq_fail",
            ((False, False), 1, ANYREF, IndexedReference(5, True)),
        ),
        ("d0 62 05", "ref.null", (IndexedReference(5, True, exact=True),)),
    ],
)
def test_instructions_of_custom_descriptors_are_read(encoded, name, immediates):
    source = bytes.fromhex(encoded)
    row, found, after = read_instruction(source, 0)
    assert (row.name, found, after) == (name, immediates, len(source))


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"\x02\x41", "malformed value type: 0x41"),
        (b"\x02\xff\x7f", "malformed block type"),
        (b"\xd0\x7f", "malformed reference type: 0x7f"),
        (b"\xd0\xc0\x7f", "malformed reference type: 0xc0"),
        (b"\xfb\x18\x04\x00\x6e\x6e", "malformed cast flags: 0x04"),
        (b"\x28\x80\x01\x00", "malformed memop flags: 0x80"),
        (b"\x1c\x01\x00", "malformed value type: 0x00"),
        (b"\x0e\xff\xff\xff\xff\x0f\x00", "unexpected end of section or function"),
        (b"\x43\x00\x00\x00", "unexpected end of section or function"),
        (b"\xfd\x0c" + bytes(15), "unexpected end of section or function"),
        (b"\xfd\x0d" + bytes(15), "unexpected end of section or function"),
        (b"\xfd\x9a\x01", "illegal opcode fd 9a"),
        (b"\xfd\x94\x02", "illegal opcode fd 114"),
        (b"\xfe\x03\x01", "zero byte expected, found 0x01"),
    ],
)
def test_malformed_immediates_are_refused(encoded, reason):
    with pytest.raises(MalformedModuleError) as raised:
        read_instruction(encoded, 0)
    assert raised.value.reason.startswith(reason)


def test_an_expression_ends_with_its_own_end():
    code = bytes.fromhex("02400340 0b 0b 410b 0440 05 0b 0b 01")
    names = [row.name for row, _, _ in read_expression(code, 0)]
    assert names == ["block", "loop", "end", "end", "i32.const", "if", "else", "end", "end"]


@pytest.mark.parametrize("code", ["05", "0240050b0b", "04400505 0b0b", "0340050b0b"])
def test_an_else_outside_of_an_if_is_malformed(code):
    with pytest.raises(MalformedModuleError, match="END opcode expected"):
        list(read_expression(bytes.fromhex(code), 0))
