"""Machine code by which Python enters guests.

There is an entry for every function type, since it moves values between slots (8 bytes each) and the places of the
calling convention; but those of few integers share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from farcall.engine.abi import layout
from farcall.engine.abi.calls import calling_convention, result_type
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import (
    ENTRY_CONTEXT,
    ENTRY_FRAME,
    ENTRY_HANDLERS,
    ENTRY_JUMP_BUFFER,
    ENTRY_OUTER,
    ENTRY_SIZE,
    address,
)
from farcall.engine.structure.types import I32, I64, FunctionType, ValueType

THREAD_NOT_PREPARED = -1
"""What an entry returns, having done nothing, on a thread that has no record yet."""

INTEGER_PARAMETERS = 5
"""How many integers there are registers for, beside the context, on every target."""


def _slots(types: Iterable[ValueType]) -> Iterator[tuple[int, ValueType]]:
    offset = 0
    for value_type in types:
        yield offset, value_type
        offset += max(value_type.size, layout.SLOT_SIZE)


def slots_size(types: Iterable[ValueType]) -> int:
    """Bytes of the slots for values of these types."""
    return sum(max(value_type.size, layout.SLOT_SIZE) for value_type in types)


def load_slots(types: Iterable[ValueType], slots: str, prefix: str) -> list[str]:
    """Lines that load values of these types from slots: under the prefix and their positions."""
    lines = []
    for position, (offset, value_type) in enumerate(_slots(types)):
        lines.append(f"%{prefix}{position}.at = getelementptr i8, ptr {slots}, i64 {offset}")
        lines.append(f"%{prefix}{position} = load {value_type.llvm}, ptr %{prefix}{position}.at, align 8")
    return lines


def store_slots(values: Iterable[tuple[str, ValueType]], slots: str, prefix: str) -> list[str]:
    """Lines that store values, given by name and type, into slots."""
    pairs = list(values)
    lines = []
    for position, (offset, value_type) in enumerate(_slots(value_type for _name, value_type in pairs)):
        name = pairs[position][0]
        lines.append(f"%{prefix}{position}.at = getelementptr i8, ptr {slots}, i64 {offset}")
        # A slot is 8 bytes: what a 4-byte value leaves of it is cleared, so that slots can be compared.
        if value_type.size < layout.SLOT_SIZE:
            lines.append(f"store i64 0, ptr %{prefix}{position}.at, align 8")
        lines.append(f"store {value_type.llvm} {name}, ptr %{prefix}{position}.at, align 8")
    return lines


def _result_values(signature: FunctionType, call: str) -> tuple[list[str], list[tuple[str, ValueType]]]:
    """The call with its results unpacked, and the results' names."""
    results = signature.results
    if not results:
        return [call], []
    if len(results) == 1:
        return [f"%result = {call}"], [("%result", results[0])]
    lines = [f"%result = {call}"]
    names = []
    for position, value_type in enumerate(results):
        lines.append(f"%result{position} = extractvalue {result_type(results)} %result, {position}")
        names.append((f"%result{position}", value_type))
    return lines, names


def _call_with_slots(signature: FunctionType) -> str:
    """Call %code with the arguments in %slots, and put the results in their place."""
    operands = "".join(
        f", {value_type.llvm} %argument{position}" for position, value_type in enumerate(signature.parameters)
    )
    convention = calling_convention(signature.results)
    call = f"call {convention}{result_type(signature.results)} %code(ptr %vmctx{operands})"
    calls, names = _result_values(signature, call)
    arguments = load_slots(signature.parameters, "%slots", "argument")
    return "\n  ".join([*arguments, *calls, *store_slots(names, "%slots", "result.slot")])


def _begin_entry() -> str:
    """Fill %entry, of the thread whose record is %record; %outer is the entry around it, %buffer the jump buffer."""
    return f"""%outer = load ptr, ptr %record
  %outer.at = getelementptr i8, ptr %entry, i64 {ENTRY_OUTER}
  store volatile ptr %outer, ptr %outer.at
  %own = call ptr @llvm.frameaddress.p0(i32 0)
  %frame.at = getelementptr i8, ptr %entry, i64 {ENTRY_FRAME}
  store volatile ptr %own, ptr %frame.at
  %context.at = getelementptr i8, ptr %entry, i64 {ENTRY_CONTEXT}
  store volatile ptr %vmctx, ptr %context.at
  %handlers.at = getelementptr i8, ptr %entry, i64 {ENTRY_HANDLERS}
  store volatile ptr null, ptr %handlers.at
  %buffer = getelementptr i8, ptr %entry, i64 {ENTRY_JUMP_BUFFER}"""


