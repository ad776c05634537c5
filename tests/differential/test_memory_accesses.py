"""Loads and stores of every width, alignment and offset: what they read and write, and where they trap."""

from __future__ import annotations

import random

import pytest

from farcall.engine.instructions.table import INSTRUCTIONS

from .case import Case
from .farcall_subject import run_on_farcall
from .module_encoder import ModuleEncoder, instruction
from .test_numeric_instructions import AS_INTEGER, WIDTH, to_integer, to_type

PAGE = 65536
OFFSETS = (0, 1, 7, 4095, PAGE - 8, PAGE - 1, PAGE, 2 * PAGE, 0x7FFFFFFF, 0xFFFFFFFF)
LOADS = [row for row in INSTRUCTIONS if row.rule == "load" and row.prefix is None]
STORES = [row for row in INSTRUCTIONS if row.rule == "store" and row.prefix is None]


def addresses(row, offset):
    """Addresses inside of the memory and around each of its ends, as the offset moves them."""
    end = PAGE - offset
    near = (
        end - row.access.size - 1,
        end - row.access.size,
        end - row.access.size + 1,
        end - 1,
        end,
        end + 1,
    )
    return sorted(
        {address & 0xFFFFFFFF for address in (0, 1, 3, 1000, *near, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)}
    )


def test_the_rows_are_all_there():
    assert (len(LOADS), len(STORES)) == (14, 9)


@pytest.mark.parametrize("ensure_termination", [False, True])
def test_loads(engine, oracle, ensure_termination):
    encoder = ModuleEncoder()
    encoder.memory(1, export="memory")
    encoder.active_data(0, random.Random(1).randbytes(PAGE))
    calls = []
    for row in LOADS:
        result = row.results[0].name
        for offset in OFFSETS:
            alignment = offset % row.access.size.bit_length()
            code = instruction("local.get", 0) + instruction(row.name, (alignment, offset))
            export = f"{row.name} {offset}"
            encoder.function((("i32",), (AS_INTEGER[result],)), to_integer(code, result), export=export)
            calls += [(export, (address,)) for address in addresses(row, offset)]
    case = Case(encoder.encode(), tuple(calls), "memory")
    ours, theirs = run_on_farcall(engine, case, ensure_termination=ensure_termination), oracle.run(case)
    pairs = zip(calls, ours.outcomes, theirs.outcomes, strict=True)
    assert [(call, our, their) for call, our, their in pairs if our != their] == []
    assert "out of bounds memory access" in ours.outcomes
    assert ours.memory == theirs.memory


@pytest.mark.parametrize("ensure_termination", [False, True])
def test_stores(engine, oracle, ensure_termination):
    """A store that traps has written nothing, also where a part of it lies inside of the memory."""
    encoder = ModuleEncoder()
    encoder.memory(1, export="memory")
    calls = []
    source = random.Random(2)
    for row in STORES:
        value = row.parameters[1].name
        for offset in OFFSETS:
            code = instruction("local.get", 0) + to_type(instruction("local.get", 1), value)
            code += instruction(row.name, (offset % row.access.size.bit_length(), offset))
            export = f"{row.name} {offset}"
            encoder.function((("i32", AS_INTEGER[value]), ()), code, export=export)
            calls += [
                (export, (address, source.getrandbits(WIDTH[value]))) for address in addresses(row, offset)
            ]
    case = Case(encoder.encode(), tuple(calls), "memory")
    ours, theirs = run_on_farcall(engine, case, ensure_termination=ensure_termination), oracle.run(case)
    pairs = zip(calls, ours.outcomes, theirs.outcomes, strict=True)
    assert [(call, our, their) for call, our, their in pairs if our != their] == []
    assert ours.memory == theirs.memory
    assert any(ours.memory)
