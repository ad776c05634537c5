"""Machine code at the border between Python and guests: entries, and calls of host functions.

One of each for every function type, since they move values between slots (8 bytes each) and the places of the
calling convention.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from farcall.engine.abi import layout
from farcall.engine.abi.calls import calling_convention, result_type
from farcall.engine.abi.traps import EXIT_HOST_EXCEPTION, TrapKind
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

HOST_IDENTITY = 0
"""In the context of a host function: the number by which the callback knows it."""
HOST_CALLABLE = 8
"""In the context of a host function that is called directly: the Python object."""
HOST_PARAMETERS = 16
"""How many parameters it has (i64)."""
HOST_MASKS = 24
"""For each of them, the bits that belong to it."""
DIRECT_PARAMETERS = 12
"""How many parameters a host function can have that is called directly."""
HOST_CONTEXT_SIZE = HOST_MASKS + 8 * DIRECT_PARAMETERS

INTEGER_PARAMETERS = 5
"""How many integers there are registers for, beside the context, on every target."""

_ARGUMENTS_OFFSET = -1 << 63
"""`PY_VECTORCALL_ARGUMENTS_OFFSET`: a bound method puts its object before the arguments, instead of copying them."""
_DIRECT = -1
"""In place of an identity: Python is given the integers in the slots themselves."""


def _slots(types: Iterable[ValueType]) -> Iterator[tuple[int, ValueType]]:
    offset = 0
    for value_type in types:
        yield offset, value_type
        offset += max(value_type.size, layout.SLOT_SIZE)


def slots_size(types: Iterable[ValueType]) -> int:
    """Bytes of the slots for values of these types."""
    return sum(max(value_type.size, layout.SLOT_SIZE) for value_type in types)


def _load(types: Iterable[ValueType], slots: str, prefix: str) -> list[str]:
    lines = []
    for position, (offset, value_type) in enumerate(_slots(types)):
        lines.append(f"%{prefix}{position}.at = getelementptr i8, ptr {slots}, i64 {offset}")
        lines.append(f"%{prefix}{position} = load {value_type.llvm}, ptr %{prefix}{position}.at, align 8")
    return lines


def _store(values: Iterable[tuple[str, ValueType]], slots: str, prefix: str) -> list[str]:
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
    arguments = _load(signature.parameters, "%slots", "argument")
    return "\n  ".join([*arguments, *calls, *_store(names, "%slots", "result.slot")])


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


def direct_host_call_text() -> str:
    """LLVM IR of `direct_host_call`: a guest function that calls the Python object of its context itself.

    It is the same for all types that have integers only, and one result at most. All conventions have integers one by
    one in the same registers and words of the stack, whatever their width: so it takes as many as there can be, of
    which those that the function does not have, and what is beyond an i32, are masked.
    """
    parameters = "".join(f", i64 %argument{position}" for position in range(DIRECT_PARAMETERS))
    stores = "\n  ".join(
        f"""%mask{position}.at = getelementptr i8, ptr %host, i64 {HOST_MASKS + 8 * position}
  %mask{position} = load i64, ptr %mask{position}.at, align 8
  %masked{position} = and i64 %argument{position}, %mask{position}
  %slot{position}.at = getelementptr i64, ptr %slots, i64 {position}
  store i64 %masked{position}, ptr %slot{position}.at, align 8"""
        for position in range(DIRECT_PARAMETERS)
    )
    return f"""
define i64 @direct_host_call(ptr %host{parameters}) #0 {{
  %slots = alloca [{DIRECT_PARAMETERS} x i64], align 16
  {stores}
  %callable.at = getelementptr i8, ptr %host, i64 {HOST_CALLABLE}
  %count.at = getelementptr i8, ptr %host, i64 {HOST_PARAMETERS}
  %count = load i64, ptr %count.at, align 8
  call void @call_host(ptr %callable.at, i64 {_DIRECT}, i64 %count, ptr %slots)
  %result = load i64, ptr %slots, align 8
  ret i64 %result
}}
"""


def host_call_text(name: str, signature: FunctionType, call_host: int, handler: int) -> str:
    """LLVM IR of a guest function that calls the host function of its context.

    Parameters:
        call_host: address of `call_host`.
        handler: where the Python function is that does it.
    """
    parameters = "".join(
        f", {value_type.llvm} %argument{position}" for position, value_type in enumerate(signature.parameters)
    )
    arguments = [(f"%argument{position}", kind) for position, kind in enumerate(signature.parameters)]
    size = max(slots_size(signature.parameters), slots_size(signature.results), layout.SLOT_SIZE)
    store = "\n  ".join(_store(arguments, "%slots", "argument.slot"))
    load = "\n  ".join(_load(signature.results, "%slots", "result"))
    returned = _return(signature)
    kind = result_type(signature.results)
    return f"""
