"""Where a guest may touch memory.

WARNING: this file is what keeps a guest inside of its own memory. A mistake here lets it read and write the
server's. All bounds and alignment decisions for guest memory are made here and nowhere else; no rule computes
an address in a guest's memory by other means.

What protects a memory with i32 indices and pages of 64 KiB: its slot is a reservation of 4 GiB, which is all that
an i32 index reaches, and `MEMORY_GUARD_SIZE` bytes behind it, for the constant offset and the width of the access.
Whatever of it is not (yet) the guest's is inaccessible, and touching it is the trap. So an access needs no check as
long as the index is widened *without sign* to 64 bits before anything is added to it, and as long as
offset + width fits the guard. An offset that does not is checked against the memory's size.

All other memories are not protected by anything but a check before every access: an i64 index reaches everything, and
where pages are smaller than the machine's, a memory ends in the middle of one. An i64 index and the offset can have
a sum beyond 64 bits: the carry is a trap, before the sum is compared with the memory's size.

Accesses are volatile: LLVM then neither drops one that may trap, nor moves it over another side effect, nor
invents one. They claim no alignment (`align 1`): a guest's alignment is a hint that may be wrong.

Atomic accesses are checked for their alignment first, and then are where plain ones would be. What the runtime
touches for the guest while it holds a lock (wait and notify) is checked against the memory's size beforehand: a fault
would leave with the lock held. A memory never shrinks while a guest has it, so no check becomes stale.
"""

from __future__ import annotations

from farcall.engine.abi.layout import MEMORY_GUARD_SIZE, MEMORY_RECORD_BYTES
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.metadata import CONTEXT, GUEST
from farcall.engine.structure.types import I32, I64, USUAL_PAGE_SIZE, MemoryType

_LARGEST_32 = (1 << 32) - 1
_LARGEST_64 = (1 << 64) - 1


def _address(function: FunctionLowering, memory: int, index: str, offset: int, size: int) -> str:
    """A pointer to `size` bytes at `index` + `offset` that are the guest's, or else inaccessible.

    The index is an operand of the memory's index type.
    """
    memory_type = function.context.module.memories[memory]
    if memory_type.index_type is I64:
        _check_wide(function, memory, index, offset + size)
    elif not is_guarded(memory_type) or offset + size > MEMORY_GUARD_SIZE:
        _check(function, memory, index, offset + size)
    elif (
        function.is_fast and index[0] != "%"
    ):  # a constant: LLVM would find that out for itself when it optimises
        return function.address(function.memory_base(memory), (int(index) & _LARGEST_32) + offset)
    indexed = function.indexed.get((memory, index))
    if indexed is None:
        wide = index if memory_type.index_type is I64 else function.widen(index)
        indexed = function.define(f"getelementptr i8, ptr {function.memory_base(memory)}, i64 {wide}")
        function.indexed[memory, index] = indexed
    return function.address(indexed, _signed(offset))


def is_guarded(memory_type: MemoryType) -> bool:
    """Whether what lies behind the memory's last byte, as far as its index type reaches, is inaccessible."""
    return memory_type.index_type is I32 and memory_type.page_size == USUAL_PAGE_SIZE


def _check_wide(function: FunctionLowering, memory: int, index: str, distance: int) -> None:
    """Trap unless the memory has `distance` bytes from `index` (an i64) on.

    The distance can be beyond 64 bits, and then fits no memory: nor does the largest number of 64 bits.
    """
    length = memory_length(function, memory)
    most = _signed(min(distance, _LARGEST_64))
    sum_and_carry = function.define(f"call {{i64, i1}} @llvm.uadd.with.overflow.i64(i64 {index}, i64 {most})")
    carry = function.define(f"extractvalue {{i64, i1}} {sum_and_carry}, 1")
    function.trap_if(carry, "out_of_bounds_memory_access")
    end = function.define(f"extractvalue {{i64, i1}} {sum_and_carry}, 0")
    outside = function.define(f"icmp ugt i64 {end}, {length}")
    function.trap_if(outside, "out_of_bounds_memory_access")


def _signed(value: int) -> int:
    """A 64-bit pattern as LLVM's text has it."""
    return value - (1 << 64) if value >> 63 else value


def _check(function: FunctionLowering, memory: int, index: str, distance: int) -> None:
    """Trap unless the memory has `distance` bytes from `index` (an i32) on."""
    # Both terms are below 2**33: the sum cannot wrap around.
    end = function.define(f"add i64 {function.widen(index)}, {distance}")
    length = memory_length(function, memory)
    outside = function.define(f"icmp ugt i64 {end}, {length}")
    function.trap_if(outside, "out_of_bounds_memory_access")


