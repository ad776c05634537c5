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
)
from farcall.engine.routines import Compiled, routine, set_u8, set_u32, set_u64, u8, u16, u32, u64
from farcall.engine.structure.function_facts import FACT_COUNT, UNCONDITIONAL, Fact
from farcall.engine.validation.native.instruction_routines import (
    branch_table,
    catch_clauses,
    count,
    function_type_row,
    label_type_count,
    label_types,
    lanes_within,
    may_follow,
    memory_access,
    note_callee,
    open_frame,
)
from farcall.engine.validation.native.layout import (
    FRAME_BYTES,
    FRAMES_START,
    MARKS_START,
    MOST_FRAMES,
    MOST_OPERANDS,
    MUTABLE,
    OPERANDS_START,
    ROW_BYTES,
    TABLE_BYTES,
    TABLE_INDEX_TYPE,
    TABLE_OF_FUNCTIONS,
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
    pop_any,
    pop_sequence,
    pop_three,
    push,
    push_all,
)

UNDECIDED = 0
VALID = 1


@routine
def validate_body(context: int, scratch: int, body: int, calls: int) -> int:  # noqa: PLR0911, PLR0912, PLR0915
    """Validate a function.

    Args:
        context: address of the context.
        scratch: address of scratch memory, the thread's own.
        body: position of the function among the module's own.
        calls: address where its calls go (`FunctionFacts.calls`).

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
    # The outermost block the rest of which some branch leads past, or the function is left before it.
    maybe = 0
    while position < end:
        row = rows + ROW_BYTES * u8(source + position)
        position += 1
        instructions += 1
        if u8(row + Row.KIND) == Kind.PREFIX:
            scanned = scan_u32(source, position, end)
            if scanned < 0 or scanned >> VALUE_SHIFT >= u16(row + Row.GROUP_SIZE):
                return UNDECIDED
            position = scanned & POSITION_MASK
            row = rows + ROW_BYTES * (u16(row + Row.GROUP_START) + (scanned >> VALUE_SHIFT))
        kind = u8(row + Row.KIND)
        flags = u8(row + Row.FLAGS)
        if flags & RowFlag.TRAPS:
            count(facts, Fact.TRAPPING_ARITHMETIC, 1)
        if flags & RowFlag.BRANCHES:
            count(facts, Fact.BRANCHES, 1)
        if flags & RowFlag.CATCHES:
            count(facts, Fact.CATCHING_BLOCKS, 1)
        first = 0
        second = 0
        if u8(row + Row.FIRST_LIMIT):
            scanned = scan_u32(source, position, end)
            first = scanned >> VALUE_SHIFT
            if scanned < 0 or first >= u64(context + 8 * u8(row + Row.FIRST_LIMIT)):
                return UNDECIDED
            position = scanned & POSITION_MASK
            if u8(row + Row.SECOND_LIMIT):
                scanned = scan_u32(source, position, end)
                second = scanned >> VALUE_SHIFT
                if scanned < 0 or second >= u64(context + 8 * u8(row + Row.SECOND_LIMIT)):
                    return UNDECIDED
                position = scanned & POSITION_MASK
        leaves = 0
        match kind:
            case Kind.SIGNATURE:
                pass
            case Kind.FIXED_BYTES:
                position += u8(row + Row.NUMBER)
            case Kind.SIGNED_32 | Kind.SIGNED_64:
                position = scan_signed(source, position, end, u8(row + Row.NUMBER))
            case Kind.ZERO_BYTE | Kind.LANE | Kind.LANES:
                lanes_end = position + u8(row + Row.NUMBER)
                position = lanes_within(source, position, lanes_end, end, u8(row + Row.LANES))
            case Kind.ACCESS:
                scanned = memory_access(context, row, position, end, facts)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                if u8(row + Row.LANES):
                    position = lanes_within(source, position, position + 1, end, u8(row + Row.LANES))
                parameter_count = u8(row + Row.PARAMETER_COUNT)
                top = pop_sequence(top, base, unreachable, row + Row.PARAMETERS, parameter_count, matches)
                top = pop(top, base, unreachable, scanned >> VALUE_SHIFT, matches)
                top = push_all(top, limit, row + Row.RESULTS, u8(row + Row.RESULT_COUNT))
            case Kind.LOCAL_GET:
                if first >= local_count:
                    return UNDECIDED
                top = push(top, limit, u8(scratch + first))
            case Kind.LOCAL_SET | Kind.LOCAL_TEE:
                if first >= local_count:
                    return UNDECIDED
                local = scratch + first
                top = pop(top, base, unreachable, u8(local), matches)
                if u8(local + MARKS_START) == 0:
                    set_u8(local + MARKS_START, 1)
                    count(facts, Fact.CHANGED_LOCALS, 1)
                if kind == Kind.LOCAL_TEE:
                    top = push(top, limit, u8(local))
            case Kind.GLOBAL_GET | Kind.GLOBAL_SET:
                global_type = u8(u64(context + At.GLOBALS) + first)
                if kind == Kind.GLOBAL_GET:
                    top = push(top, limit, global_type & (MUTABLE - 1))
                elif global_type & MUTABLE:
                    top = pop(top, base, unreachable, global_type & (MUTABLE - 1), matches)
                else:
                    return UNDECIDED
            case Kind.BLOCK | Kind.LOOP | Kind.IF | Kind.TRY | Kind.TRY_TABLE:
                if position >= end or frame >= frames_end:
                    return UNDECIDED
                # No type, one type, or a function type (section 5.4.1).
                code = u8(source + position)
                types = single + u8(u64(context + At.BLOCK_TYPE_CODES) + code)
                parameter_count = 0
                result_count = int(types != single)
                if code == 0x40 or types != single:
                    position += 1
                else:
                    scanned = scan_type_index(source, position, end)
                    if scanned < 0 or code & 0xC0 == 0x40 or u64(context + At.INDEXED_BLOCK_TYPES) == 0:
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
                if kind == Kind.TRY_TABLE:
                    position = catch_clauses(context, position, end, frames, frame)
                top = pop_all(top, base, unreachable, types, parameter_count, matches)
                if top == 0 or position < 0:
                    return UNDECIDED
                set_u64(frame + Frame.UNREACHABLE, unreachable)
                base = top
                unreachable = 0
                frame = open_frame(frame + FRAME_BYTES, kind, base, types, parameter_count, result_count)
                if kind == Kind.IF and maybe == 0:
                    maybe = frame
                top = push_all(top, limit, types, parameter_count)
            case Kind.ELSE | Kind.CATCH | Kind.CATCH_ALL | Kind.DELEGATE | Kind.END:
                opener = u64(frame + Frame.KIND)
                results = u64(frame + Frame.RESULTS)
                result_count = u64(frame + Frame.RESULT_COUNT)
                parameters = u64(frame + Frame.PARAMETERS)
                parameter_count = u64(frame + Frame.PARAMETER_COUNT)
                top = pop_all(top, base, unreachable, results, result_count, matches)
                if top != base or not may_follow(opener, kind):
                    return UNDECIDED
                if kind == Kind.DELEGATE and frame - frames < (first + 1) * FRAME_BYTES:
                    return UNDECIDED
                if kind < Kind.DELEGATE:
                    # The block goes on, with operands of its own again.
                    set_u64(frame + Frame.KIND, kind)
                    unreachable = 0
                    if maybe == 0:
                        maybe = frame
                    if kind == Kind.ELSE:
                        top = push_all(top, limit, parameters, parameter_count)
                    if kind == Kind.CATCH:
                        tag_type = function_type_row(context, u32(u64(context + At.TAGS) + 4 * first))
                        if tag_type == 0:
                            return UNDECIDED
                        types = u64(tag_type + TypeRow.VALUES)
                        top = push_all(top, limit, types, u32(tag_type + TypeRow.PARAMETER_COUNT))
                else:
                    # What is missing in an `if` is an `else` that leaves the parameters as results.
                    if opener == Kind.IF and (
                        parameter_count != result_count
                        or not all_match(parameters, results, result_count, matches)
                    ):
                        return UNDECIDED
                    if frame == frames:
                        if position != end:
                            return UNDECIDED
                        set_u32(facts + 4 * Fact.INSTRUCTIONS, instructions)
                        set_u32(facts + 4 * Fact.KNOWN, 1)
                        return VALID
                    frame -= FRAME_BYTES
                    if maybe > frame:
                        maybe = 0
                    base = u64(frame + Frame.BASE)
                    unreachable = u64(frame + Frame.UNREACHABLE)
                    top = push_all(top, limit, results, result_count)
            case Kind.THROW:
                tag_type = function_type_row(context, u32(u64(context + At.TAGS) + 4 * first))
                if tag_type == 0:
                    return UNDECIDED
                types = u64(tag_type + TypeRow.VALUES)
                parameter_count = u32(tag_type + TypeRow.PARAMETER_COUNT)
                top = pop_all(top, base, unreachable, types, parameter_count, matches)
                leaves = 1
            case Kind.THROW_REF:
                top = pop(top, base, unreachable, u64(context + At.EXCEPTION), matches)
                leaves = 1
            case Kind.RETHROW:
                if frame - frames < first * FRAME_BYTES:
                    return UNDECIDED
                opener = u64(frame - first * FRAME_BYTES + Frame.KIND)
                if opener not in (Kind.CATCH, Kind.CATCH_ALL):
                    return UNDECIDED
                leaves = 1
            case Kind.UNREACHABLE:
                leaves = 1
            case Kind.BR | Kind.BR_IF:
                if frame - frames < first * FRAME_BYTES:
                    return UNDECIDED
                if kind == Kind.BR_IF:
                    top = pop(top, base, unreachable, TypeId.I32, matches)
                label = frame - first * FRAME_BYTES
                if u64(label + Frame.KIND) != Kind.LOOP and (maybe == 0 or label < maybe):
                    maybe = label
                types = label_types(label)
                result_count = label_type_count(label)
                top = pop_all(top, base, unreachable, types, result_count, matches)
                if kind == Kind.BR:
                    leaves = 1
                else:
                    top = push_all(top, limit, types, result_count)
            case Kind.BR_TABLE:
                top = pop(top, base, unreachable, TypeId.I32, matches)
                scanned = branch_table(context, position, end, top, base, unreachable, frames, frame)
                if scanned < 0:
                    return UNDECIDED
                position = scanned & POSITION_MASK
                count(facts, Fact.BRANCHES, scanned >> VALUE_SHIFT)
                maybe = frames
                leaves = 1
            case Kind.RETURN:
                result_count = u32(own_type + TypeRow.RESULT_COUNT)
                top = pop_all(top, base, unreachable, own_results, result_count, matches)
                maybe = frames
                leaves = 1
            case Kind.CALL | Kind.RETURN_CALL | Kind.CALL_INDIRECT | Kind.RETURN_CALL_INDIRECT:
                if kind in (Kind.CALL, Kind.RETURN_CALL):
                    reached = UNCONDITIONAL if maybe == 0 else 0
                    set_u32(calls + 4 * u32(facts + 4 * Fact.CALL_COUNT), first + reached)
                    count(facts, Fact.CALL_COUNT, 1)
                    first = u32(u64(context + At.FUNCTIONS) + 4 * first)
                else:
                    table = u64(context + At.TABLES) + TABLE_BYTES * second
                    if u8(table + TABLE_OF_FUNCTIONS) == 0:
                        return UNDECIDED
                    top = pop(top, base, unreachable, u8(table + TABLE_INDEX_TYPE), matches)
                callee_type = function_type_row(context, first)
                if callee_type == 0:
                    return UNDECIDED
                note_callee(facts, callee_type)
                types = u64(callee_type + TypeRow.VALUES)
                parameter_count = u32(callee_type + TypeRow.PARAMETER_COUNT)
                result_count = u32(callee_type + TypeRow.RESULT_COUNT)
                top = pop_all(top, base, unreachable, types, parameter_count, matches)
                types += parameter_count
                if kind in (Kind.CALL, Kind.CALL_INDIRECT):
                    top = push_all(top, limit, types, result_count)
                else:
                    if result_count != u32(own_type + TypeRow.RESULT_COUNT):
                        return UNDECIDED
                    if not all_match(types, own_results, result_count, matches):
                        return UNDECIDED
                    set_u32(facts + 4 * Fact.TAIL_CALLS, 1)
                    maybe = frames
                    leaves = 1
            case Kind.DROP:
                top = pop_any(top, base, unreachable)
            case Kind.SELECT:
                top = pop(top, base, unreachable, TypeId.I32, matches)
                chosen = TypeId.UNKNOWN if top <= base else u8(top - 1)
                top = pop_any(top, base, unreachable)
                other = TypeId.UNKNOWN if top <= base else u8(top - 1)
                top = pop_any(top, base, unreachable)
                if chosen == TypeId.UNKNOWN:
                    chosen = other
                if other not in (TypeId.UNKNOWN, chosen) or chosen >= TypeId.FIRST_REFERENCE:
                    return UNDECIDED
                top = push(top, limit, chosen)
            case Kind.SELECT_TYPED:
                if end - position < 2 or u8(source + position) != 1:
                    return UNDECIDED
                chosen = u8(u64(context + At.VALUE_TYPE_CODES) + u8(source + position + 1))
                position += 2
                if chosen == TypeId.UNKNOWN:
                    return UNDECIDED
                top = pop_three(top, base, unreachable, TypeId.I32, chosen, chosen, matches)
                top = push(top, limit, chosen)
            case Kind.TABLE_GET | Kind.TABLE_SET | Kind.TABLE_SIZE | Kind.TABLE_GROW | Kind.TABLE_FILL:
                table = u64(context + At.TABLES) + TABLE_BYTES * first
                element = u8(table)
                index_type = u8(table + TABLE_INDEX_TYPE)
                if kind >= Kind.TABLE_GROW:
                    top = pop(top, base, unreachable, index_type, matches)
                if kind >= Kind.TABLE_SET:
                    top = pop(top, base, unreachable, element, matches)
                if kind in (Kind.TABLE_GET, Kind.TABLE_SET, Kind.TABLE_FILL):
                    top = pop(top, base, unreachable, index_type, matches)
                if kind == Kind.TABLE_GET:
                    top = push(top, limit, element)
                if kind in (Kind.TABLE_SIZE, Kind.TABLE_GROW):
                    top = push(top, limit, index_type)
            case Kind.TABLE_COPY:
                table = u64(context + At.TABLES) + TABLE_BYTES * first
                origin = u64(context + At.TABLES) + TABLE_BYTES * second
                if not all_match(origin, table, 1, matches):
                    return UNDECIDED
                index_type = u8(table + TABLE_INDEX_TYPE)
                other = u8(origin + TABLE_INDEX_TYPE)
                length = other if index_type == TypeId.I64 else index_type
                top = pop_three(top, base, unreachable, length, other, index_type, matches)
            case Kind.TABLE_INIT:
                table = u64(context + At.TABLES) + TABLE_BYTES * second
                if not all_match(u64(context + At.ELEMENTS) + first, table, 1, matches):
                    return UNDECIDED
                index_type = u8(table + TABLE_INDEX_TYPE)
                top = pop_three(top, base, unreachable, TypeId.I32, TypeId.I32, index_type, matches)
            case Kind.REF_NULL:
                if position >= end:
                    return UNDECIDED
                chosen = u8(u64(context + At.HEAP_TYPE_CODES) + u8(source + position))
                if chosen == TypeId.UNKNOWN:
                    return UNDECIDED
                position += 1
                top = push(top, limit, chosen)
            case Kind.REF_IS_NULL:
                chosen = TypeId.UNKNOWN if top <= base else u8(top - 1)
                top = pop_any(top, base, unreachable)
                if chosen != TypeId.UNKNOWN and chosen < TypeId.FIRST_REFERENCE:
                    return UNDECIDED
                top = push(top, limit, TypeId.I32)
            case Kind.REF_FUNC:
                if u8(u64(context + At.DECLARED) + first) == 0:
                    return UNDECIDED
                top = push(top, limit, TypeId.FUNCTION)
            case Kind.MEMORY_SIZE:
                top = push(top, limit, u8(u64(context + At.MEMORIES) + first))
            case Kind.MEMORY_GROW:
                index_type = u8(u64(context + At.MEMORIES) + first)
                top = push(pop(top, base, unreachable, index_type, matches), limit, index_type)
            case Kind.MEMORY_FILL:
                index_type = u8(u64(context + At.MEMORIES) + first)
                top = pop_three(top, base, unreachable, index_type, TypeId.I32, index_type, matches)
            case Kind.MEMORY_COPY:
                index_type = u8(u64(context + At.MEMORIES) + first)
                other = u8(u64(context + At.MEMORIES) + second)
                length = other if index_type == TypeId.I64 else index_type
                top = pop_three(top, base, unreachable, length, other, index_type, matches)
            case Kind.MEMORY_INIT:
                index_type = u8(u64(context + At.MEMORIES) + second)
                top = pop_three(top, base, unreachable, TypeId.I32, TypeId.I32, index_type, matches)
            case _:
                return UNDECIDED
        if kind < Kind.ACCESS:
            parameter_count = u8(row + Row.PARAMETER_COUNT)
            top = pop_sequence(top, base, unreachable, row + Row.PARAMETERS, parameter_count, matches)
            top = push_all(top, limit, row + Row.RESULTS, u8(row + Row.RESULT_COUNT))
        if top == 0 or position < 0:
            return UNDECIDED
        if leaves:
            top = base
            unreachable = 1
    return UNDECIDED


@routine
def validate_bodies(context: int, scratch: int, first: int, last: int, calls: int) -> int:
    """Validate the functions from `first` to before `last`.

    Args:
        context: address of the context.
        scratch: address of scratch memory, the thread's own.
        first: position of a function among the module's own.
        last: likewise.
        calls: address where the calls go (`FunctionFacts.calls`): half as many words of 32 bits as there is code.

    Returns:
        How many are undecided.
    """
    undecided = 0
    body = first
    facts = u64(context + At.FACTS)
    while body < last:
        own = facts + 4 * FACT_COUNT * body
        if validate_body(context, scratch, body, calls) == VALID:
            calls += 4 * u32(own + 4 * Fact.CALL_COUNT)
        else:
            undecided += 1
            set_u32(own + 4 * Fact.CALL_COUNT, 0)
        body += 1
    return undecided


VALIDATION = Compiled(validate_bodies)
