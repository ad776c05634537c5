"""Machine code of stubs (`abi.code_table`), of their chunks' headers, and of the way from them to the runtime.

Stubs are the same in every chunk of every table.
"""

from __future__ import annotations

import struct

from farcall.engine.abi.code_table import CELLS, HALF, HEADER_TARGET, STUB_SIZE
from farcall.engine.runtime.native.traps import address

LAZY_HALF = {"x86_64": 6, "aarch64": 8}
"""From a stub's begin to what says which function is wanted."""

# jmp *CELLS(%rip), counted from its end; mov $which, %eax; jmp to the chunk's begin
_JUMP_X86_64 = int.from_bytes(struct.pack("<2siBx", b"\xff\x25", CELLS - 6, 0xB8), "little")
# ldr x16, CELLS from here; br x16; adr x9, two instructions back; b to the chunk's begin
_JUMP_AARCH64 = 0xD61F0200 << 32 | 0x58000000 | CELLS // 4 << 5 | 16
_BACK_AARCH64 = 0x10000009 | (-8 >> 2 & 0x7FFFF) << 5

_STORE_HALF = {
    "x86_64": f"""
  %low.number = shl i64 %which, 56
  %low = or i64 %low.number, {_JUMP_X86_64}
  store i64 %low, ptr %half
  %high.number = lshr i64 %which, 8
  %to.begin = mul i64 %which, {-HALF}
  %to.begin.from.end = sub i64 %to.begin, {HALF}
  %distance = shl i64 %to.begin.from.end, 32
  %jump = or i64 %high.number, {0xE9 << 24}
  %high = or i64 %jump, %distance
  %half.high = getelementptr i8, ptr %half, i64 8
  store i64 %high, ptr %half.high""",
    "aarch64": f"""
  store i64 {_JUMP_AARCH64}, ptr %half
  %to.begin = mul i64 %which, {-HALF // 4}
  %to.begin.from.branch = sub i64 %to.begin, 3
  %distance = and i64 %to.begin.from.branch, {0x3FFFFFF}
  %branch = or i64 %distance, {0x14000000}
  %branch.high = shl i64 %branch, 32
  %high = or i64 %branch.high, {_BACK_AARCH64}
  %half.high = getelementptr i8, ptr %half, i64 8
  store i64 %high, ptr %half.high""",
}


def stubs_text(architecture: str) -> str:
    """LLVM IR of `write_stubs` (chunk, functions): it writes a chunk's stubs, and cells of functions without code.

    Halves of stubs are numbered: of the chunk's position n, 2n says to the runtime that the function is wanted, and
    2n + 1 that its tail entry is.
    """
    return f"""
define void @write_stubs(ptr %chunk, i64 %functions) #0 {{
start:
  %base = ptrtoint ptr %chunk to i64
  %lazy.base = add i64 %base, {LAZY_HALF[architecture]}
  %halves = shl i64 %functions, 1
  %end = add i64 %halves, 2
  br label %head
head:
  %which = phi i64 [ 2, %start ], [ %next, %body ]
  %done = icmp uge i64 %which, %end
  br i1 %done, label %written, label %body
body:
  %offset = mul i64 %which, {HALF}
  %half = getelementptr i8, ptr %chunk, i64 %offset{_STORE_HALF[architecture]}
  %cell = getelementptr i8, ptr %half, i64 {CELLS}
  %lazy = add i64 %lazy.base, %offset
  store i64 %lazy, ptr %cell
  %next = add i64 %which, 1
  br label %head
written:
  ret void
}}
"""


def _header_x86_64(target: int) -> bytes:
    # lea -7(%rip), %r11, which is the chunk's begin; jmp *3(%rip), where the target's address is
    code = b"\x4c\x8d\x1d\xf9\xff\xff\xff" + b"\xff\x25\x03\0\0\0"
    return code.ljust(HEADER_TARGET, b"\0") + struct.pack("<Q", target)


def _header_aarch64(target: int) -> bytes:
    # adr x10, here; ldr x11, 12 further on, where the target's address is; br x11
    code = struct.pack("<III", 0x1000000A, 0x58000000 | 12 // 4 << 5 | 11, 0xD61F0160)
    return code.ljust(HEADER_TARGET, b"\0") + struct.pack("<Q", target)


def header(architecture: str, target: int) -> bytes:
    """The header of a chunk, which leads to `target`."""
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
