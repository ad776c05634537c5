"""What a thread needs before it can run guests: a record, an alternate signal stack, a guarded native stack."""

from __future__ import annotations

import os
import threading

from farcall.engine.abi import layout
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.traps import GUARD_EXTENT, address

_SIGNAL_STACK_SIZE = 64 * 1024
_BLOCK_SIZE = _SIGNAL_STACK_SIZE + c_library.round_to_pages(layout.THREAD_RECORD_SIZE)
_BELOW = 256 * 1024
"""Where the main thread's stack stops growing is known only roughly; nothing else lies near it."""
_LARGEST_STACK = 64 << 20
"""A main thread without a limit gets a guard of its own this far down."""
_SMALLEST_GUARDED_STACK = 1 << 20
_HOST_STACK_RESERVE = 256 * 1024
"""Bytes of native stack that must be left for a host function, or the call traps; of a small stack, half of it."""


def thread_end_text() -> str:
    """LLVM IR of `thread_end`, which gives a thread's block back when it ends."""
    alternate = address(c_library.address_of("sigaltstack"))
    unmap = address(c_library.address_of("munmap"))
    disable = 2  # SS_DISABLE
    return f"""
define void @thread_end(ptr %record) #0 {{
  %stack = alloca {{ ptr, i32, i64 }}, align 8
  store {{ ptr, i32, i64 }} {{ ptr null, i32 {disable}, i64 0 }}, ptr %stack
  %disabled = call i32 {alternate}(ptr %stack, ptr null)
  %block = getelementptr i8, ptr %record, i64 -{_SIGNAL_STACK_SIZE}
  %unmapped = call i32 {unmap}(ptr %block, i64 {_BLOCK_SIZE})
  ret void
}}
"""


def prepare_thread(key: int) -> None:
    """Make the calling thread able to run guests.

    Raises:
        OSError: the system refuses memory.
    """
    low, size = c_library.thread_stack()
    guard_low, guard_high = _guard_stack(low, size)
    block = c_library.map_memory(_BLOCK_SIZE, c_library.PROT_READ | c_library.PROT_WRITE)
    record = block + _SIGNAL_STACK_SIZE
    write_words(record + layout.THREAD_STACK_LOW, [guard_low, guard_high, low + size])
    reserve = min(_HOST_STACK_RESERVE, size // 2)
    write_words(record + layout.THREAD_HOST_LIMIT, [guard_high + reserve])
    c_library.use_alternate_stack(block, _SIGNAL_STACK_SIZE)
    c_library.set_thread_specific(key, record)


def _guard_stack(low: int, size: int) -> tuple[int, int]:
    """Make the lowest part of the stack inaccessible; the range in which faults are the stack's end.

    What lies above the range can be used, all of it.
    """
    if threading.get_native_id() != os.getpid():
        # All of a thread's stack is mapped, and an inaccessible page lies below it. A wider guard is safer.
        if size < _SMALLEST_GUARDED_STACK:
            return low - _BELOW, low
        c_library.protect_memory(low, GUARD_EXTENT, c_library.PROT_NONE)
        return low - _BELOW, low + GUARD_EXTENT
    # The main thread's stack grows as it is used, up to the system's limit. Without one, ours is nearer.
    guard = (low + size - _LARGEST_STACK) // c_library.PAGE_SIZE * c_library.PAGE_SIZE
    if size > _LARGEST_STACK and _map_guard(guard):
        return guard, guard + GUARD_EXTENT
    return low - _BELOW, low + GUARD_EXTENT


def _map_guard(guard: int) -> bool:
    """Map the main thread's guard where its stack has not come to yet; whether that is done."""
    try:
        c_library.map_memory(GUARD_EXTENT, c_library.PROT_NONE, guard, replace=False)
    except FileExistsError:
        return False
    return True
