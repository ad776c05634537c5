"""What the body routine asks of blocks, labels, callees and immediates that are no index: routines of their own."""

from __future__ import annotations

from farcall.engine.binary.leb128_routines import POSITION_MASK, VALUE_SHIFT, scan_u32, scan_u64
from farcall.engine.routines import routine, set_u32, set_u64, u8, u32, u64
from farcall.engine.structure.function_facts import Fact
from farcall.engine.validation.native.layout import (
    FRAME_BYTES,
    MOST_BRANCHED_VALUES,
    TYPE_BYTES,
    At,
    Frame,
    Kind,
    Row,
    RowFlag,
    TypeId,
    TypeRow,
)
from farcall.engine.validation.native.operand_routines import all_match, pop_all


@routine
def function_type_row(context: int, index: int) -> int:
    """The address of a function type's row; 0 where that index is none of a function type."""
    if index >= u64(context + At.TYPE_COUNT):
        return 0
    row = u64(context + At.TYPES) + TYPE_BYTES * index
    return row if u64(row + TypeRow.VALUES) else 0


@routine
def open_frame(
    frame: int, kind: int, base: int, parameters: int, parameter_count: int, result_count: int
) -> int:
    """Fill a control frame."""
    set_u64(frame + Frame.BASE, base)
    set_u64(frame + Frame.KIND, kind)
    set_u64(frame + Frame.UNREACHABLE, 0)
    set_u64(frame + Frame.PARAMETERS, parameters)
    set_u64(frame + Frame.PARAMETER_COUNT, parameter_count)
    set_u64(frame + Frame.RESULTS, parameters + parameter_count)
    set_u64(frame + Frame.RESULT_COUNT, result_count)
    return frame


@routine
def label_types(frame: int) -> int:
    """The address of the types that a branch to a frame's label takes."""
    if u64(frame + Frame.KIND) == Kind.LOOP:
        return u64(frame + Frame.PARAMETERS)
    return u64(frame + Frame.RESULTS)


@routine
def label_type_count(frame: int) -> int:
    """How many there are."""
    if u64(frame + Frame.KIND) == Kind.LOOP:
        return u64(frame + Frame.PARAMETER_COUNT)
    return u64(frame + Frame.RESULT_COUNT)


@routine
def note_callee(facts: int, type_row: int) -> int:
    """Note how wide the type of a called function is."""
    width = u32(type_row + TypeRow.PARAMETER_COUNT) + u32(type_row + TypeRow.RESULT_COUNT)
    if width > u32(facts + 4 * Fact.WIDEST_CALLEE):
        set_u32(facts + 4 * Fact.WIDEST_CALLEE, width)
    return width


@routine
def count(facts: int, fact: int, more: int) -> int:
    """Count something up."""
    sum_ = u32(facts + 4 * fact) + more
    set_u32(facts + 4 * fact, sum_)
    return sum_


@routine
def lanes_within(source: int, position: int, last: int, end: int, lanes: int) -> int:
    """The position after bytes that are all less than `lanes`, or -1."""
    if last > end:
        return -1
    while position < last:
        if u8(source + position) >= lanes:
            return -1
        position += 1
    return position


@routine
def memory_access(context: int, row: int, position: int, end: int, facts: int) -> int:  # noqa: PLR0911
    """Read and check a memory access' immediate; the type of addresses above the position after it, or -1."""
    source = u64(context + At.SOURCE)
    scanned = scan_u32(source, position, end)
    if scanned < 0:
        return -1
    exponent = scanned >> VALUE_SHIFT
    position = scanned & POSITION_MASK
    memory = 0
    if exponent >= 0x80:
        return -1
    if exponent & 0x40:
        exponent ^= 0x40
        scanned = scan_u32(source, position, end)
        if scanned < 0:
            return -1
        memory = scanned >> VALUE_SHIFT
        position = scanned & POSITION_MASK
    if memory >= u64(context + At.MEMORY_COUNT) or exponent > u8(row + Row.NUMBER):
        return -1
    address = u8(u64(context + At.MEMORIES) + memory)
    scanned = scan_u64(source, position, end)
    if scanned < 0 or (scanned & 1 and address == TypeId.I32):
        return -1
    if u8(row + Row.FLAGS) & RowFlag.NATURALLY_ALIGNED:
        if exponent != u8(row + Row.NUMBER):
            return -1
        count(facts, Fact.ATOMIC_ACCESSES, 1)
    elif memory == 0:
        count(facts, Fact.ACCESSES_0, 1)
    else:
        count(facts, Fact.ACCESSES_OTHER, 1)
    return address << VALUE_SHIFT | scanned >> 1


