"""Machine code for leaving a guest: the trap exit, and the handler of SIGSEGV and SIGBUS.

Both record why and where in the thread's record and jump back to the innermost entry into guest code. The handler
may do so only while the thread runs guest code (the record's entry is not null: host calls clear it), so that no
Python frame is ever jumped over; every other fault goes to the handler that was there before.

Which that is, is said where the kernel enters: `fault_entry_text` makes one such place for each time that the handler
is installed. So a handler that came later, and hands what it does not know to ours, reaches the one that was there
before it, and the two do not hand a fault to each other for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from farcall.engine.abi import layout
from farcall.engine.abi.traps import EXIT_TERMINATED, TrapKind
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import AddressSpace

ENTRY_OUTER = 0
"""In an entry, which lies on the native stack: pointer to the entry around it."""
ENTRY_FRAME = 8
"""The frame pointer of the function that made the entry: backtraces end there."""
ENTRY_CONTEXT = 16
"""The vmctx that the guest was entered with."""
ENTRY_HANDLERS = 24
"""The innermost handler of exceptions in the guest, or null."""
ENTRY_JUMP_BUFFER = 32
ENTRY_SIZE = 32 + 512
"""The C libraries' jump buffers take 200 bytes on x86-64 and up to 312 on AArch64."""

GUARD_EXTENT = 1 << 16
"""How much of a thread's stack is made its guard: a leaf function's frame cannot reach over it."""

_LOWEST_PAGE = 4096
"""Faults below are null references: `call_indirect` reads a function record without asking whether it is null."""


@dataclass(frozen=True, slots=True)
class _MachineContext:
    """Offsets in the `ucontext_t` that a signal handler is given."""

    program_counter: int
    frame_pointer: int
    stack_pointer: int


_MACHINE_CONTEXTS = {
    # gregs[REG_RIP, REG_RBP, REG_RSP] in a uc_mcontext at 40
    "x86_64": _MachineContext(40 + 16 * 8, 40 + 10 * 8, 40 + 15 * 8),
    # pc, regs[29], sp in a uc_mcontext at 176, behind its fault_address
    "aarch64": _MachineContext(184 + 32 * 8, 184 + 29 * 8, 184 + 31 * 8),
}

_SIGINFO_CODE = 8
_SIGINFO_ADDRESS = 16

_SIGINFO_PASSES = 120
"""In the unused rest of a `siginfo_t`, that is zero when a signal comes: how often the fault was handed on."""
_MOST_PASSES = 64
"""A fault that was handed on so often goes round in a circle of handlers: nobody takes it."""

PREVIOUS_HANDLER_WORDS = 2
"""Words about the handler of before: its address, and whether it takes three arguments."""


def address(value: int) -> str:
    """An absolute address as an operand of LLVM IR."""
    return f"inttoptr (i64 {value} to ptr)"


def fault_entry_text(take_fault: int, previous: int) -> str:
    """LLVM IR of `on_fault`, which is installed as a signal's handler.

    Parameters:
        take_fault: address of the function of that name.
        previous: address of the words about the signal's handler of before.
    """
    return f"""
define void @on_fault(i32 %signal, ptr %information, ptr %context) #0 {{
  call void {address(take_fault)}(i32 %signal, ptr %information, ptr %context, ptr {address(previous)})
  ret void
}}
"""


