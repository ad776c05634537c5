"""Machine code of the runtime functions on memories and tables: growth and bulk operations (section 4.4.7).

Every range is checked before anything is written. Long operations go in chunks and touch the execution context
before each, so that a guest can be stopped in the middle of them.
"""

from __future__ import annotations

from farcall.engine.abi import layout
from farcall.engine.abi.layout import RUNTIME_SIGNATURES, RuntimeFunction
from farcall.engine.abi.traps import TrapKind
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import address

CHUNK = 1 << 20
"""Bytes moved between two looks at the execution context: some 0.1 ms."""

_STACK_UNDER_LOCK = 16384
"""Bytes of stack that are there when a lock is taken: many times what the C library's functions need."""

_MEMORY_TRAP = TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS.value
_TABLE_TRAP = TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS.value


def signature(function: RuntimeFunction, names: str) -> str:
    """How the definition of a runtime function begins."""
    result, parameters = RUNTIME_SIGNATURES[function]
    pairs = ", ".join(f"{kind} %{name}" for kind, name in zip(parameters, names.split(), strict=True))
    return f"define {result} @{function.name.lower()}({pairs}) #0"


def field(name: str, pointer: str, offset: int, kind: str = "i64") -> str:
    """Load a field of a structure as `%name`; its address is `%name.at`."""
    return (
        f"%{name}.at = getelementptr i8, ptr {pointer}, i64 {offset}\n  %{name} = load {kind}, ptr %{name}.at"
    )


def _outside(name: str, start: str, count: str, size: str) -> str:
    """Whether the range leaves the size, computed without overflow, as i1 `%name`."""
    return f"""%{name}.past = icmp ugt i64 {start}, {size}
  %{name}.left = sub i64 {size}, {start}
  %{name}.long = icmp ugt i64 {count}, %{name}.left
  %{name} = or i1 %{name}.past, %{name}.long"""


def bulk_text() -> str:
    """LLVM IR of all of them."""
    return "\n".join((_need_stack(), _move(), _memory(), _budget(), _memory_grow(), _tables()))


def _need_stack() -> str:
    """`need_stack`: the trap "call stack exhausted" where not enough stack is left for what holds a lock.

    A fault while a lock is held would leave with it held.
    """
    return f"""
define void @need_stack() noinline #0 {{
  %area = alloca [{_STACK_UNDER_LOCK} x i8], align 16
  store volatile i8 0, ptr %area
  ret void
}}
"""


def _move() -> str:
    """`move_bytes`: memmove that can be stopped."""
    move = address(c_library.address_of("memmove"))
    return f"""
define internal void @move_bytes(ptr %execution, ptr %to, ptr %from, i64 %count) #0 {{
start:
  %upward = icmp ule ptr %to, %from
  br label %head
head:
  %left = phi i64 [ %count, %start ], [ %less, %body ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %end, label %body
body:
  %poll = load volatile i64, ptr %execution
  %part = call i64 @llvm.umin.i64(i64 %left, i64 {CHUNK})
  %less = sub i64 %left, %part
  %moved = sub i64 %count, %left
  %offset = select i1 %upward, i64 %moved, i64 %less
  %to.part = getelementptr i8, ptr %to, i64 %offset
  %from.part = getelementptr i8, ptr %from, i64 %offset
  %ignored = call ptr {move}(ptr %to.part, ptr %from.part, i64 %part)
  br label %head
end:
  ret void
}}
"""


def _memory() -> str:
    fill = address(c_library.address_of("memset"))
    return f"""
{signature(RuntimeFunction.MEMORY_COPY, "execution to.record from.record to from count")} {{
  {field("to.base", "%to.record", layout.MEMORY_RECORD_BASE, "ptr")}
  {field("to.bytes", "%to.record", layout.MEMORY_RECORD_BYTES)}
  {field("from.base", "%from.record", layout.MEMORY_RECORD_BASE, "ptr")}
  {field("from.bytes", "%from.record", layout.MEMORY_RECORD_BYTES)}
  {_outside("to.bad", "%to", "%count", "%to.bytes")}
  {_outside("from.bad", "%from", "%count", "%from.bytes")}
  %bad = or i1 %to.bad, %from.bad
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_MEMORY_TRAP})
  unreachable
go:
  %target = getelementptr i8, ptr %to.base, i64 %to
  %source = getelementptr i8, ptr %from.base, i64 %from
  call void @move_bytes(ptr %execution, ptr %target, ptr %source, i64 %count)
  ret void
}}

{signature(RuntimeFunction.MEMORY_FILL, "execution record to byte count")} {{
start:
  {field("base", "%record", layout.MEMORY_RECORD_BASE, "ptr")}
  {field("bytes", "%record", layout.MEMORY_RECORD_BYTES)}
  {_outside("bad", "%to", "%count", "%bytes")}
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_MEMORY_TRAP})
  unreachable
go:
  %target = getelementptr i8, ptr %base, i64 %to
  br label %head
head:
  %done = phi i64 [ 0, %go ], [ %next, %body ]
  %left = sub i64 %count, %done
  %finished = icmp eq i64 %left, 0
  br i1 %finished, label %end, label %body
body:
  %poll = load volatile i64, ptr %execution
  %part = call i64 @llvm.umin.i64(i64 %left, i64 {CHUNK})
  %place = getelementptr i8, ptr %target, i64 %done
  %ignored = call ptr {fill}(ptr %place, i32 %byte, i64 %part)
  %next = add i64 %done, %part
  br label %head
end:
  ret void
}}

{signature(RuntimeFunction.MEMORY_INIT, "execution record segment to from count")} {{
  {field("base", "%record", layout.MEMORY_RECORD_BASE, "ptr")}
  {field("bytes", "%record", layout.MEMORY_RECORD_BYTES)}
  {field("data", "%segment", layout.SEGMENT_POINTER, "ptr")}
  {field("length", "%segment", layout.SEGMENT_LENGTH)}
  {_outside("to.bad", "%to", "%count", "%bytes")}
  {_outside("from.bad", "%from", "%count", "%length")}
  %bad = or i1 %to.bad, %from.bad
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_MEMORY_TRAP})
  unreachable
go:
  %target = getelementptr i8, ptr %base, i64 %to
  %source = getelementptr i8, ptr %data, i64 %from
  call void @move_bytes(ptr %execution, ptr %target, ptr %source, i64 %count)
  ret void
}}
"""


