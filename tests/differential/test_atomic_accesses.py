"""Atomic accesses of every kind and width: results, memory and traps, on memories that are shared and that are not."""

from __future__ import annotations

import random

import pytest

from farcall.engine.instructions.table import BY_NAME, INSTRUCTIONS

from .case import Case
from .farcall_subject import run_on_farcall
from .module_encoder import ModuleEncoder, constant, instruction
from .program_generator import interesting_bits

PAGE = 65536
OFFSETS = (0, 1, 6, 8, PAGE - 8, PAGE, 0x10000000, 0xFFFFFFFF)
ROWS = [row for row in INSTRUCTIONS if row.prefix == 0xFE and row.access is not None]


def addresses(width, offset):
    """Addresses that are aligned and not, inside of the memory and around its end, as the offset moves them."""
    end = PAGE - offset
    near = (end - 2 * width, end - width - 1, end - width, end - 1, end, end + width)
    places = (0, 1, 2, 4, 8, 40, *near, 0x7FFFFFF8, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)
    return sorted({address & 0xFFFFFFFF for address in places})


def with_operands(encoder, row, offset):
    """An exported function that makes the access; a wait has no time."""
    code = b"".join(
        constant("i64", 0) if "wait" in row.name and index == 2 else instruction("local.get", index)
        for index in range(len(row.parameters))
    )
    immediates = (row.access.size.bit_length() - 1, offset)
    export = f"{row.name} {offset}"
    signature = (
        tuple(operand.name for operand in row.parameters),
        tuple(result.name for result in row.results),
    )
    encoder.function(signature, code + instruction(row.name, immediates), export=export)
    return export


def both_unaligned_and_out_of_bounds(call):
    """Whether a call traps for two reasons: for wait and notify wasmtime looks at the bounds first."""
    name, _, offset = call[0].partition(" ")
    if name == "word" or BY_NAME[name].rule not in ("atomic_wait", "atomic_notify"):
        return False
    width, address = BY_NAME[name].access.size, call[1][0] + int(offset)
    return address % width != 0 and address + width > PAGE


@pytest.mark.parametrize("shared", [False, True], ids=["unshared", "shared"])
@pytest.mark.parametrize("ensure_termination", [False, True])
def test_every_access(engine, oracle, shared, ensure_termination):
    source = random.Random(7)
    encoder = ModuleEncoder()
    encoder.memory(1, 1, export="memory", shared=shared)
    encoder.active_data(0, source.randbytes(PAGE))
    words = instruction("local.get", 0) + instruction("i64.load", (0, 0))
    encoder.function((("i32",), ("i64",)), words, export="word")
    calls = []
    for row in ROWS:
        for offset in OFFSETS:
            export = with_operands(encoder, row, offset)
            for address in addresses(row.access.size, offset):
                operands = [interesting_bits(source, operand.name) for operand in row.parameters[1:]]
                calls.append((export, (address, *operands)))
                if "cmpxchg" in row.name:  # and once more with what is there, if it is there
                    calls.append((export, (address, 0, *operands[1:])))
                    calls.append((export, (address, operands[1], operands[0])))
    calls += [("word", (address,)) for address in (*range(0, 128, 8), *range(PAGE - 64, PAGE, 8))]
    # wasmtime's Python package has no content of shared memories: there, words stand for it.
    case = Case(encoder.encode(), tuple(calls), None if shared else "memory")
    ours, theirs = run_on_farcall(engine, case, ensure_termination=ensure_termination), oracle.run(case)
    differing = [
        (call, our, their)
        for call, our, their in zip(calls, ours.outcomes, theirs.outcomes, strict=True)
        if our != their and not (both_unaligned_and_out_of_bounds(call) and isinstance(their, str))
    ]
    assert differing == []
    assert ours.memory == theirs.memory
    traps = {outcome for outcome in ours.outcomes if isinstance(outcome, str)}
    assert traps == {"unaligned atomic", "out of bounds memory access"} | (
        set() if shared else {"expected shared memory"}
    )
