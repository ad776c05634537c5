"""Machine code of wait and notify (threads proposal): who waits is in lists, by host address.

A shared memory lies at one address for all instances that have it, so the address says who waits for whom. It leads to
a bucket: a lock, and the list of those who wait at addresses of the bucket, in the order in which they came. The value
is compared under the lock, and notify looks under the lock: whoever changes the value and then notifies finds a waiter
in the list, or the waiter finds the new value. Each waiter sleeps on a word of its own, by the futex system call,
so that exactly those wake that notify chose, whatever the width of the value that they compared.

To stop a guest that waits, the word of its execution context in the stop words says so, and `wake_stopped` wakes
those who wait in it; each looks at the word under its bucket's lock, before it sleeps and after. (The page of the
execution context itself cannot be read with the lock held: that faults, and leaves with the lock held.)
"""

from __future__ import annotations

import ctypes
from typing import Any

from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.abi.traps import EXIT_TERMINATED
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import AddressSpace
from farcall.engine.runtime.native.bulk import field, signature
from farcall.engine.runtime.native.traps import address

_FUTEX_NUMBERS = {"x86_64": 202, "aarch64": 98}
"""The system call's number."""
_FUTEX_WAKE = 1 | 128
_FUTEX_WAIT_BITSET = 9 | 128
"""Its operations, of one process. This one takes the time at which to wake, on the monotonic clock."""
_ANY_BIT = 0xFFFFFFFF
_CLOCK_MONOTONIC = 1
_SECOND = 1_000_000_000

_BUCKET_BITS = 8
_BUCKET_COUNT = 1 << _BUCKET_BITS
_BUCKET_SIZE = 128
# In a bucket: its lock (a `pthread_mutex_t`, at most 48 bytes; zeros are an open one), first and last waiter.
_BUCKET_FIRST, _BUCKET_LAST = 64, 72
_SPREAD = 0x9E3779B97F4A7C15 - (1 << 64)

# A waiter lies on the native stack of its thread.
_WAITER_SIZE = 40
_WAITER_NEXT, _WAITER_PREVIOUS, _WAITER_ADDRESS, _WAITER_EXECUTION, _WAITER_STATE = 0, 8, 16, 24, 32
_WAITING, _NOTIFIED, _ASKED_TO_LOOK = 0, 1, 2
"""States of a waiter. The futex sleeps only in the first, so that nothing is missed on the way to sleep."""

_WOKEN, _NOT_EQUAL, _TIMED_OUT = 0, 1, 2
"""Results of a wait."""


def new_buckets() -> ctypes.Array[Any]:
    """Memory for all buckets."""
    return ctypes.create_string_buffer(_BUCKET_COUNT * _BUCKET_SIZE + 64)