def traps_text(architecture: str, key: int, space: AddressSpace) -> str:
    """LLVM IR of `leave` and `take_fault`.

    Parameters:
        key: of the thread-specific data that holds the thread's record.
        space: the reservations whose faults are traps.
    """
    machine = _MACHINE_CONTEXTS[architecture]
    get_record = address(c_library.address_of("pthread_getspecific"))
    jump = address(c_library.address_of("_longjmp"))
    set_default = address(c_library.address_of("signal"))
    send = address(c_library.address_of("raise"))
    memories, contexts = space.memories, space.contexts
    return f"""
; Record the return addresses of the frames from %first on, up to the entry's, after the %known that are there.
define internal void @record_frames(ptr %record, ptr %entry, i64 %first, i64 %lowest, i64 %known) #0 {{
start:
  %end.at = getelementptr i8, ptr %entry, i64 {ENTRY_FRAME}
  %end = load i64, ptr %end.at
  %frames = getelementptr i8, ptr %record, i64 {layout.THREAD_FRAMES}
  br label %head
head:
  %frame = phi i64 [ %first, %start ], [ %next, %body ]
  %above = phi i64 [ %lowest, %start ], [ %frame, %body ]
  %count = phi i64 [ %known, %start ], [ %more, %body ]
  %higher = icmp uge i64 %frame, %above
  %inside = icmp ult i64 %frame, %end
  %room = icmp ult i64 %count, {layout.THREAD_FRAME_CAPACITY}
  %valid = and i1 %higher, %inside
  %go = and i1 %valid, %room
  br i1 %go, label %body, label %done
body:
  %frame.pointer = inttoptr i64 %frame to ptr
  %return.at = getelementptr i8, ptr %frame.pointer, i64 8
  %return = load i64, ptr %return.at
  %slot = getelementptr i64, ptr %frames, i64 %count
  store i64 %return, ptr %slot
  %more = add i64 %count, 1
  %next = load i64, ptr %frame.pointer
  br label %head
done:
  %count.at = getelementptr i8, ptr %record, i64 {layout.THREAD_FRAME_COUNT}
  store i64 %count, ptr %count.at
  ret void
}}

; Leave the guest that the thread runs, for the reason %code.
define void @leave(i32 %code) #0 {{
  %record = call ptr {get_record}(i32 {key})
  %entry = load ptr, ptr %record
  %code.at = getelementptr i8, ptr %record, i64 {layout.THREAD_EXIT_CODE}
  %wide = zext i32 %code to i64
  store i64 %wide, ptr %code.at
  %own = call ptr @llvm.frameaddress.p0(i32 0)
  %first = ptrtoint ptr %own to i64
  call void @record_frames(ptr %record, ptr %entry, i64 %first, i64 %first, i64 0)
  %buffer = getelementptr i8, ptr %entry, i64 {ENTRY_JUMP_BUFFER}
  call void {jump}(ptr %buffer, i32 1) noreturn
  unreachable
}}

define void @take_fault(i32 %signal, ptr %information, ptr %context, ptr %previous) #0 {{
  %record = call ptr {get_record}(i32 {key})
  %known = icmp ne ptr %record, null
  br i1 %known, label %has.record, label %foreign
has.record:
  %entry = load ptr, ptr %record
  %guest = icmp ne ptr %entry, null
  br i1 %guest, label %in.guest, label %foreign
in.guest:
  %cause.at = getelementptr i8, ptr %information, i64 {_SIGINFO_CODE}
  %cause = load i32, ptr %cause.at
  %by.fault = icmp sgt i32 %cause, 0
  br i1 %by.fault, label %classify, label %foreign
classify:
  %address.at = getelementptr i8, ptr %information, i64 {_SIGINFO_ADDRESS}
  %address = load i64, ptr %address.at
  %low.at = getelementptr i8, ptr %record, i64 {layout.THREAD_STACK_LOW}
  %low = load i64, ptr %low.at
  %high.at = getelementptr i8, ptr %record, i64 {layout.THREAD_STACK_HIGH}
  %high = load i64, ptr %high.at
  %memory.low = icmp uge i64 %address, {memories.base}
  %memory.high = icmp ult i64 %address, {memories.end}
  %memory = and i1 %memory.low, %memory.high
  %poll.low = icmp uge i64 %address, {contexts.base}
  %poll.high = icmp ult i64 %address, {contexts.end}
  %poll = and i1 %poll.low, %poll.high
  %stack.low = icmp uge i64 %address, %low
  %stack.high = icmp ult i64 %address, %high
  %stack = and i1 %stack.low, %stack.high
  %null = icmp ult i64 %address, {_LOWEST_PAGE}
  %code.null = select i1 %null, i64 {TrapKind.UNINITIALIZED_ELEMENT.value}, i64 0
  %code.stack = select i1 %stack, i64 {TrapKind.CALL_STACK_EXHAUSTED.value}, i64 %code.null
  %code.poll = select i1 %poll, i64 {EXIT_TERMINATED}, i64 %code.stack
  %code = select i1 %memory, i64 {TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS.value}, i64 %code.poll
  %ours = icmp ne i64 %code, 0
  br i1 %ours, label %trap, label %foreign
trap:
  %code.at = getelementptr i8, ptr %record, i64 {layout.THREAD_EXIT_CODE}
  store i64 %code, ptr %code.at
  %fault.at = getelementptr i8, ptr %record, i64 {layout.THREAD_FAULT_ADDRESS}
  store i64 %address, ptr %fault.at
  %counter.at = getelementptr i8, ptr %context, i64 {machine.program_counter}
  %counter = load i64, ptr %counter.at
  ; Return addresses point behind their calls, and readers step back by one: so does this one.
  %behind = add i64 %counter, 1
  %frames = getelementptr i8, ptr %record, i64 {layout.THREAD_FRAMES}
  store i64 %behind, ptr %frames
  %frame.at = getelementptr i8, ptr %context, i64 {machine.frame_pointer}
  %frame = load i64, ptr %frame.at
  %stack.at = getelementptr i8, ptr %context, i64 {machine.stack_pointer}
  %stack.pointer = load i64, ptr %stack.at
  call void @record_frames(ptr %record, ptr %entry, i64 %frame, i64 %stack.pointer, i64 1)
  %buffer = getelementptr i8, ptr %entry, i64 {ENTRY_JUMP_BUFFER}
  call void {jump}(ptr %buffer, i32 1) noreturn
  unreachable
foreign:
  %handler = load i64, ptr %previous
  %kind.at = getelementptr i64, ptr %previous, i64 1
  %kind = load i64, ptr %kind.at
  %custom = icmp ugt i64 %handler, 1
  %passes.at = getelementptr i8, ptr %information, i64 {_SIGINFO_PASSES}
  %passes = load i64, ptr %passes.at
  %more.passes = add i64 %passes, 1
  store i64 %more.passes, ptr %passes.at
  %few = icmp ult i64 %passes, {_MOST_PASSES}
  %pass = and i1 %custom, %few
  br i1 %pass, label %chain, label %default
chain:
  %callee = inttoptr i64 %handler to ptr
  %three = icmp ne i64 %kind, 0
  br i1 %three, label %chain.three, label %chain.one
chain.three:
  call void %callee(i32 %signal, ptr %information, ptr %context)
  ret void
chain.one:
  call void %callee(i32 %signal)
  ret void
default:
  ; Nobody takes it. With the default action back in place, the faulting instruction ends the process; a signal that
  ; somebody sent has no such instruction, and is sent again, unless it was to be ignored.
  %sent.code.at = getelementptr i8, ptr %information, i64 {_SIGINFO_CODE}
  %sent.code = load i32, ptr %sent.code.at
  %sent = icmp sle i32 %sent.code, 0
  %ignored = icmp eq i64 %handler, 1
  %nothing = and i1 %sent, %ignored
  br i1 %nothing, label %done, label %reset
reset:
  %old = call ptr {set_default}(i32 %signal, ptr null)
  br i1 %sent, label %again, label %done
again:
  %raised = call i32 {send}(i32 %signal)
  br label %done
done:
  ret void
}}
"""