def _budget() -> str:
    """`take_budget` and `give_budget`: atomic, since guests of different groups share budgets."""
    return f"""
define internal i1 @take_bytes(ptr %budget, i64 %bytes) #0 {{
  %before = atomicrmw sub ptr %budget, i64 %bytes monotonic
  %enough = icmp sge i64 %before, %bytes
  br i1 %enough, label %taken, label %back
taken:
  ret i1 true
back:
  %undone = atomicrmw add ptr %budget, i64 %bytes monotonic
  ret i1 false
}}

; Take bytes from a budget and from the one that it is part of; 0 where one of them has not as many.
define i32 @take_budget(ptr %budget, i64 %bytes) #0 {{
  %own = call i1 @take_bytes(ptr %budget, i64 %bytes)
  br i1 %own, label %whole, label %fail
whole:
  {field("parent", "%budget", layout.BUDGET_PARENT, "ptr")}
  %top = icmp eq ptr %parent, null
  br i1 %top, label %done, label %above
above:
  %shared = call i1 @take_bytes(ptr %parent, i64 %bytes)
  br i1 %shared, label %done, label %back
done:
  ret i32 1
back:
  %undone = atomicrmw add ptr %budget, i64 %bytes monotonic
  br label %fail
fail:
  ret i32 0
}}

define void @give_budget(ptr %budget, i64 %bytes) #0 {{
  %own = atomicrmw add ptr %budget, i64 %bytes monotonic
  {field("parent", "%budget", layout.BUDGET_PARENT, "ptr")}
  %top = icmp eq ptr %parent, null
  br i1 %top, label %done, label %above
above:
  %shared = atomicrmw add ptr %parent, i64 %bytes monotonic
  br label %done
done:
  ret void
}}
"""


def _memory_grow() -> str:
    """`memory_grow`: under the memory's lock, since guests of several groups may grow a shared memory at once.

    The new size is stored when all of it is accessible, so that whoever sees it can use it.
    """
    lock = address(c_library.address_of("pthread_mutex_lock"))
    unlock = address(c_library.address_of("pthread_mutex_unlock"))
    protect = address(c_library.address_of("mprotect"))
    access = c_library.PROT_READ | c_library.PROT_WRITE
    return f"""
{signature(RuntimeFunction.MEMORY_GROW, "record pages")} {{
  %lock = getelementptr i8, ptr %record, i64 {layout.MEMORY_RECORD_LOCK}
  call void @need_stack()
  %locked = call i32 {lock}(ptr %lock)
  %former = call i64 @grow_locked(ptr %record, i64 %pages)
  %unlocked = call i32 {unlock}(ptr %lock)
  ret i64 %former
}}

define internal i64 @grow_locked(ptr %record, i64 %pages) #0 {{
  {field("base", "%record", layout.MEMORY_RECORD_BASE, "ptr")}
  {field("bytes", "%record", layout.MEMORY_RECORD_BYTES)}
  {field("maximum", "%record", layout.MEMORY_RECORD_MAXIMUM)}
  {field("page", "%record", layout.MEMORY_RECORD_PAGE)}
  {field("budget", "%record", layout.MEMORY_RECORD_BUDGET, "ptr")}
  %former = udiv i64 %bytes, %page
  %none = icmp eq i64 %pages, 0
  br i1 %none, label %same, label %check
same:
  ret i64 %former
check:
  %room = sub i64 %maximum, %bytes
  %room.pages = udiv i64 %room, %page
  %over = icmp ugt i64 %pages, %room.pages
  br i1 %over, label %fail, label %grow
grow:
  %more = mul i64 %pages, %page
  %granted = call i32 @take_budget(ptr %budget, i64 %more)
  %poor = icmp eq i32 %granted, 0
  br i1 %poor, label %fail, label %map
map:
  ; The memory may end within a page of the machine: then that page is accessible already.
  %first = and i64 %bytes, {-c_library.PAGE_SIZE}
  %start = getelementptr i8, ptr %base, i64 %first
  %new = add i64 %bytes, %more
  %length = sub i64 %new, %first
  %refused = call i32 {protect}(ptr %start, i64 %length, i32 {access})
  %bad = icmp ne i32 %refused, 0
  br i1 %bad, label %give.back, label %store
give.back:
  call void @give_budget(ptr %budget, i64 %more)
  br label %fail
store:
  store atomic i64 %new, ptr %bytes.at seq_cst, align 8
  ret i64 %former
fail:
  ret i64 -1
}}
"""