@routine
def branch_table(  # noqa: PLR0911
    context: int, position: int, end: int, top: int, base: int, unreachable: int, frames: int, frame: int
) -> int:
    """Check the labels of `br_table`; their number above the position after them, or -1."""
    source = u64(context + At.SOURCE)
    matches = u64(context + At.MATCHES)
    scanned = scan_u32(source, position, end)
    if scanned < 0:
        return -1
    labels = (scanned >> VALUE_SHIFT) + 1
    position = scanned & POSITION_MASK
    if labels > end - position:
        return -1
    checked = 0
    arity = 0
    while checked < labels:
        scanned = scan_u32(source, position, end)
        if scanned < 0:
            return -1
        position = scanned & POSITION_MASK
        depth = scanned >> VALUE_SHIFT
        if depth > 0xFFFFFF or frame - frames < depth * FRAME_BYTES:
            return -1
        label = frame - depth * FRAME_BYTES
        label_count = label_type_count(label)
        if checked == 0:
            arity = label_count
        if label_count != arity or arity > MOST_BRANCHED_VALUES:
            return -1
        if arity and pop_all(top, base, unreachable, label_types(label), arity, matches) == 0:
            return -1
        checked += 1
    return labels << VALUE_SHIFT | position


@routine
def may_follow(opener: int, kind: int) -> int:
    """Whether what ends a part of a block may end one that such an instruction has begun."""
    if kind == Kind.ELSE:
        return opener == Kind.IF
    if kind == Kind.DELEGATE:
        return opener == Kind.TRY
    if kind in (Kind.CATCH, Kind.CATCH_ALL):
        return opener in (Kind.TRY, Kind.CATCH)
    return 1


@routine
def catch_clauses(context: int, position: int, end: int, frames: int, frame: int) -> int:  # noqa: PLR0911
    """Check the clauses of `try_table`, whose labels are those around it; the position after them, or -1."""
    source = u64(context + At.SOURCE)
    matches = u64(context + At.MATCHES)
    scanned = scan_u32(source, position, end)
    clauses = scanned >> VALUE_SHIFT
    if scanned < 0:
        return -1
    position = scanned & POSITION_MASK
    while clauses > 0:
        if position >= end or u8(source + position) > 3:
            return -1
        clause = u8(source + position)
        position += 1
        types = 0
        value_count = 0
        if clause & 2 == 0:
            scanned = scan_u32(source, position, end)
            if scanned < 0 or scanned >> VALUE_SHIFT >= u64(context + At.TAG_COUNT):
                return -1
            position = scanned & POSITION_MASK
            tag_type = u32(u64(context + At.TAGS) + 4 * (scanned >> VALUE_SHIFT))
            row = function_type_row(context, tag_type)
            if row == 0:
                return -1
            types = u64(row + TypeRow.VALUES)
            value_count = u32(row + TypeRow.PARAMETER_COUNT)
        scanned = scan_u32(source, position, end)
        depth = scanned >> VALUE_SHIFT
        if scanned < 0 or frame - frames < depth * FRAME_BYTES or value_count > MOST_BRANCHED_VALUES:
            return -1
        position = scanned & POSITION_MASK
        label = frame - depth * FRAME_BYTES
        wanted = label_types(label)
        if label_type_count(label) != value_count + (clause & 1) or not all_match(
            types, wanted, value_count, matches
        ):
            return -1
        if clause & 1:
            caught = u32(matches + 4 * u64(context + At.CAUGHT_EXCEPTION))
            if not (caught >> u8(wanted + value_count)) & 1:
                return -1
        clauses -= 1
    return position