define {calling_convention(signature.results)}{kind} @{name}(ptr %host{parameters}) #0 {{
  %slots = alloca [{size} x i8], align 16
  {store}
  %identity = load i64, ptr %host
  call void {address(call_host)}(ptr {address(handler)}, i64 %identity, i64 0, ptr %slots)
  {load}
  {returned}
}}
"""


def _return(signature: FunctionType) -> str:
    results = signature.results
    if not results:
        return "ret void"
    if len(results) == 1:
        return f"ret {results[0].llvm} %result0"
    kind = result_type(results)
    lines = []
    aggregate = "poison"
    for position, value_type in enumerate(results):
        lines.append(
            f"%packed{position} = insertvalue {kind} {aggregate}, {value_type.llvm} %result{position}, {position}"
        )
        aggregate = f"%packed{position}"
    return "\n  ".join([*lines, f"ret {kind} {aggregate}"])


def host_border_text(key: int, convert: int) -> str:
    """LLVM IR of `call_host`: leave guest code for a Python function and come back, or leave for good.

    It calls Python itself, with (identity, index, address of the slots) as ints, instead of through a callback of
    ctypes: that could not tell of exceptions that come before the function's first instruction, as those of signal
    handlers and of Python's recursion limit do, and it needs memory that is writable and executable.

    Parameters:
        key: of the thread-specific data that holds the thread's record.
        convert: where the Python function is that makes a guest's exception of one that a host function raised.
    """
    get_record = address(c_library.address_of("pthread_getspecific"))
    python = {
        name: address(c_library.python_address_of(name))
        for name in (
            "PyGILState_Ensure",
            "PyGILState_Release",
            "PyErr_Occurred",
            "PyLong_AsUnsignedLongLongMask",
            "PyLong_FromLongLong",
            "PyLong_FromUnsignedLongLong",
            "PyObject_Vectorcall",
            "Py_DecRef",
            "PyErr_Fetch",
            "PyErr_NormalizeException",
            "PyException_SetTraceback",
        )
    }
    return f"""
define void @call_host(ptr %handler.at, i64 %identity, i64 %index, ptr %slots) #0 {{
  %record = call ptr {get_record}(i32 {key})
  %own = call ptr @llvm.frameaddress.p0(i32 0)
  %frame = ptrtoint ptr %own to i64
  %limit.at = getelementptr i8, ptr %record, i64 {layout.THREAD_HOST_LIMIT}
  %limit = load i64, ptr %limit.at
  %short = icmp ult i64 %frame, %limit
  br i1 %short, label %exhausted, label %go
exhausted:
  call void @leave(i32 {TrapKind.CALL_STACK_EXHAUSTED.value})
  unreachable
go:
  %entry = load ptr, ptr %record
  %context.at = getelementptr i8, ptr %entry, i64 {ENTRY_CONTEXT}
  %context = load ptr, ptr %context.at
  %caller.at = getelementptr i8, ptr %record, i64 {layout.THREAD_CALLER}
  store ptr %context, ptr %caller.at
  ; Guests' frames, which hold references, lie below the outermost entry.
  %end.at = getelementptr i8, ptr %record, i64 {layout.THREAD_GUESTS_END}
  %end = load ptr, ptr %end.at
  %entry.frame.at = getelementptr i8, ptr %entry, i64 {ENTRY_FRAME}
  %entry.frame = load ptr, ptr %entry.frame.at
  %outermost = icmp eq ptr %end, null
  %guests.end = select i1 %outermost, ptr %entry.frame, ptr %end
  store ptr %guests.end, ptr %end.at
  store volatile ptr null, ptr %record
  %gil = call i32 {python["PyGILState_Ensure"]}()
  %direct = icmp eq i64 %identity, {_DIRECT}
  br i1 %direct, label %directly, label %handled
