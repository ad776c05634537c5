"""What farcall refuses is what wasmtime, held to the same features, refuses: shown on damaged modules."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farcall.engine.errors import MalformedModuleError, ModuleError

from .program_generator import generate

TELLING_BYTES = bytes.fromhex(
    "00 01 02 03 04 05 0b 0c 0d 0e 0f 10 11 1a 1b 1c 20 21 22 23 24 28 36 3f 40 41 42 43 44 "
    "60 6f 70 7b 7c 7d 7e 7f 80 d0 d1 d2 fc ff"
)


def differ_by_version(ours, theirs):
    """Whether one of the two reads what the other takes for a later version's: neither can be told to differ.

    farcall takes a memory access that names memory 0.
    """
    return "memop alignment" in theirs


def damaged(source, module):
    """The module with one to three bytes changed, swapped, dropped or doubled, behind its header."""
    content = bytearray(module)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        at = source.randrange(8, len(content) - 1)
        match source.randrange(8):
            case 0:
                content[at] = source.randrange(256)
            case 1:
                content[at] ^= 1 << source.randrange(8)
            case 2 | 3:
                content[at] = source.choice(TELLING_BYTES)
            case 4:
                content[at] = content[at] + source.choice((-1, 1)) & 0xFF
            case 5:
                content[at], content[at + 1] = content[at + 1], content[at]
            case 6:
                content[at] = content[source.randrange(8, len(content))]
            case 7:
                content[at : at + 1] = source.choice((b"", bytes(content[at : at + 1]) * 2))
    return bytes(content)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(1, 3), st.integers(5, 60), st.booleans())
def test_damaged_modules(engine, oracle, seed, functions, nodes, linked):
    source = random.Random(seed)
    program = generate(source, functions, nodes, linked=linked)
    modules = [program.module, *(damaged(source, program.module) for _ in range(60))]
    refusals = oracle.refusals(modules)
    assert refusals[0] == ""
    for module, theirs in zip(modules, refusals, strict=True):
        error = refusal(engine, module)
        ours = str(error or "")
        assert error is None or 0 <= error.offset <= len(module)
        if not differ_by_version(ours, theirs):
            assert bool(ours) == bool(theirs), f"farcall: {ours}; wasmtime: {theirs}; {module.hex()}"


def refusal(engine, module):
    """The error that loading a module raises, or None."""
    try:
        engine.load_module(module)
    except ModuleError as error:
        return error
    return None


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1))
def test_truncated_modules_are_malformed(engine, seed):
    module = generate(random.Random(seed), 1, 20).module
    for length in range(8, len(module)):
        if not is_cut_between_sections(module, length):
            error = refusal(engine, module[:length])
            assert isinstance(error, MalformedModuleError), length
            assert error.offset <= length


def is_cut_between_sections(module, length):
    """Whether a section begins at `length`: what is before it may be well-formed."""
    at = 8
    while at < length:
        at += 1
        size, shift = 0, 0
        while True:
            byte = module[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
    return at == length
