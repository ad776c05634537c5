"""Machine code for exceptions: their memory, the search for who catches one, and the jump there.

Handlers are linked from the innermost entry into guest code on; what an exception reaches beyond that entry is for
Python to say. See `farcall.engine.lowering.exceptions` for how handlers are made.
"""

from __future__ import annotations

from farcall.engine.abi import layout
from farcall.engine.abi.layout import RUNTIME_SIGNATURES, RuntimeFunction
from farcall.engine.abi.traps import EXIT_GUEST_EXCEPTION
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import ENTRY_HANDLERS, address


def _signature(function: RuntimeFunction, names: str) -> str:
    result, parameters = RUNTIME_SIGNATURES[function]
    pairs = ", ".join(f"{kind} %{name}" for kind, name in zip(parameters, names.split(), strict=True))
    return f"define {result} @{function.name.lower()}({pairs}) #0"


def _field(name: str, pointer: str, offset: int, kind: str = "i64") -> str:
    return (
        f"%{name}.at = getelementptr i8, ptr {pointer}, i64 {offset}\n  %{name} = load {kind}, ptr %{name}.at"
    )


def _place(name: str, pointer: str, offset: int) -> str:
    return f"%{name} = getelementptr i8, ptr {pointer}, i64 {offset}"


def exceptions_text(key: int, listening: int, collect: int, unwind: int) -> str:
    """LLVM IR of all of it.

    Parameters:
        key: of the thread-specific data that holds the thread's record.
        listening: where the word is that is not 0 once there have been listeners in the process.
        collect: where the Python function is that frees exceptions which nothing refers to.
        unwind: where the Python function is that tells listeners of calls which an exception ends.
    """
    return "\n".join((_memory(collect), _throw(key, listening, unwind)))


def _memory(collect: int) -> str:
    allocate = address(c_library.address_of("malloc"))
    free = address(c_library.address_of("free"))
    set_jump = address(c_library.address_of("_setjmp"))
    return f"""
; Put an exception into its arena; null where the system has no memory. No looking for others to free.
define ptr @exception_allocate(ptr %arena, ptr %tag, i64 %size) #0 {{
  %bytes = add i64 %size, {layout.EXCEPTION_VALUES}
  %exception = call ptr {allocate}(i64 %bytes)
  %none = icmp eq ptr %exception, null
  br i1 %none, label %fail, label %fill
fail:
  ret ptr null
fill:
  {_field("first", "%arena", layout.ARENA_FIRST, "ptr")}
  {_field("used", "%arena", layout.ARENA_USED)}
  %more = add i64 %used, %bytes
  store i64 %more, ptr %used.at
  store ptr %exception, ptr %first.at
  {_place("arena.at", "%exception", layout.EXCEPTION_ARENA)}
  store ptr %arena, ptr %arena.at
  {_place("previous.at", "%exception", layout.EXCEPTION_PREVIOUS)}
  store ptr null, ptr %previous.at
  {_place("next.at", "%exception", layout.EXCEPTION_NEXT)}
  store ptr %first, ptr %next.at
  {_place("tag.at", "%exception", layout.EXCEPTION_TAG)}
  store ptr %tag, ptr %tag.at
  {_place("escaped.at", "%exception", layout.EXCEPTION_ESCAPED)}
  store i64 0, ptr %escaped.at
  {_place("bytes.at", "%exception", layout.EXCEPTION_BYTES)}
  store i64 %bytes, ptr %bytes.at
  %alone = icmp eq ptr %first, null
  br i1 %alone, label %done, label %link
link:
  {_place("back", "%first", layout.EXCEPTION_PREVIOUS)}
  store ptr %exception, ptr %back
  br label %done
done:
  ret ptr %exception
}}

{_signature(RuntimeFunction.EXCEPTION_NEW, "arena tag size")} {{
  %registers = alloca [512 x i8], align 16
  {_field("used", "%arena", layout.ARENA_USED)}
  {_field("limit", "%arena", layout.ARENA_LIMIT)}
  %enough = icmp ult i64 %used, %limit
  br i1 %enough, label %allocate, label %collect
collect:
  {_field("identity", "%arena", layout.ARENA_IDENTITY)}
  ; Registers can hold references too: what they hold is put on the stack, which is searched from here on.
  %ignored = call i32 {set_jump}(ptr %registers) returns_twice
  call void @call_host(ptr {address(collect)}, i64 %identity, i64 0, ptr %registers)
  br label %allocate
allocate:
  %exception = call ptr @exception_allocate(ptr %arena, ptr %tag, i64 %size)
  %none = icmp eq ptr %exception, null
  br i1 %none, label %exhausted, label %done
exhausted:
  {_field("arena.identity", "%arena", layout.ARENA_IDENTITY)}
  call void @call_host(ptr {address(collect)}, i64 %arena.identity, i64 1, ptr %registers)
  unreachable
done:
  ret ptr %exception
}}

; Give an exception's memory back.
define void @exception_free(ptr %exception) #0 {{
  {_field("arena", "%exception", layout.EXCEPTION_ARENA, "ptr")}
  {_field("previous", "%exception", layout.EXCEPTION_PREVIOUS, "ptr")}
  {_field("next", "%exception", layout.EXCEPTION_NEXT, "ptr")}
  {_field("bytes", "%exception", layout.EXCEPTION_BYTES)}
  {_field("used", "%arena", layout.ARENA_USED)}
  %less = sub i64 %used, %bytes
  store i64 %less, ptr %used.at
  {_place("first.at", "%arena", layout.ARENA_FIRST)}
  {_place("previous.next.at", "%previous", layout.EXCEPTION_NEXT)}
  %first = icmp eq ptr %previous, null
  %forward = select i1 %first, ptr %first.at, ptr %previous.next.at
  store ptr %next, ptr %forward
  %last = icmp eq ptr %next, null
  br i1 %last, label %free, label %link
link:
  {_place("backward", "%next", layout.EXCEPTION_PREVIOUS)}
  store ptr %previous, ptr %backward
  br label %free
free:
  call void {free}(ptr %exception)
  ret void
}}

{_signature(RuntimeFunction.EXCEPTION_RELEASE, "exception")} {{
  {_field("escaped", "%exception", layout.EXCEPTION_ESCAPED)}
  %free = icmp eq i64 %escaped, 0
  br i1 %free, label %give.back, label %done
give.back:
  call void @exception_free(ptr %exception)
  br label %done
done:
  ret void
}}
"""


