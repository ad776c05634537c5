"""Stubs, as a disassembler and the cells tell: for every architecture, since writing them takes no particular one."""

from __future__ import annotations

import ctypes

import capstone
import pytest

from farcall.engine.abi.code_table import CELLS, CHUNK_FUNCTIONS, CHUNK_SIZE, HALF, STUB_SIZE
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.codegen.target import host_target
from farcall.engine.runtime.native.code_memory import MappedCode
from farcall.engine.runtime.native.stubs import LAZY_HALF, header, stubs_text

TARGET = 0x1122334455667788


def chunk_of(architecture: str, functions: int) -> tuple[int, bytes]:
    """A chunk, with a header for `TARGET`, and the address that it had."""
    text = stubs_text(architecture) + "\nattributes #0 = { nounwind }\n"
    code = MappedCode(link([read_object(compile_to_object(text, host_target(), Optimization.FULL))]))
    write_stubs = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.addresses["write_stubs"])
    content = ctypes.create_string_buffer(CHUNK_SIZE)
    content[: len(header(architecture, TARGET))] = header(architecture, TARGET)
    write_stubs(ctypes.addressof(content), functions)
    return ctypes.addressof(content), content.raw


def instructions(architecture: str, code: bytes, address: int) -> list[str]:
    """As text, in which all numbers are hexadecimal, without a prefix."""
    machine = {
        "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
    }[architecture]
    found = capstone.Cs(*machine).disasm(code, address)
    return [f"{instruction.mnemonic} {instruction.op_str}".replace("0x", "") for instruction in found]


def expected(architecture: str, which: int) -> list[str]:
    """What a half does: jump to what its cell has, or say which it is and jump to the header, at address 0."""
    at = HALF * which
    if architecture == "x86_64":
        return [f"jmp qword ptr [rip + {CELLS - 6:x}]", f"mov eax, {which:x}", "jmp 0"]
    return [f"ldr x16, #{at + CELLS:x}", "br x16", f"adr x9, #{at:x}", "b #0"]


@pytest.mark.parametrize("architecture", sorted(LAZY_HALF))
@pytest.mark.parametrize("functions", [1, 127, 128, CHUNK_FUNCTIONS])
def test_every_half_jumps_to_its_cell_or_says_which_it_is(architecture: str, functions: int) -> None:
    address, chunk = chunk_of(architecture, functions)
    for position in {1, (1 + functions) // 2, functions}:
        for half in (0, 1):
            which = 2 * position + half
            at = which * HALF
            assert instructions(architecture, chunk[at : at + HALF], at) == expected(architecture, which)
            cell = int.from_bytes(chunk[at + CELLS : at + CELLS + 8], "little")
            assert cell == address + at + LAZY_HALF[architecture]


@pytest.mark.parametrize("architecture", sorted(LAZY_HALF))
def test_a_chunk_has_no_more_than_its_functions(architecture: str) -> None:
    _address, chunk = chunk_of(architecture, 3)
    end = STUB_SIZE * 4
    assert any(chunk[end - HALF : end])
    assert not any(chunk[end:CELLS])
    assert not any(chunk[CELLS : CELLS + STUB_SIZE])
    assert not any(chunk[CELLS + end :])