directly:
  %failed.directly = call i1 @call_directly(ptr %record, ptr %handler.at, i64 %index, ptr %slots)
  br label %returned
handled:
  %failed.handled = call i1 @call_python(ptr %record, ptr %handler.at, i64 %identity, i64 %index, ptr %slots)
  br label %returned
returned:
  %failed = phi i1 [ %failed.directly, %directly ], [ %failed.handled, %handled ]
  call void {python["PyGILState_Release"]}(i32 %gil)
  store volatile ptr %entry, ptr %record
  store ptr %end, ptr %end.at
  br i1 %failed, label %exception, label %back
exception:
  call void @leave(i32 {EXIT_HOST_EXCEPTION})
  unreachable
back:
  %thrown.at = getelementptr i8, ptr %record, i64 {layout.THREAD_THROWN}
  %thrown = load ptr, ptr %thrown.at
  %plain = icmp eq ptr %thrown, null
  br i1 %plain, label %done, label %throw
throw:
  store ptr null, ptr %thrown.at
  %is.python = icmp eq ptr %thrown, inttoptr (i64 1 to ptr)
  br i1 %is.python, label %convert, label %throw.it
convert:
  ; A Python exception that the guest is to throw: made into one of the guest's, which is thrown on return.
  call void @call_host(ptr {address(convert)}, i64 0, i64 0, ptr null)
  unreachable
throw.it:
  call void @throw(ptr %thrown)
  unreachable
done:
  ret void
}}

; Whether it raised; the exception is in the record then. The interpreter's lock is held.
define internal i1 @call_python(ptr %record, ptr %handler.at, i64 %identity, i64 %index, ptr %slots) #0 {{
  %arguments = alloca [3 x ptr], align 8
  %handler = load ptr, ptr %handler.at
  %place = ptrtoint ptr %slots to i64
  %first = call ptr {python["PyLong_FromLongLong"]}(i64 %identity)
  %second = call ptr {python["PyLong_FromLongLong"]}(i64 %index)
  %third = call ptr {python["PyLong_FromLongLong"]}(i64 %place)
  %second.at = getelementptr ptr, ptr %arguments, i64 1
  %third.at = getelementptr ptr, ptr %arguments, i64 2
  store ptr %first, ptr %arguments
  store ptr %second, ptr %second.at
  store ptr %third, ptr %third.at
  %no.first = icmp eq ptr %first, null
  %no.second = icmp eq ptr %second, null
  %no.third = icmp eq ptr %third, null
  %no.one = or i1 %no.first, %no.second
  %none = or i1 %no.one, %no.third
  br i1 %none, label %called, label %call
call:
  %returned = call ptr {python["PyObject_Vectorcall"]}(ptr %handler, ptr %arguments, i64 3, ptr null)
  br label %called
called:
  %result = phi ptr [ null, %0 ], [ %returned, %call ]
  call void {python["Py_DecRef"]}(ptr %first)
  call void {python["Py_DecRef"]}(ptr %second)
  call void {python["Py_DecRef"]}(ptr %third)
  %raised = icmp eq ptr %result, null
  br i1 %raised, label %keep, label %fine
fine:
  call void {python["Py_DecRef"]}(ptr %result)
  ret i1 false
keep:
  call void @keep_exception(ptr %record)
  ret i1 true
}}

; The same, of a Python object that takes the first `count` slots as unsigned ints, and returns None, or an int for the
; first slot, of which the lowest 64 bits count.
define internal i1 @call_directly(ptr %record, ptr %callable.at, i64 %count, ptr %slots) #0 {{
start:
  %size = add i64 %count, 1
  %arguments = alloca ptr, i64 %size, align 8
  %first.at = getelementptr ptr, ptr %arguments, i64 1 ; before it is a place that the callee may use
  %callable = load ptr, ptr %callable.at
  br label %next
