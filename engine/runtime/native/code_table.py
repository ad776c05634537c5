"""Code tables in memory (`abi.code_table`): stubs, which are machine code, and their cells; and the way to the runtime.

Stubs are the same in every chunk of every table.
"""

from __future__ import annotations

import array
import ctypes
import struct
import weakref
from collections.abc import Sequence
from typing import Protocol

from farcall.engine.abi.code_table import (
    CELL_CODE,
    CELL_COUNT,
    CELL_SIZE,
    CELL_TAIL,
    CELLS,
    CHUNK_FUNCTIONS,
    CHUNK_SIZE,
    HALF,
    HEADER_TARGET,
    STUB_SIZE,
    place,
    stub_offset,
)
from farcall.engine.codegen.target import host_target
from farcall.engine.errors import EngineBug
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import address

_WORDS = CELL_SIZE // 8


def _halves_x86_64(numbers: range) -> bytes:
    """Halves of stubs; of position n, the first is number 2n, which says to the runtime which function is wanted."""
    # jmp *CELLS(%rip), counted from its end; mov $which, %eax; jmp to the chunk's begin
    half = struct.pack("<2siBIBi", b"\xff\x25", CELLS - 6, 0xB8, 0, 0xE9, 0)
    halves = bytearray(half * len(numbers))
    which = array.array("I", numbers).tobytes()
    to_begin = range(-HALF * (numbers.start + 1), -HALF * (numbers.stop + 1), -HALF)
    distance = array.array("i", to_begin).tobytes()
    for byte in range(4):
        halves[7 + byte :: HALF] = which[byte::4]
        halves[12 + byte :: HALF] = distance[byte::4]
    return bytes(halves)


def _header_x86_64(target: int) -> bytes:
    # lea -7(%rip), %r11, which is the chunk's begin; jmp *3(%rip), where the target's address is
    code = b"\x4c\x8d\x1d\xf9\xff\xff\xff" + b"\xff\x25\x03\0\0\0"
    return code.ljust(HEADER_TARGET, b"\0") + struct.pack("<Q", target)


def _halves_aarch64(numbers: range) -> bytes:
    # ldr x16, CELLS from here; br x16; adr x9, two instructions back; b to the chunk's begin
    load = 0x58000000 | CELLS // 4 << 5 | 16
    back = 0x10000009 | (-8 >> 2 & 0x7FFFF) << 5
    halves = array.array("I", [load, 0xD61F0200, back, 0]) * len(numbers)
    halves[3::4] = array.array(
        "I", [0x14000000 | (-(HALF * which + 12) >> 2 & 0x3FFFFFF) for which in numbers]
    )
    return halves.tobytes()