def _tables() -> str:
    return f"""
define internal void @fill_elements(ptr %execution, ptr %first, ptr %reference, i64 %count) #0 {{
start:
  br label %head
head:
  %done = phi i64 [ 0, %start ], [ %next, %body ]
  %finished = icmp eq i64 %done, %count
  br i1 %finished, label %end, label %body
body:
  %poll = load volatile i64, ptr %execution
  %place = getelementptr ptr, ptr %first, i64 %done
  store ptr %reference, ptr %place
  %next = add i64 %done, 1
  br label %head
end:
  ret void
}}

{signature(RuntimeFunction.TABLE_GROW, "record count reference")} {{
  {field("elements", "%record", layout.TABLE_RECORD_ELEMENTS, "ptr")}
  {field("length", "%record", layout.TABLE_RECORD_LENGTH)}
  {field("maximum", "%record", layout.TABLE_RECORD_MAXIMUM)}
  {field("budget", "%record", layout.TABLE_RECORD_BUDGET, "ptr")}
  %none = icmp eq i64 %count, 0
  br i1 %none, label %same, label %check
same:
  ret i64 %length
check:
  %room = sub i64 %maximum, %length
  %over = icmp ugt i64 %count, %room
  br i1 %over, label %fail, label %pay
pay:
  %bytes = mul i64 %count, {layout.TABLE_ELEMENT_SIZE}
  %granted = call i32 @take_budget(ptr %budget, i64 %bytes)
  %poor = icmp eq i32 %granted, 0
  br i1 %poor, label %fail, label %grow
fail:
  ret i64 -1
grow:
  %first = getelementptr ptr, ptr %elements, i64 %length
  ; The record serves as what is touched before each element: growth is bounded and need not be stopped.
  call void @fill_elements(ptr %record, ptr %first, ptr %reference, i64 %count)
  %new = add i64 %length, %count
  store i64 %new, ptr %length.at
  ret i64 %length
}}

{signature(RuntimeFunction.TABLE_COPY, "execution to.record from.record to from count")} {{
  {field("to.elements", "%to.record", layout.TABLE_RECORD_ELEMENTS, "ptr")}
  {field("to.length", "%to.record", layout.TABLE_RECORD_LENGTH)}
  {field("from.elements", "%from.record", layout.TABLE_RECORD_ELEMENTS, "ptr")}
  {field("from.length", "%from.record", layout.TABLE_RECORD_LENGTH)}
  {_outside("to.bad", "%to", "%count", "%to.length")}
  {_outside("from.bad", "%from", "%count", "%from.length")}
  %bad = or i1 %to.bad, %from.bad
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_TABLE_TRAP})
  unreachable
go:
  %target = getelementptr ptr, ptr %to.elements, i64 %to
  %source = getelementptr ptr, ptr %from.elements, i64 %from
  %size = shl i64 %count, 3
  call void @move_bytes(ptr %execution, ptr %target, ptr %source, i64 %size)
  ret void
}}

{signature(RuntimeFunction.TABLE_FILL, "execution record to reference count")} {{
  {field("elements", "%record", layout.TABLE_RECORD_ELEMENTS, "ptr")}
  {field("length", "%record", layout.TABLE_RECORD_LENGTH)}
  {_outside("bad", "%to", "%count", "%length")}
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_TABLE_TRAP})
  unreachable
go:
  %first = getelementptr ptr, ptr %elements, i64 %to
  call void @fill_elements(ptr %execution, ptr %first, ptr %reference, i64 %count)
  ret void
}}

{signature(RuntimeFunction.TABLE_INIT, "execution record segment to from count")} {{
  {field("elements", "%record", layout.TABLE_RECORD_ELEMENTS, "ptr")}
  {field("length", "%record", layout.TABLE_RECORD_LENGTH)}
  {field("references", "%segment", layout.SEGMENT_POINTER, "ptr")}
  {field("available", "%segment", layout.SEGMENT_LENGTH)}
  {_outside("to.bad", "%to", "%count", "%length")}
  {_outside("from.bad", "%from", "%count", "%available")}
  %bad = or i1 %to.bad, %from.bad
  br i1 %bad, label %trap, label %go
trap:
  call void @leave(i32 {_TABLE_TRAP})
  unreachable
go:
  %target = getelementptr ptr, ptr %elements, i64 %to
  %source = getelementptr ptr, ptr %references, i64 %from
  %size = shl i64 %count, 3
  call void @move_bytes(ptr %execution, ptr %target, ptr %source, i64 %size)
  ret void
}}
"""