def _end_entry(key: int) -> str:
    """The guest was left for %entry: what is around it goes on. %record.again is the thread's record."""
    get_record = address(c_library.address_of("pthread_getspecific"))
    return f"""%record.again = call ptr {get_record}(i32 {key})
  %outer.again = load volatile ptr, ptr %outer.at
  store volatile ptr %outer.again, ptr %record.again
  %frame.again = load volatile ptr, ptr %frame.at
  %left.at = getelementptr i8, ptr %record.again, i64 {layout.THREAD_LEFT_FRAME}
  store ptr %frame.again, ptr %left.at"""


def entry_text(name: str, signature: FunctionType, key: int) -> str:
    """LLVM IR of `i64 name(ptr code, ptr vmctx, ptr slots)`.

    It calls `code` with the arguments in the slots and puts the results in their place. It returns 0, or why the
    guest was left, or `THREAD_NOT_PREPARED`.
    """
    get_record = address(c_library.address_of("pthread_getspecific"))
    set_jump = address(c_library.address_of("_setjmp"))
    return f"""
define i64 @{name}(ptr %code, ptr %vmctx, ptr %slots) #0 {{
  %entry = alloca [{ENTRY_SIZE} x i8], align 16
  %record = call ptr {get_record}(i32 {key})
  %prepared = icmp ne ptr %record, null
  br i1 %prepared, label %enter, label %unprepared
unprepared:
  ret i64 {THREAD_NOT_PREPARED}
enter:
  {_begin_entry()}
  %again = call i32 {set_jump}(ptr %buffer) returns_twice
  %first = icmp eq i32 %again, 0
  br i1 %first, label %run, label %left
run:
  store volatile ptr %entry, ptr %record
  {_call_with_slots(signature)}
  store volatile ptr %outer, ptr %record
  ret i64 0
left:
  {_end_entry(key)}
  %code.at = getelementptr i8, ptr %record.again, i64 {layout.THREAD_EXIT_CODE}
  %why = load i64, ptr %code.at
  ret i64 %why
}}
"""


def integer_entries_text(key: int) -> str:
    """LLVM IR of the entries that do for many types: `integer_entry_i32` and `integer_entry_i64`, by their result.

    They take `INTEGER_PARAMETERS` slots, whatever is in them, to where all conventions have integers, of any width.
    """
    parameters = (I64,) * INTEGER_PARAMETERS
    return "".join(
        entry_text(f"integer_entry_{result.llvm}", FunctionType(parameters, (result,)), key)
        for result in (I32, I64)
    )


def batch_entry_text(name: str, signature: FunctionType, key: int) -> str:
    """LLVM IR of `i64 name(ptr code, ptr vmctx, ptr rows, i64 count)`.

    It calls `code` once for each row of slots, with the arguments in them, and puts the results in their place. It
    returns how many calls returned: where it is less than `count`, the next one left the guest, and the thread's
    record says why. The thread must have a record.

    Before each call it looks for a request to stop, as a guest's loop does: a call may be too short to look itself.
    """
    get_record = address(c_library.address_of("pthread_getspecific"))
    set_jump = address(c_library.address_of("_setjmp"))
    stride = max(slots_size(signature.parameters), slots_size(signature.results), layout.SLOT_SIZE)
    return f"""
define i64 @{name}(ptr %code, ptr %vmctx, ptr %rows, i64 %count) #0 {{
  %entry = alloca [{ENTRY_SIZE} x i8], align 16
  %done.at = alloca i64, align 8
  %record = call ptr {get_record}(i32 {key})
  {_begin_entry()}
  store volatile i64 0, ptr %done.at
  %again = call i32 {set_jump}(ptr %buffer) returns_twice
  %first = icmp eq i32 %again, 0
  br i1 %first, label %run, label %left
run:
  store volatile ptr %entry, ptr %record
  br label %next
next:
  %done = phi i64 [ 0, %run ], [ %more, %turn ]
  %left.over = icmp ult i64 %done, %count
  br i1 %left.over, label %turn, label %all
turn:
  %execution = load volatile ptr, ptr %vmctx, align 8
  %check = load volatile i64, ptr %execution, align 8
  %distance = mul i64 %done, {stride}
  %slots = getelementptr i8, ptr %rows, i64 %distance
  {_call_with_slots(signature)}
  %more = add i64 %done, 1
  store volatile i64 %more, ptr %done.at
  br label %next
all:
  store volatile ptr %outer, ptr %record
  ret i64 %count
left:
  {_end_entry(key)}
  %returned = load volatile i64, ptr %done.at
  ret i64 %returned
}}
"""