def _header_aarch64(target: int) -> bytes:
    # adr x10, here; ldr x11, 12 further on, where the target's address is; br x11
    code = struct.pack("<III", 0x1000000A, 0x58000000 | 12 // 4 << 5 | 11, 0xD61F0160)
    return code.ljust(HEADER_TARGET, b"\0") + struct.pack("<Q", target)


_LAZY_HALF = {"x86_64": 6, "aarch64": 8}
"""From a stub's begin to what says which function is wanted."""


def _stubs(architecture: str, functions: int) -> bytes:
    """The stubs of a chunk, so many, without its header."""
    make = {"x86_64": _halves_x86_64, "aarch64": _halves_aarch64}[architecture]
    return make(range(2, 2 * (1 + functions)))


def _header(architecture: str, target: int) -> bytes:
    make = {"x86_64": _header_x86_64, "aarch64": _header_aarch64}[architecture]
    return make(target).ljust(STUB_SIZE, b"\0")


def lazy_entry_text(architecture: str, handler: int) -> str:
    """LLVM IR of `lazy_entry`, where a stub leads whose function has no code yet.

    All registers in which arguments may be are kept, with the callee's own to come: what is wanted, and which table's
    chunk it is, stand in registers that no calling convention uses for arguments. It asks `handler` (chunk,
    which: twice the position, and one more for the tail entry), which sets the cell, and goes where that says then.
    """
    return f"""
define ptr @compile_now(ptr %chunk, i64 %which) #0 {{
  %chunk.address = ptrtoint ptr %chunk to i64
  call void @call_host(ptr {address(handler)}, i64 %chunk.address, i64 %which, ptr null)
  %offset = mul i64 %which, {HALF}
  %stub = getelementptr i8, ptr %chunk, i64 %offset
  %cell = getelementptr i8, ptr %stub, i64 {CELLS}
  %code = load volatile ptr, ptr %cell, align 8
  ret ptr %code
}}

module asm "{_LAZY_ENTRIES[architecture]}"
"""


def _assembly(lines: str) -> str:
    return "\\0A".join(line.strip() for line in lines.strip().splitlines())


_LAZY_ENTRIES = {
    "x86_64": _assembly(
        """
        .text
        .globl lazy_entry
        .type lazy_entry,@function
        .p2align 4
        lazy_entry:
        pushq %rbp
        movq %rsp, %rbp
        subq $192, %rsp
        movq %rdi, 128(%rsp)
        movq %rsi, 136(%rsp)
        movq %rdx, 144(%rsp)
        movq %rcx, 152(%rsp)
        movq %r8, 160(%rsp)
        movq %r9, 168(%rsp)
        movups %xmm0, (%rsp)
        movups %xmm1, 16(%rsp)
        movups %xmm2, 32(%rsp)
        movups %xmm3, 48(%rsp)
        movups %xmm4, 64(%rsp)
        movups %xmm5, 80(%rsp)
        movups %xmm6, 96(%rsp)
        movups %xmm7, 112(%rsp)
        movq %r11, %rdi
        movl %eax, %esi
        callq compile_now
        movq %rax, %r11
        movups (%rsp), %xmm0
        movups 16(%rsp), %xmm1
        movups 32(%rsp), %xmm2
        movups 48(%rsp), %xmm3
        movups 64(%rsp), %xmm4
        movups 80(%rsp), %xmm5
        movups 96(%rsp), %xmm6
        movups 112(%rsp), %xmm7
        movq 128(%rsp), %rdi
        movq 136(%rsp), %rsi
        movq 144(%rsp), %rdx
        movq 152(%rsp), %rcx
        movq 160(%rsp), %r8
        movq 168(%rsp), %r9
        movq %rbp, %rsp
        popq %rbp
        jmpq *%r11
        .size lazy_entry, .-lazy_entry
        """
    ),
    "aarch64": _assembly(
        """
        .text
        .globl lazy_entry
        .type lazy_entry,%function
        .p2align 2
        lazy_entry:
        stp x29, x30, [sp, #-16]!
        mov x29, sp
        sub sp, sp, #208
        stp q0, q1, [sp]
        stp q2, q3, [sp, #32]
        stp q4, q5, [sp, #64]
        stp q6, q7, [sp, #96]
        stp x0, x1, [sp, #128]
        stp x2, x3, [sp, #144]
        stp x4, x5, [sp, #160]
        stp x6, x7, [sp, #176]
        str x8, [sp, #192]
        mov x0, x10
        sub x1, x9, x10
        lsr x1, x1, #4
        bl compile_now
        mov x16, x0
        ldp q0, q1, [sp]
        ldp q2, q3, [sp, #32]
        ldp q4, q5, [sp, #64]
        ldp q6, q7, [sp, #96]
        ldp x0, x1, [sp, #128]
        ldp x2, x3, [sp, #144]
        ldp x4, x5, [sp, #160]
        ldp x6, x7, [sp, #176]
        ldr x8, [sp, #192]
        mov sp, x29
        ldp x29, x30, [sp], #16
        br x16
        .size lazy_entry, .-lazy_entry
        """
    ),
}


class CodeOwner(Protocol):
    """Whose functions a code table has."""

    def need(self, position: int) -> None:
        """A guest calls the function at a position, which had no code a moment ago: give it some, or raise."""


_owners: dict[int, tuple[weakref.ref[CodeOwner], int]] = {}
"""By the address of a chunk: whose it is, and which of the table's it is."""


def _forget(chunks: Sequence[int]) -> None:
    for chunk in chunks:
        _owners.pop(chunk, None)


def compile_now(chunk: int, which: int, _slots: int) -> None:
    """A guest calls what has no code: `which` is twice the position in the chunk, and one more for the tail entry."""
    reference, number = _owners[chunk]
    owner = reference()
    if owner is None:
        raise EngineBug("a guest runs code that is gone")
    owner.need(number * CHUNK_FUNCTIONS + which // 2 - 1)


class CodeTable:
    """A code table. It is unmapped when nothing refers to this object any more.

    Attributes:
        base: its address.
        size: bytes of memory that it takes.
        chunks: the addresses of its chunks, by which the runtime is told whose function is wanted.
    """

    def __init__(self, functions: int, lazy_entry: int) -> None:
        """Make the table of so many functions; none has code.

        Parameters:
            lazy_entry: address of the code of that name.

        Raises:
            OSError: the system refuses memory.
        """
        count = -(-functions // CHUNK_FUNCTIONS)
        extent = count * CHUNK_SIZE
        self.functions = functions
        self.base = c_library.map_memory(max(extent, c_library.PAGE_SIZE), c_library.PROT_NONE)
        weakref.finalize(
            self, c_library.unmap_memory, self.base, max(extent, c_library.PAGE_SIZE)
        ).atexit = False
        self.chunks = tuple(self.base + number * CHUNK_SIZE for number in range(count))
        self.size = 0
        self._cells: list[memoryview[int]] = []
        for number, chunk in enumerate(self.chunks):
            self._make_chunk(chunk, min(functions - number * CHUNK_FUNCTIONS, CHUNK_FUNCTIONS), lazy_entry)

    def _make_chunk(self, chunk: int, functions: int, lazy_entry: int) -> None:
        architecture = host_target().architecture
        content = _header(architecture, lazy_entry) + _stubs(architecture, functions)
        extent = c_library.round_to_pages(len(content))
        c_library.protect_memory(chunk, extent, c_library.PROT_READ | c_library.PROT_WRITE)
        ctypes.memmove(chunk, content, len(content))
        c_library.flush_instruction_cache(chunk, len(content))
        c_library.protect_memory(chunk, extent, c_library.PROT_READ | c_library.PROT_EXECUTE)
        cells = chunk + CELLS
        c_library.protect_memory(cells, extent, c_library.PROT_READ | c_library.PROT_WRITE)
        self.size += 2 * extent
        words = (
            memoryview((ctypes.c_uint64 * (_WORDS * (1 + functions))).from_address(cells)).cast("B").cast("Q")
        )
        lazy = chunk + STUB_SIZE + _LAZY_HALF[architecture]
        end = lazy + functions * STUB_SIZE
        words[_WORDS + CELL_CODE // 8 :: _WORDS] = memoryview(array.array("Q", range(lazy, end, STUB_SIZE)))
        words[_WORDS + CELL_TAIL // 8 :: _WORDS] = memoryview(
            array.array("Q", range(lazy + HALF, end + HALF, STUB_SIZE))
        )
        self._cells.append(words)

    def belongs_to(self, owner: CodeOwner) -> None:
        """Say who is told when what has no code is called; held weakly."""
        reference = weakref.ref(owner)
        for number, chunk in enumerate(self.chunks):
            _owners[chunk] = (reference, number)
        weakref.finalize(self, _forget, self.chunks).atexit = False

    def stub(self, position: int) -> int:
        """The address of the module's `position`th function, which stays the same."""
        return self.base + stub_offset(position)

    def stubs(self) -> list[int]:
        """The addresses of all functions."""
        stubs: list[int] = []
        for number, chunk in enumerate(self.chunks):
            count = min(self.functions - number * CHUNK_FUNCTIONS, CHUNK_FUNCTIONS)
            stubs += range(chunk + STUB_SIZE, chunk + STUB_SIZE * (1 + count), STUB_SIZE)
        return stubs

    def tail_stub(self, position: int) -> int:
        """The address of its tail entry."""
        return self.stub(position) + HALF

    def set(self, position: int, code: int, tail: int) -> None:
        """Give the function code: guests that call it run it from now on.

        Parameters:
            tail: address of the code of its tail entry; 0 where it has none.
        """
        chunk, rest = place(position)
        words = self._cells[chunk]
        if tail:
            words[_WORDS * rest + CELL_TAIL // 8] = tail
        words[_WORDS * rest + CELL_CODE // 8] = code

    def set_all(self, codes: dict[int, int], tails: dict[int, int]) -> None:
        """The same for many functions, by position, of a table that no guest uses yet, and nobody else sets."""
        for position, tail in tails.items():
            if position in codes:
                self.set(position, codes[position], tail)
        for number, words in enumerate(self._cells):
            cells = words[_WORDS + CELL_CODE // 8 :: _WORDS]
            first = number * CHUNK_FUNCTIONS
            positions = range(first, first + len(cells))
            cells[:] = memoryview(array.array("Q", map(codes.get, positions, cells.tolist())))

    def reset(self, position: int) -> None:
        """Take the function's code away: who calls it next is told of again."""
        lazy = self.stub(position) + _LAZY_HALF[host_target().architecture]
        self.set(position, lazy, lazy + HALF)

    def code(self, position: int) -> int:
        """The address of the code that the function has; that of its stub's second half where it has none."""
        chunk, rest = place(position)
        return self._cells[chunk][_WORDS * rest + CELL_CODE // 8]

    def counts(self) -> Sequence[int]:
        """How often each function was entered or went round, in code that counts, by position."""
        counts: list[int] = []
        for words in self._cells:
            counts += words[_WORDS + CELL_COUNT // 8 :: _WORDS].tolist()
        return counts