def memory_length(function: FunctionLowering, memory: int) -> str:
    """The size of a memory in bytes (an i64); of a shared one as it is now, whoever made it grow."""
    record = function.memory_record(memory)
    if not function.context.module.memories[memory].shared:
        return function.load("i64", record, MEMORY_RECORD_BYTES, CONTEXT)
    address = function.address(record, MEMORY_RECORD_BYTES)
    return function.define(f"load atomic i64, ptr {address} seq_cst, align 8{CONTEXT}")


def _check_alignment(function: FunctionLowering, memory: int, index: str, offset: int, size: int) -> None:
    """Trap unless `index` + `offset` is a multiple of `size`, a power of two."""
    if size == 1:
        return
    llvm = function.context.module.memories[memory].index_type.llvm
    low = offset % size
    place = function.define(f"add {llvm} {index}, {low}") if low else index
    rest = function.define(f"and {llvm} {place}, {size - 1}")
    function.trap_if(function.define(f"icmp ne {llvm} {rest}, 0"), "unaligned_atomic")


def _atomic_address(function: FunctionLowering, memory: int, index: str, offset: int, size: int) -> str:
    """As `_address`, of bytes whose address is a multiple of their number."""
    _check_alignment(function, memory, index, offset, size)
    return _address(function, memory, index, offset, size)


def present_address(function: FunctionLowering, memory: int, index: str, offset: int, size: int) -> str:
    """A pointer to `size` bytes that are the guest's for certain, or the trap; aligned as atomic accesses are."""
    _check_alignment(function, memory, index, offset, size)
    if is_guarded(function.context.module.memories[memory]) and offset + size <= MEMORY_GUARD_SIZE:
        _check(function, memory, index, offset + size)  # otherwise what follows does it
    return _address(function, memory, index, offset, size)


def load_guest(function: FunctionLowering, memory: int, index: str, offset: int, llvm: str, size: int) -> str:
    """Load `size` bytes as LLVM type `llvm` from a guest's memory, or trap; the value's text."""
    address = _address(function, memory, index, offset, size)
    return function.define(f"load volatile {llvm}, ptr {address}, align 1{GUEST}")


def store_guest(
    function: FunctionLowering, memory: int, index: str, offset: int, llvm: str, size: int, value: str
) -> None:
    """Store `size` bytes of LLVM type `llvm` to a guest's memory, or trap."""
    address = _address(function, memory, index, offset, size)
    function.lines.append(f"store volatile {llvm} {value}, ptr {address}, align 1{GUEST}")


def load_guest_atomic(
    function: FunctionLowering, memory: int, index: str, offset: int, llvm: str, size: int
) -> str:
    """Load as `load_guest` does, atomically and in the one order of all atomic accesses."""
    address = _atomic_address(function, memory, index, offset, size)
    return function.define(f"load atomic volatile {llvm}, ptr {address} seq_cst, align {size}{GUEST}")


def store_guest_atomic(
    function: FunctionLowering, memory: int, index: str, offset: int, llvm: str, size: int, value: str
) -> None:
    """Store as `store_guest` does, atomically and in the one order of all atomic accesses."""
    address = _atomic_address(function, memory, index, offset, size)
    function.lines.append(f"store atomic volatile {llvm} {value}, ptr {address} seq_cst, align {size}{GUEST}")


def modify_guest(
    function: FunctionLowering,
    memory: int,
    index: str,
    offset: int,
    llvm: str,
    size: int,
    operation: str,
    value: str,
) -> str:
    """Replace `size` bytes by what LLVM's `atomicrmw` makes of them and `value`; what was there before."""
    address = _atomic_address(function, memory, index, offset, size)
    return function.define(
        f"atomicrmw volatile {operation} ptr {address}, {llvm} {value} seq_cst, align {size}{GUEST}"
    )


def exchange_guest(
    function: FunctionLowering,
    memory: int,
    index: str,
    offset: int,
    llvm: str,
    size: int,
    expected: str,
    replacement: str,
) -> str:
    """Replace `size` bytes if they are as expected; what was there before."""
    address = _atomic_address(function, memory, index, offset, size)
    pair = function.define(
        f"cmpxchg volatile ptr {address}, {llvm} {expected}, {llvm} {replacement} seq_cst seq_cst,"
        f" align {size}{GUEST}"
    )
    return function.define(f"extractvalue {{ {llvm}, i1 }} {pair}, 0")