def _throw(key: int, listening: int, unwind: int) -> str:
    get_record = address(c_library.address_of("pthread_getspecific"))
    jump = address(c_library.address_of("_longjmp"))
    return f"""
{_signature(RuntimeFunction.HANDLERS, "")} {{
  %record = call ptr {get_record}(i32 {key})
  %entry = load ptr, ptr %record
  {_place("handlers", "%entry", ENTRY_HANDLERS)}
  ret ptr %handlers
}}

{_signature(RuntimeFunction.THROW, "exception")} {{
start:
  %record = call ptr {get_record}(i32 {key})
  %entry = load ptr, ptr %record
  {_field("innermost", "%entry", ENTRY_HANDLERS, "ptr")}
  {_field("tag", "%exception", layout.EXCEPTION_TAG, "ptr")}
  br label %ask
ask:
  %handler = phi ptr [ %innermost, %start ], [ %following, %ask.next ]
  %nobody = icmp eq ptr %handler, null
  br i1 %nobody, label %uncaught, label %clauses
clauses:
  {_field("count", "%handler", layout.HANDLER_COUNT)}
  br label %clause
clause:
  %position = phi i64 [ 0, %clauses ], [ %further, %clause.next ]
  %over = icmp eq i64 %position, %count
  br i1 %over, label %ask.next, label %compare
compare:
  {_place("tags", "%handler", layout.HANDLER_TAGS)}
  %wanted.at = getelementptr ptr, ptr %tags, i64 %position
  %wanted = load ptr, ptr %wanted.at
  %further = add i64 %position, 1
  %any = icmp eq ptr %wanted, null
  %same = icmp eq ptr %wanted, %tag
  %catches = or i1 %any, %same
  br i1 %catches, label %caught, label %clause.next
clause.next:
  br label %clause
ask.next:
  {_field("following", "%handler", layout.HANDLER_NEXT, "ptr")}
  br label %ask
caught:
  %listened = load i64, ptr {address(listening)}
  %silent = icmp eq i64 %listened, 0
  br i1 %silent, label %go, label %tell
tell:
  {_field("depth", "%handler", layout.HANDLER_DEPTH, "ptr")}
  %number = ptrtoint ptr %exception to i64
  call void @call_host(ptr {address(unwind)}, i64 %number, i64 0, ptr %depth)
  br label %go
go:
  {_field("outer", "%handler", layout.HANDLER_OUTER, "ptr")}
  store ptr %outer, ptr %innermost.at
  {_place("exception.at", "%handler", layout.HANDLER_EXCEPTION)}
  store ptr %exception, ptr %exception.at
  {_place("buffer", "%handler", layout.HANDLER_JUMP_BUFFER)}
  %clause.number = trunc i64 %further to i32
  call void {jump}(ptr %buffer, i32 %clause.number) noreturn
  unreachable
uncaught:
  {_place("thrown.at", "%record", layout.THREAD_THROWN)}
  store ptr %exception, ptr %thrown.at
  call void @leave(i32 {EXIT_GUEST_EXCEPTION})
  unreachable
}}
"""