def waiting_text(architecture: str, space: AddressSpace, buckets: ctypes.Array[Any]) -> str:
    """LLVM IR of `memory_wait`, `memory_notify` and `wake_stopped`.

    Parameters:
        space: where execution contexts and their stop words are.
        buckets: from `new_buckets`; it must live as long as the code.
    """
    first_bucket = -(-ctypes.addressof(buckets) // 64) * 64
    parts = (_lists(first_bucket), _wait(architecture, space), _notify(architecture), _wake(architecture))
    return "\n".join(parts)


def _lock(name: str) -> str:
    return f"%{name} = call i32 {address(c_library.address_of('pthread_mutex_lock'))}(ptr %bucket)"


def _unlock(name: str) -> str:
    return f"%{name} = call i32 {address(c_library.address_of('pthread_mutex_unlock'))}(ptr %bucket)"


def _futex(architecture: str, name: str, word: str, operation: int, value: int, until: str) -> str:
    call = address(c_library.address_of("syscall"))
    number = _FUTEX_NUMBERS[architecture]
    return (
        f"%{name} = call i64 (i64, ...) {call}(i64 {number}, ptr {word}, i64 {operation}, i64 {value},"
        f" ptr {until}, ptr null, i64 {_ANY_BIT})"
    )


def _lists(first_bucket: int) -> str:
    return f"""
define internal ptr @bucket_of(ptr %address) #0 {{
  %place = ptrtoint ptr %address to i64
  %spread = mul i64 %place, {_SPREAD}
  %number = lshr i64 %spread, {64 - _BUCKET_BITS}
  %bucket = call ptr @bucket_at(i64 %number)
  ret ptr %bucket
}}

define internal ptr @bucket_at(i64 %number) #0 {{
  %offset = mul i64 %number, {_BUCKET_SIZE}
  %bucket = getelementptr i8, ptr {address(first_bucket)}, i64 %offset
  ret ptr %bucket
}}

; Append a waiter; the bucket's lock is held.
define internal void @append_waiter(ptr %bucket, ptr %waiter) #0 {{
  {field("last", "%bucket", _BUCKET_LAST, "ptr")}
  %first.at = getelementptr i8, ptr %bucket, i64 {_BUCKET_FIRST}
  %next.at = getelementptr i8, ptr %waiter, i64 {_WAITER_NEXT}
  %previous.at = getelementptr i8, ptr %waiter, i64 {_WAITER_PREVIOUS}
  store ptr null, ptr %next.at
  store ptr %last, ptr %previous.at
  store ptr %waiter, ptr %last.at
  %alone = icmp eq ptr %last, null
  %last.next.at = getelementptr i8, ptr %last, i64 {_WAITER_NEXT}
  %before = select i1 %alone, ptr %first.at, ptr %last.next.at
  store ptr %waiter, ptr %before
  ret void
}}

; Take a waiter out; the bucket's lock is held.
define internal void @remove_waiter(ptr %bucket, ptr %waiter) #0 {{
  {field("next", "%waiter", _WAITER_NEXT, "ptr")}
  {field("previous", "%waiter", _WAITER_PREVIOUS, "ptr")}
  %first.at = getelementptr i8, ptr %bucket, i64 {_BUCKET_FIRST}
  %last.at = getelementptr i8, ptr %bucket, i64 {_BUCKET_LAST}
  %is.first = icmp eq ptr %previous, null
  %previous.next.at = getelementptr i8, ptr %previous, i64 {_WAITER_NEXT}
  %before = select i1 %is.first, ptr %first.at, ptr %previous.next.at
  store ptr %next, ptr %before
  %is.last = icmp eq ptr %next, null
  %next.previous.at = getelementptr i8, ptr %next, i64 {_WAITER_PREVIOUS}
  %behind = select i1 %is.last, ptr %last.at, ptr %next.previous.at
  store ptr %previous, ptr %behind
  ret void
}}

; Nanoseconds of the monotonic clock.
define internal i64 @monotonic() #0 {{
  %time = alloca {{ i64, i64 }}, align 8
  %failed = call i32 {address(c_library.address_of("clock_gettime"))}(i32 {_CLOCK_MONOTONIC}, ptr %time)
  %seconds = load i64, ptr %time
  {field("rest", "%time", 8)}
  %whole = mul i64 %seconds, {_SECOND}
  %now = add i64 %whole, %rest
  ret i64 %now
}}
"""


def _wait(architecture: str, space: AddressSpace) -> str:
    futex = _futex(architecture, "slept", "%state.at", _FUTEX_WAIT_BITSET, _WAITING, "%until")
    return f"""
{signature(RuntimeFunction.MEMORY_WAIT, "execution address expected width timeout")} {{
start:
  %waiter = alloca [{_WAITER_SIZE} x i8], align 8
  %wake.time = alloca {{ i64, i64 }}, align 8
  call void @need_stack()
  %context = ptrtoint ptr %execution to i64
  %context.offset = sub i64 %context, {space.contexts.base}
  %context.number = udiv i64 %context.offset, {space.contexts.slot_size}
  %stop.at = getelementptr i32, ptr {address(space.stop_words)}, i64 %context.number
  ; A time that the clock never comes to is none.
  %now = call i64 @monotonic()
  %sum = call {{ i64, i1 }} @llvm.sadd.with.overflow.i64(i64 %now, i64 %timeout)
  %end = extractvalue {{ i64, i1 }} %sum, 0
  %never = extractvalue {{ i64, i1 }} %sum, 1
  %negative = icmp slt i64 %timeout, 0
  %endless = or i1 %negative, %never
  %seconds = udiv i64 %end, {_SECOND}
  %rest = urem i64 %end, {_SECOND}
  store i64 %seconds, ptr %wake.time
  %rest.at = getelementptr i8, ptr %wake.time, i64 8
  store i64 %rest, ptr %rest.at
  %until = select i1 %endless, ptr null, ptr %wake.time
  %bucket = call ptr @bucket_of(ptr %address)
  {_lock("locked")}
  %wide = icmp eq i32 %width, 8
  br i1 %wide, label %load.wide, label %load.narrow
load.wide:
  %value.wide = load atomic i64, ptr %address seq_cst, align 8
  br label %compare
load.narrow:
  %value.narrow = load atomic i32, ptr %address seq_cst, align 4
  %widened = zext i32 %value.narrow to i64
  br label %compare
compare:
  %value = phi i64 [ %value.wide, %load.wide ], [ %widened, %load.narrow ]
  %equal = icmp eq i64 %value, %expected
  br i1 %equal, label %append, label %differs
differs:
  {_unlock("unlocked.differs")}
  ret i32 {_NOT_EQUAL}
append:
  %address.at = getelementptr i8, ptr %waiter, i64 {_WAITER_ADDRESS}
  store ptr %address, ptr %address.at
  %execution.at = getelementptr i8, ptr %waiter, i64 {_WAITER_EXECUTION}
  store ptr %execution, ptr %execution.at
  %state.at = getelementptr i8, ptr %waiter, i64 {_WAITER_STATE}
  call void @append_waiter(ptr %bucket, ptr %waiter)
  br label %look
look:
  ; The lock is held. A waiter that was notified is in no list any more.
  %expired = phi i1 [ false, %append ], [ %late, %awake ]
  store atomic i32 {_WAITING}, ptr %state.at seq_cst, align 4
  %stop = load atomic i32, ptr %stop.at seq_cst, align 4
  %stopped = icmp ne i32 %stop, 0
  br i1 %stopped, label %leave, label %stay
leave:
  call void @remove_waiter(ptr %bucket, ptr %waiter)
  {_unlock("unlocked.leave")}
  call void @leave(i32 {EXIT_TERMINATED})
  unreachable
stay:
  br i1 %expired, label %give.up, label %sleep
give.up:
  call void @remove_waiter(ptr %bucket, ptr %waiter)
  {_unlock("unlocked.late")}
  ret i32 {_TIMED_OUT}
sleep:
  {_unlock("unlocked.sleep")}
  {futex}
  {_lock("locked.again")}
  %state = load atomic i32, ptr %state.at seq_cst, align 4
  %notified = icmp eq i32 %state, {_NOTIFIED}
  br i1 %notified, label %woken, label %awake
woken:
  {_unlock("unlocked.woken")}
  ret i32 {_WOKEN}
awake:
  %then = call i64 @monotonic()
  %over = icmp sge i64 %then, %end
  %endless.not = xor i1 %endless, true
  %late = and i1 %over, %endless.not
  br label %look
}}
"""


def _notify(architecture: str) -> str:
    return f"""
{signature(RuntimeFunction.MEMORY_NOTIFY, "address most")} {{
start:
  call void @need_stack()
  %bucket = call ptr @bucket_of(ptr %address)
  {_lock("locked")}
  {field("first", "%bucket", _BUCKET_FIRST, "ptr")}
  br label %head
head:
  %waiter = phi ptr [ %first, %start ], [ %next, %other ], [ %next, %wake ]
  %count = phi i32 [ 0, %start ], [ %count, %other ], [ %more, %wake ]
  %none = icmp eq ptr %waiter, null
  %enough = icmp eq i32 %count, %most
  %over = or i1 %none, %enough
  br i1 %over, label %done, label %body
body:
  {field("next", "%waiter", _WAITER_NEXT, "ptr")}
  {field("place", "%waiter", _WAITER_ADDRESS, "ptr")}
  %here = icmp eq ptr %place, %address
  br i1 %here, label %wake, label %other
other:
  br label %head
wake:
  ; The waiter's stack is there until the lock is free: it takes the lock before it goes on.
  call void @remove_waiter(ptr %bucket, ptr %waiter)
  %state.at = getelementptr i8, ptr %waiter, i64 {_WAITER_STATE}
  store atomic i32 {_NOTIFIED}, ptr %state.at seq_cst, align 4
  {_futex(architecture, "woke", "%state.at", _FUTEX_WAKE, 1, "null")}
  %more = add i32 %count, 1
  br label %head
done:
  {_unlock("unlocked")}
  ret i32 %count
}}
"""


def _wake(architecture: str) -> str:
    return f"""
; Let those who wait in an execution context look at its stop word.
define void @wake_stopped(ptr %execution) #0 {{
start:
  br label %next.bucket
next.bucket:
  %number = phi i64 [ 0, %start ], [ %number.next, %end.bucket ]
  %bucket = call ptr @bucket_at(i64 %number)
  {_lock("locked")}
  {field("first", "%bucket", _BUCKET_FIRST, "ptr")}
  br label %head
head:
  %waiter = phi ptr [ %first, %next.bucket ], [ %next, %other ], [ %next, %wake ]
  %none = icmp eq ptr %waiter, null
  br i1 %none, label %end.bucket, label %body
body:
  {field("next", "%waiter", _WAITER_NEXT, "ptr")}
  {field("context", "%waiter", _WAITER_EXECUTION, "ptr")}
  %here = icmp eq ptr %context, %execution
  br i1 %here, label %wake, label %other
other:
  br label %head
wake:
  %state.at = getelementptr i8, ptr %waiter, i64 {_WAITER_STATE}
  store atomic i32 {_ASKED_TO_LOOK}, ptr %state.at seq_cst, align 4
  {_futex(architecture, "woke", "%state.at", _FUTEX_WAKE, 1, "null")}
  br label %head
end.bucket:
  {_unlock("unlocked")}
  %number.next = add i64 %number, 1
  %all = icmp eq i64 %number.next, {_BUCKET_COUNT}
  br i1 %all, label %done, label %next.bucket
done:
  ret void
}}
"""
