"""Validation of function bodies, as a routine: the algorithm of the appendix, section 7.3, over numbers of types.

Only what is valid for certain is said to be. Whatever else there is, an error or something that is not treated here,
leaves the function undecided; so does running out of the scratch memory. Nothing is read behind a body's end.
"""

from __future__ import annotations

from farcall.engine.binary.body_routines import BODY_WORDS
from farcall.engine.binary.leb128_routines import (
    POSITION_MASK,
    VALUE_SHIFT,
    scan_signed,
    scan_type_index,
    scan_u32,
    scan_u64,
)
from farcall.engine.routines import Compiled, routine, set_u8, set_u32, set_u64, u8, u16, u32, u64
from farcall.engine.structure.function_facts import FACT_COUNT, Fact
from farcall.engine.validation.native.layout import (
    FRAME_BYTES,
    FRAMES_START,
    MARKS_START,
    MOST_BRANCHED_VALUES,
    MOST_FRAMES,
    MOST_OPERANDS,
    MUTABLE,
    OPERANDS_START,
    ROW_BYTES,
    TABLE_BYTES,
    TABLE_INDEX_TYPE,
    TABLE_OF_FUNCTIONS,
    TYPE_BYTES,
    At,
    Frame,
    Kind,
    Row,
    RowFlag,
    TypeId,
    TypeRow,
)
from farcall.engine.validation.native.locals_routine import expand_locals
from farcall.engine.validation.native.operand_routines import (
    all_match,
    pop,
    pop_all,
    pop_sequence,
    push,
    push_all,
)

UNDECIDED = 0
VALID = 1


@routine
def function_type_row(context: int, index: int) -> int:
    """The address of a function type's row; 0 where that index is none of a function type."""
    if index >= u64(context + At.TYPE_COUNT):
        return 0
    row = u64(context + At.TYPES) + TYPE_BYTES * index
    return row if u64(row + TypeRow.VALUES) else 0


@routine
def open_frame(frame: int, kind: int, base: int, parameters: int, parameter_count: int, result_count: int) -> int:
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
def index_within(source: int, position: int, end: int, limit: int) -> int:
    """Like `scan_u32`, for an index that must be less than `limit`."""
    scanned = scan_u32(source, position, end)
    if scanned < 0 or scanned >> VALUE_SHIFT >= limit:
        return -1
    return scanned