next:
  %position = phi i64 [ 0, %start ], [ %more, %made ]
  %some = icmp ult i64 %position, %count
  br i1 %some, label %make, label %call
make:
  %slot.at = getelementptr i64, ptr %slots, i64 %position
  %slot = load i64, ptr %slot.at
  %int = call ptr {python["PyLong_FromUnsignedLongLong"]}(i64 %slot)
  %argument.at = getelementptr ptr, ptr %first.at, i64 %position
  store ptr %int, ptr %argument.at
  %none = icmp eq ptr %int, null
  br i1 %none, label %called, label %made
made:
  %more = add i64 %position, 1
  br label %next
call:
  %flags = or i64 %count, {_ARGUMENTS_OFFSET}
  %returned = call ptr {python["PyObject_Vectorcall"]}(ptr %callable, ptr %first.at, i64 %flags, ptr null)
  br label %called
called:
  %result = phi ptr [ null, %make ], [ %returned, %call ]
  br label %drop
drop:
  %left = phi i64 [ %position, %called ], [ %fewer, %dropping ]
  %dropped = icmp eq i64 %left, 0
  br i1 %dropped, label %look, label %dropping
dropping:
  %fewer = sub i64 %left, 1
  %last.at = getelementptr ptr, ptr %first.at, i64 %fewer
  %last = load ptr, ptr %last.at
  call void {python["Py_DecRef"]}(ptr %last)
  br label %drop
look:
  %raised = icmp eq ptr %result, null
  br i1 %raised, label %keep, label %convert
convert:
  %is.none = icmp eq ptr %result, {address(id(None))}
  br i1 %is.none, label %zero, label %number
zero:
  store i64 0, ptr %slots
  br label %fine
number:
  %value = call i64 {python["PyLong_AsUnsignedLongLongMask"]}(ptr %result)
  store i64 %value, ptr %slots
  %suspicious = icmp eq i64 %value, -1
  br i1 %suspicious, label %ask, label %fine
ask:
  %error = call ptr {python["PyErr_Occurred"]}()
  %is.fine = icmp eq ptr %error, null
  br i1 %is.fine, label %fine, label %wrong
fine:
  call void {python["Py_DecRef"]}(ptr %result)
  ret i1 false
wrong:
  call void {python["Py_DecRef"]}(ptr %result)
  br label %keep
keep:
  call void @keep_exception(ptr %record)
  ret i1 true
}}

; Put the exception that was raised into the record.
define internal void @keep_exception(ptr %record) #0 {{
  %type.at = alloca ptr, align 8
  %value.at = alloca ptr, align 8
  %traceback.at = alloca ptr, align 8
  call void {python["PyErr_Fetch"]}(ptr %type.at, ptr %value.at, ptr %traceback.at)
  call void {python["PyErr_NormalizeException"]}(ptr %type.at, ptr %value.at, ptr %traceback.at)
  %type = load ptr, ptr %type.at
  %value = load ptr, ptr %value.at
  %traceback = load ptr, ptr %traceback.at
  %untraced = icmp eq ptr %traceback, null
  br i1 %untraced, label %kept, label %trace
trace:
  %set = call i32 {python["PyException_SetTraceback"]}(ptr %value, ptr %traceback)
  br label %kept
kept:
  call void {python["Py_DecRef"]}(ptr %type)
  call void {python["Py_DecRef"]}(ptr %traceback)
  %exception.at = getelementptr i8, ptr %record, i64 {layout.THREAD_EXCEPTION}
  store ptr %value, ptr %exception.at
  ret void
}}
"""


def listener_text(name: str, handler: int) -> str:
    """LLVM IR of a runtime function that tells the listeners of the context's instance of a call.

    Parameters:
        handler: where the Python function is that does it.
    """
    return f"""
define void @{name}(ptr %vmctx, i32 %index, ptr %slots) #0 {{
  %identity.at = getelementptr i8, ptr %vmctx, i64 {layout.CONTEXT_IDENTITY}
  %identity = load i64, ptr %identity.at
  %wide = zext i32 %index to i64
  call void @call_host(ptr {address(handler)}, i64 %identity, i64 %wide, ptr %slots)
  ret void
}}
"""