@routine
def memory_access(context: int, row: int, position: int, end: int, facts: int) -> int:
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
def branch_table(
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
        if arity > 0 and pop_all(top, base, unreachable, label_types(label), arity, matches) == 0:
            return -1
        checked += 1
    return labels << VALUE_SHIFT | position


@routine
def validate_body(context: int, scratch: int, body: int, callees: int) -> int:  # noqa: PLR0911, PLR0912, PLR0915
    """Validate a function.

    Args:
        context: address of the context.
        scratch: address of scratch memory, the thread's own.
        body: position of the function among the module's own.
        callees: address where the functions go that it calls.

    Returns:
        VALID or UNDECIDED. If it is valid, its facts are filled.
    """
    source = u64(context + At.SOURCE)
    matches = u64(context + At.MATCHES)
    rows = u64(context + At.INSTRUCTIONS)
    single = u64(context + At.SINGLE_TYPES)
    facts = u64(context + At.FACTS) + 4 * FACT_COUNT * body
    place = u64(context + At.BODIES) + 4 * BODY_WORDS * body
    position = u32(place + 4)
    end = u32(place + 8)
    function = u64(context + At.IMPORTED_FUNCTIONS) + body
    own_type = function_type_row(context, u32(u64(context + At.FUNCTIONS) + 4 * function))
    if own_type == 0:
        return UNDECIDED
    local_count = expand_locals(
        source,
        u32(place),
        end,
        u64(own_type + TypeRow.VALUES),
        u32(own_type + TypeRow.PARAMETER_COUNT),
        u64(context + At.LOCAL_TYPE_CODES),
        scratch,
    )
    if local_count < 0:
        return UNDECIDED
    base = scratch + OPERANDS_START
    limit = base + MOST_OPERANDS
    top = base
    unreachable = 0
    frames = scratch + FRAMES_START
    frames_end = frames + (MOST_FRAMES - 1) * FRAME_BYTES
    own_results = u64(own_type + TypeRow.VALUES) + u32(own_type + TypeRow.PARAMETER_COUNT)
    frame = open_frame(frames, Kind.BLOCK, base, own_results, 0, u32(own_type + TypeRow.RESULT_COUNT))
    instructions = 0
    while position < end:
        row = rows + ROW_BYTES * u8(source + position)
        position += 1
        instructions += 1
        if u8(row + Row.KIND) == Kind.PREFIX:
            scanned = index_within(source, position, end, u16(row + Row.GROUP_SIZE))
            if scanned < 0:
                return UNDECIDED
            position = scanned & POSITION_MASK
            row = rows + ROW_BYTES * (u16(row + Row.GROUP_START) + (scanned >> VALUE_SHIFT))
        flags = u8(row + Row.FLAGS)
        if flags & RowFlag.TRAPS:
            count(facts, Fact.TRAPPING_ARITHMETIC, 1)
        if flags & RowFlag.BRANCHES:
            count(facts, Fact.BRANCHES, 1)
        # Of the kinds up to here, the row's signature says all, or all but what is checked of the immediate.
        kind = u8(row + Row.KIND)
        match kind:
            case Kind.SIGNATURE:
                pass
            case Kind.FIXED_BYTES:
                if u8(row + Row.NUMBER) > end - position:
                    return UNDECIDED
                position += u8(row + Row.NUMBER)
            case Kind.SIGNED_32:
                position = scan_signed(source, position, end, 32)
                if position < 0:
                    return UNDECIDED
            case Kind.SIGNED_64:
                position = scan_signed(source, position, end, 64)
                if position < 0:
                    return UNDECIDED
            case Kind.LANE:
                if position >= end or u8(source + position) >= u8(row + Row.LANES):
                    return UNDECIDED
                position += 1
            case Kind.LANES:
                if 16 > end - position:
                    return UNDECIDED
                lanes_end = position + 16
                while position < lanes_end:
                    if u8(source + position) >= u8(row + Row.LANES):
                        return UNDECIDED
                    position += 1
            case Kind.ZERO_BYTE:
                if position >= end or u8(source + position) != 0:
                    return UNDECIDED
                position += 1
            case Kind.ACCESS | Kind.LANE_ACCESS:
                scanned = memory_access(context, row, position, end, facts)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                if kind == Kind.LANE_ACCESS:
                    if position >= end or u8(source + position) >= u8(row + Row.LANES):
                        return UNDECIDED
                    position += 1
                top = pop_sequence(
                    top, base, unreachable, row + Row.PARAMETERS, u8(row + Row.PARAMETER_COUNT), matches
                )
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, scanned >> VALUE_SHIFT, matches)
                if top == 0:
                    return UNDECIDED
                top = push_all(top, limit, row + Row.RESULTS, u8(row + Row.RESULT_COUNT))
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.LOCAL_GET:
                scanned = index_within(source, position, end, local_count)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                top = push(top, limit, u8(scratch + (scanned >> VALUE_SHIFT)))
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.LOCAL_SET | Kind.LOCAL_TEE:
                scanned = index_within(source, position, end, local_count)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                local = scratch + (scanned >> VALUE_SHIFT)
                top = pop(top, base, unreachable, u8(local), matches)
                if top == 0:
                    return UNDECIDED
                if u8(local + MARKS_START) == 0:
                    set_u8(local + MARKS_START, 1)
                    count(facts, Fact.CHANGED_LOCALS, 1)
                if kind == Kind.LOCAL_TEE:
                    top = push(top, limit, u8(local))
                    if top == 0:
                        return UNDECIDED
                continue
            case Kind.GLOBAL_GET | Kind.GLOBAL_SET:
                scanned = index_within(source, position, end, u64(context + At.GLOBAL_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                global_type = u8(u64(context + At.GLOBALS) + (scanned >> VALUE_SHIFT))
                if kind == Kind.GLOBAL_GET:
                    top = push(top, limit, global_type & (MUTABLE - 1))
                elif global_type & MUTABLE:
                    top = pop(top, base, unreachable, global_type & (MUTABLE - 1), matches)
                else:
                    return UNDECIDED
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.BLOCK | Kind.LOOP | Kind.IF:
                if position >= end or frame >= frames_end:
                    return UNDECIDED
                # One type, none, or a function type (section 5.4.1).
                code = u8(source + position)
                types = single + u8(u64(context + At.BLOCK_TYPE_CODES) + code)
                parameter_count = 0
                result_count = 1
                if code == 0x40:
                    result_count = 0
                    position += 1
                elif types != single:
                    position += 1
                else:
                    if code & 0xC0 == 0x40 or u64(context + At.INDEXED_BLOCK_TYPES) == 0:
                        return UNDECIDED
                    scanned = scan_type_index(source, position, end)
                    if scanned < 0:
                        return UNDECIDED
                    position = scanned & POSITION_MASK
                    block_type = function_type_row(context, scanned >> VALUE_SHIFT)
                    if block_type == 0:
                        return UNDECIDED
                    types = u64(block_type + TypeRow.VALUES)
                    parameter_count = u32(block_type + TypeRow.PARAMETER_COUNT)
                    result_count = u32(block_type + TypeRow.RESULT_COUNT)
                if kind == Kind.IF:
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                top = pop_all(top, base, unreachable, types, parameter_count, matches)
                if top == 0:
                    return UNDECIDED
                set_u64(frame + Frame.UNREACHABLE, unreachable)
                base = top
                unreachable = 0
                frame = open_frame(frame + FRAME_BYTES, kind, base, types, parameter_count, result_count)
                top = push_all(top, limit, types, parameter_count)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.ELSE | Kind.END:
                results = u64(frame + Frame.RESULTS)
                result_count = u64(frame + Frame.RESULT_COUNT)
                parameters = u64(frame + Frame.PARAMETERS)
                parameter_count = u64(frame + Frame.PARAMETER_COUNT)
                top = pop_all(top, base, unreachable, results, result_count, matches)
                if top != base:
                    return UNDECIDED
                if kind == Kind.ELSE:
                    if u64(frame + Frame.KIND) != Kind.IF:
                        return UNDECIDED
                    set_u64(frame + Frame.KIND, Kind.ELSE)
                    unreachable = 0
                    top = push_all(top, limit, parameters, parameter_count)
                    if top == 0:
                        return UNDECIDED
                    continue
                if u64(frame + Frame.KIND) == Kind.IF:
                    # What is missing is an `else` that leaves the parameters as results.
                    if parameter_count != result_count:
                        return UNDECIDED
                    if not all_match(parameters, results, result_count, matches):
                        return UNDECIDED
                if frame == frames:
                    if position != end:
                        return UNDECIDED
                    set_u32(facts + 4 * Fact.INSTRUCTIONS, instructions)
                    set_u32(facts + 4 * Fact.KNOWN, 1)
                    return VALID
                frame -= FRAME_BYTES
                base = u64(frame + Frame.BASE)
                unreachable = u64(frame + Frame.UNREACHABLE)
                top = push_all(top, limit, results, result_count)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.UNREACHABLE:
                top = base
                unreachable = 1
                continue
            case Kind.BR | Kind.BR_IF:
                scanned = scan_u32(source, position, end)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                depth = scanned >> VALUE_SHIFT
                if frame - frames < depth * FRAME_BYTES:
                    return UNDECIDED
                if kind == Kind.BR_IF:
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                types = label_types(frame - depth * FRAME_BYTES)
                type_count = label_type_count(frame - depth * FRAME_BYTES)
                top = pop_all(top, base, unreachable, types, type_count, matches)
                if top == 0:
                    return UNDECIDED
                if kind == Kind.BR:
                    top = base
                    unreachable = 1
                else:
                    top = push_all(top, limit, types, type_count)
                    if top == 0:
                        return UNDECIDED
                continue
            case Kind.BR_TABLE:
                top = pop(top, base, unreachable, TypeId.I32, matches)
                if top == 0:
                    return UNDECIDED
                scanned = branch_table(context, position, end, top, base, unreachable, frames, frame)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                count(facts, Fact.BRANCHES, scanned >> VALUE_SHIFT)
                top = base
                unreachable = 1
                continue
            case Kind.RETURN:
                result_count = u32(own_type + TypeRow.RESULT_COUNT)
                top = pop_all(top, base, unreachable, own_results, result_count, matches)
                if top == 0:
                    return UNDECIDED
                top = base
                unreachable = 1
                continue
            case Kind.CALL | Kind.RETURN_CALL | Kind.CALL_INDIRECT | Kind.RETURN_CALL_INDIRECT:
                scanned = scan_u32(source, position, end)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                callee = scanned >> VALUE_SHIFT
                type_index = callee
                if kind == Kind.CALL or kind == Kind.RETURN_CALL:  # noqa: PLR1714
                    if callee >= u64(context + At.FUNCTION_COUNT):
                        return UNDECIDED
                    type_index = u32(u64(context + At.FUNCTIONS) + 4 * callee)
                    set_u32(callees + 4 * u32(facts + 4 * Fact.CALL_COUNT), callee)
                    count(facts, Fact.CALL_COUNT, 1)
                else:
                    scanned = index_within(source, position, end, u64(context + At.TABLE_COUNT))
                    if scanned < 0:
                        return UNDECIDED
                    position = scanned & POSITION_MASK
                    table = u64(context + At.TABLES) + TABLE_BYTES * (scanned >> VALUE_SHIFT)
                    if u8(table + TABLE_OF_FUNCTIONS) == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, u8(table + TABLE_INDEX_TYPE), matches)
                    if top == 0:
                        return UNDECIDED
                callee_type = function_type_row(context, type_index)
                if callee_type == 0:
                    return UNDECIDED
                note_callee(facts, callee_type)
                types = u64(callee_type + TypeRow.VALUES)
                parameter_count = u32(callee_type + TypeRow.PARAMETER_COUNT)
                result_count = u32(callee_type + TypeRow.RESULT_COUNT)
                top = pop_all(top, base, unreachable, types, parameter_count, matches)
                if top == 0:
                    return UNDECIDED
                types += parameter_count
                if kind == Kind.CALL or kind == Kind.CALL_INDIRECT:  # noqa: PLR1714
                    top = push_all(top, limit, types, result_count)
                    if top == 0:
                        return UNDECIDED
                else:
                    if result_count != u32(own_type + TypeRow.RESULT_COUNT):
                        return UNDECIDED
                    if not all_match(types, own_results, result_count, matches):
                        return UNDECIDED
                    set_u32(facts + 4 * Fact.TAIL_CALLS, 1)
                    top = base
                    unreachable = 1
                continue
            case Kind.DROP:
                if top != base:
                    top -= 1
                elif not unreachable:
                    return UNDECIDED
                continue
            case Kind.SELECT:
                top = pop(top, base, unreachable, TypeId.I32, matches)
                if top == 0:
                    return UNDECIDED
                second = TypeId.UNKNOWN
                if top != base:
                    top -= 1
                    second = u8(top)
                elif not unreachable:
                    return UNDECIDED
                chosen = second
                if top != base:
                    top -= 1
                    if u8(top) != TypeId.UNKNOWN:
                        chosen = u8(top)
                elif not unreachable:
                    return UNDECIDED
                if second != TypeId.UNKNOWN and second != chosen:
                    return UNDECIDED
                if chosen >= TypeId.FIRST_REFERENCE:
                    return UNDECIDED
                top = push(top, limit, chosen)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.SELECT_TYPED:
                if 2 > end - position or u8(source + position) != 1:
                    return UNDECIDED
                chosen = u8(u64(context + At.VALUE_TYPE_CODES) + u8(source + position + 1))
                position += 2
                if chosen == TypeId.UNKNOWN:
                    return UNDECIDED
                top = pop(top, base, unreachable, TypeId.I32, matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, chosen, matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, chosen, matches)
                if top == 0:
                    return UNDECIDED
                top = push(top, limit, chosen)
                if top == 0:
                    return UNDECIDED
                continue
            case (
                Kind.TABLE_GET
                | Kind.TABLE_SET
                | Kind.TABLE_SIZE
                | Kind.TABLE_GROW
                | Kind.TABLE_FILL
            ):
                scanned = index_within(source, position, end, u64(context + At.TABLE_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                table = u64(context + At.TABLES) + TABLE_BYTES * (scanned >> VALUE_SHIFT)
                element = u8(table)
                index_type = u8(table + TABLE_INDEX_TYPE)
                if kind == Kind.TABLE_SET:
                    top = pop(top, base, unreachable, element, matches)
                elif kind == Kind.TABLE_GROW or kind == Kind.TABLE_FILL:  # noqa: PLR1714
                    top = pop(top, base, unreachable, index_type, matches)
                    if top == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, element, matches)
                if top == 0:
                    return UNDECIDED
                if kind == Kind.TABLE_GET or kind == Kind.TABLE_SET or kind == Kind.TABLE_FILL:  # noqa: PLR1714
                    top = pop(top, base, unreachable, index_type, matches)
                    if top == 0:
                        return UNDECIDED
                if kind == Kind.TABLE_GET:
                    top = push(top, limit, element)
                elif kind == Kind.TABLE_SIZE or kind == Kind.TABLE_GROW:  # noqa: PLR1714
                    top = push(top, limit, index_type)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.TABLE_COPY:
                scanned = index_within(source, position, end, u64(context + At.TABLE_COUNT))
                if scanned < 0:
                    return UNDECIDED
                table = u64(context + At.TABLES) + TABLE_BYTES * (scanned >> VALUE_SHIFT)
                scanned = index_within(source, scanned & POSITION_MASK, end, u64(context + At.TABLE_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                other = u64(context + At.TABLES) + TABLE_BYTES * (scanned >> VALUE_SHIFT)
                if not all_match(other, table, 1, matches):
                    return UNDECIDED
                index_type = u8(table + TABLE_INDEX_TYPE)
                if index_type == TypeId.I64:
                    index_type = u8(other + TABLE_INDEX_TYPE)
                top = pop(top, base, unreachable, index_type, matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, u8(other + TABLE_INDEX_TYPE), matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, u8(table + TABLE_INDEX_TYPE), matches)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.TABLE_INIT | Kind.ELEM_DROP:
                scanned = index_within(source, position, end, u64(context + At.ELEMENT_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                if kind == Kind.TABLE_INIT:
                    element = u64(context + At.ELEMENTS) + (scanned >> VALUE_SHIFT)
                    scanned = index_within(source, position, end, u64(context + At.TABLE_COUNT))
                    if scanned < 0:
                        return UNDECIDED
                    position = scanned & POSITION_MASK
                    table = u64(context + At.TABLES) + TABLE_BYTES * (scanned >> VALUE_SHIFT)
                    if not all_match(element, table, 1, matches):
                        return UNDECIDED
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, u8(table + TABLE_INDEX_TYPE), matches)
                    if top == 0:
                        return UNDECIDED
                continue
            case Kind.REF_NULL:
                if position >= end:
                    return UNDECIDED
                chosen = u8(u64(context + At.HEAP_TYPE_CODES) + u8(source + position))
                if chosen == TypeId.UNKNOWN:
                    return UNDECIDED
                position += 1
                top = push(top, limit, chosen)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.REF_IS_NULL:
                if top != base:
                    top -= 1
                    if u8(top) < TypeId.FIRST_REFERENCE and u8(top) != TypeId.UNKNOWN:
                        return UNDECIDED
                elif not unreachable:
                    return UNDECIDED
                top = push(top, limit, TypeId.I32)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.REF_FUNC:
                scanned = index_within(source, position, end, u64(context + At.FUNCTION_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                if u8(u64(context + At.DECLARED) + (scanned >> VALUE_SHIFT)) == 0:
                    return UNDECIDED
                top = push(top, limit, TypeId.FUNCTION)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.MEMORY_SIZE | Kind.MEMORY_GROW | Kind.MEMORY_FILL:
                scanned = index_within(source, position, end, u64(context + At.MEMORY_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                index_type = u8(u64(context + At.MEMORIES) + (scanned >> VALUE_SHIFT))
                if kind != Kind.MEMORY_SIZE:
                    top = pop(top, base, unreachable, index_type, matches)
                    if top == 0:
                        return UNDECIDED
                if kind == Kind.MEMORY_FILL:
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, index_type, matches)
                else:
                    top = push(top, limit, index_type)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.MEMORY_COPY:
                scanned = index_within(source, position, end, u64(context + At.MEMORY_COUNT))
                if scanned < 0:
                    return UNDECIDED
                index_type = u8(u64(context + At.MEMORIES) + (scanned >> VALUE_SHIFT))
                scanned = index_within(source, scanned & POSITION_MASK, end, u64(context + At.MEMORY_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                other_index_type = u8(u64(context + At.MEMORIES) + (scanned >> VALUE_SHIFT))
                length_type = other_index_type if index_type == TypeId.I64 else index_type
                top = pop(top, base, unreachable, length_type, matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, other_index_type, matches)
                if top == 0:
                    return UNDECIDED
                top = pop(top, base, unreachable, index_type, matches)
                if top == 0:
                    return UNDECIDED
                continue
            case Kind.MEMORY_INIT | Kind.DATA_DROP:
                scanned = index_within(source, position, end, u64(context + At.DATA_COUNT))
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                if kind == Kind.MEMORY_INIT:
                    scanned = index_within(source, position, end, u64(context + At.MEMORY_COUNT))
                    if scanned < 0:
                        return UNDECIDED
                    position = scanned & POSITION_MASK
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                    if top == 0:
                        return UNDECIDED
                    index_type = u8(u64(context + At.MEMORIES) + (scanned >> VALUE_SHIFT))
                    top = pop(top, base, unreachable, index_type, matches)
                    if top == 0:
                        return UNDECIDED
                continue
            case _:
                return UNDECIDED
        top = pop_sequence(top, base, unreachable, row + Row.PARAMETERS, u8(row + Row.PARAMETER_COUNT), matches)
        if top == 0:
            return UNDECIDED
        top = push_all(top, limit, row + Row.RESULTS, u8(row + Row.RESULT_COUNT))
        if top == 0:
            return UNDECIDED
    return UNDECIDED


@routine
def validate_bodies(context: int, scratch: int, first: int, last: int, callees: int) -> int:
    """Validate the functions from `first` to before `last`.

    Args:
        context: address of the context.
        scratch: address of scratch memory, the thread's own.
        first: position of a function among the module's own.
        last: likewise.
        callees: address where the functions go that are called: half as many words of 32 bits as there is code.

    Returns:
        How many are undecided.
    """
    undecided = 0
    body = first
    facts = u64(context + At.FACTS)
    while body < last:
        own = facts + 4 * FACT_COUNT * body
        if validate_body(context, scratch, body, callees) == VALID:
            callees += 4 * u32(own + 4 * Fact.CALL_COUNT)
        else:
            undecided += 1
            set_u32(own + 4 * Fact.CALL_COUNT, 0)
        body += 1
    return undecided


VALIDATION = Compiled(validate_bodies)
