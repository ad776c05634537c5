"""Large modules: limits are refused clearly, and no count costs more than the bytes that are there."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from farcall.engine.binary import decode_module, limits
from farcall.engine.errors import InvalidModuleError, ModuleError, ModuleLimitError
from farcall.engine.validation import validate_module
from tests.engine.binary_format import HEADER, TYPE, body, custom, one_function, section, unsigned, vector

MILLION = 1_000_000


def load(source: bytes) -> None:
    validate_module(decode_module(source))


def segment_of(count: int) -> bytes:
    return section(9, b"\1\1\0" + unsigned(count) + bytes(count))


OVER_A_LIMIT = {
    "types": HEADER + section(1, unsigned(MILLION + 1) + b"\x60\0\0" * (MILLION + 1)),
    "functions": HEADER + TYPE + section(3, unsigned(MILLION + 1) + bytes(MILLION + 1)),
    "tables": HEADER + section(4, unsigned(100_001) + b"\x70\0\0" * 100_001),
    "memories": HEADER + section(5, unsigned(101) + b"\0\0" * 101),
    "imported memories": HEADER + section(2, vector([b"\0\0\2\0\0"] * 101)),
    "imported tables": HEADER + section(2, vector([b"\0\0\1\x70\0\0"] * 100_001)),
    "data segments": HEADER + section(11, unsigned(100_001) + b"\1\0" * 100_001),
    "elements": HEADER + section(9, b"\1\1\0" + unsigned(10_000_001) + bytes(10_000_001)),
    "parameters": HEADER + section(1, b"\1\x60" + vector([b"\x7f"] * 1001) + b"\0"),
    "results": HEADER + section(1, b"\1\x60\0" + vector([b"\x7f"] * 1001)),
    "locals": one_function(b"", declared=b"\1" + unsigned(50_001) + b"\x7f"),
    "function body": one_function(b"\1" * limits.MAXIMUM_BODY_SIZE),
    "custom sections": HEADER + custom("", b"") * 100_001,
}


@pytest.mark.parametrize(("what", "source"), OVER_A_LIMIT.items(), ids=OVER_A_LIMIT)
def test_a_module_over_a_limit_is_refused(what, source):
    with pytest.raises(ModuleLimitError, match=what.removeprefix("imported ")) as raised:
        decode_module(source)
    assert isinstance(raised.value, InvalidModuleError)
    assert 0 <= raised.value.offset <= len(source)


def test_parameters_count_as_locals():
    types = section(1, b"\1\x60" + vector([b"\x7f"] * 1000) + b"\0")
    load(one_function(b"", types=types, declared=b"\1" + unsigned(49_000) + b"\x7e"))
    with pytest.raises(ModuleLimitError, match="too many locals: 50001 with parameters"):
        load(one_function(b"", types=types, declared=b"\1" + unsigned(49_001) + b"\x7e"))


def test_the_operand_stack_is_limited():
    types = section(1, b"\1\x60\0" + vector([b"\x7f"] * 1000))
    with pytest.raises(ModuleLimitError, match="more than 1000000 values on the operand stack") as raised:
        load(one_function(b"\x10\0" * 2000, types=types))
    assert raised.value.function_index == 0


WITH_COUNTS = {
    **{
        f"section {number}": HEADER + section(number, unsigned(0xFFFFFFFF) + bytes(9))
        for number in range(1, 13)
    },
    "parameters": HEADER + section(1, b"\1\x60" + unsigned(0xFFFFFFFF) + b"\x7f"),
    "elements": HEADER + section(9, b"\1\1\0" + unsigned(0xFFFFFFFF) + b"\0"),
    "element expressions": HEADER + section(9, b"\1\5\x70" + unsigned(0xFFFFFFFF) + b"\xd0\x70\x0b"),
    "data": HEADER + section(11, b"\1\1" + unsigned(0xFFFFFFFF)),
    "name": HEADER + section(2, b"\1" + unsigned(0xFFFFFFFF)),
    "locals": one_function(b"", declared=unsigned(0xFFFFFFFF)),
    "labels": one_function(b"\x41\0\x0e" + unsigned(0xFFFFFFFF)),
    "select types": one_function(b"\x1c" + unsigned(0xFFFFFFFF) + b"\x7f"),
}


@pytest.mark.parametrize("source", WITH_COUNTS.values(), ids=WITH_COUNTS)
def test_a_count_without_content_costs_nothing(source):
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ModuleError):
        load(source)
    assert time.perf_counter() - started < 20  # where the count is believed, minutes
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


def wide_types() -> bytes:
    """Type 0 takes and returns nothing, 1 takes and returns a thousand values, 2 returns a thousand."""
    many = vector([b"\x7f"] * 1000)
    return section(1, vector([b"\x60\0\0", b"\x60" + many + many, b"\x60\0" + many]))


def module_of(*functions: tuple[int, bytes]) -> bytes:
    types = section(3, vector([unsigned(type_index) for type_index, _ in functions]))
    return HEADER + wide_types() + types + section(10, vector([body(code) for _, code in functions]))


SIZE = 50_000
LARGE = {
    "deep nesting": one_function(b"\2\x40" * SIZE + b"\x0b" * SIZE),
    "deep nesting, a branch out of each": one_function(
        b"\2\x40" * SIZE
        + b"\x41\0\x0e"
        + vector([unsigned(depth) for depth in range(SIZE)])
        + b"\0"
        + b"\x0b" * SIZE
    ),
    "a large br_table": one_function(b"\x41\0\x0e" + unsigned(MILLION) + bytes(MILLION + 1)),
    "many values on the stack": one_function(b"\x41\0" * SIZE + b"\x1a" * SIZE),
    "empty runs of locals": one_function(b"", declared=unsigned(SIZE) + b"\0\x7f" * SIZE),
    "a far local, often": one_function(
        (b"\x20" + unsigned(49_999) + b"\x1a") * SIZE, declared=unsigned(SIZE) + b"\1\x7f" * SIZE
    ),
    "functions with many locals": HEADER
    + TYPE
    + section(3, unsigned(SIZE) + bytes(SIZE))
    + section(10, vector([body(b"", b"\1" + unsigned(50_000) + b"\x7f")] * SIZE)),
    "branches with a thousand values": module_of(
        (0, b"\2\2\x10\1" + b"\x41\0\x0d\0" * 10_000 + b"\x0b\0"), (2, b"\0")
    ),
    "the same, unreachable": module_of((0, b"\2\2\0" + b"\x0c\0" * 10_000 + b"\x0b\0")),
    "blocks with a thousand parameters": module_of(
        (0, b"\x10\1" + b"\2\1" * 900 + b"\x0b" * 900 + b"\0"), (2, b"\0")
    ),
    "structures with many fields": HEADER
    + section(1, vector([b"\x60\0\0", b"\x5f" + vector([b"\x7f\0"] * 10_000)]))
    + section(3, b"\1\0")
    + section(10, vector([body(b"\xfb\1\1\x1a" * SIZE + b"\0" + b"\xfb\0\1\x1a" * SIZE)])),
    "a long constant expression": HEADER + section(6, b"\1\x7f\0\x41\5" + b"\x41\5\x6a" * SIZE + b"\x0b"),
    "a large table segment": HEADER
    + TYPE
    + section(3, b"\1\0")
    + segment_of(MILLION)
    + section(10, vector([body(b"")])),
}


@pytest.mark.parametrize("source", LARGE.values(), ids=LARGE)
def test_large_modules_cost_in_proportion_to_their_bytes(source):
    started = time.process_time()
    load(source)
    elapsed = time.process_time() - started
    tracemalloc.start()
    load(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Measured: at most 3 us and 60 bytes for a byte. The bounds leave room for a busy machine, and fail for
    # what grows with the square, or with the counts instead of the bytes, which takes minutes.
    assert elapsed < 20 + 30e-6 * len(source)
    assert peak < 1_000_000 + 100 * len(source)


def test_invalid_elements_take_no_objects_each():
    elements = b"".join(b"\xd2" + unsigned(index) + b"\x0b" for index in range(1, 20_000))
    numbers = b"".join(b"\x41" + unsigned(index % 64) + b"\x0b" for index in range(20_000))
    for content, count in ((elements, 19_999), (numbers, 20_000), (b"\x0b" * 20_000, 20_000)):
        source = HEADER + section(9, b"\1\5\x70" + unsigned(count) + content)
        module = decode_module(source)
        assert len(module.elements[0].initializers) == count
        assert len(set(map(id, module.elements[0].initializers))) == 1
        with pytest.raises(InvalidModuleError):
            validate_module(module)


def test_reasons_stay_short_whatever_the_module_has():
    long_name = b"x" * 100_000
    export = unsigned(len(long_name)) + long_name
    sources = (
        one_function(b"", between=section(7, b"\1" + export + b"\0\5")),
        one_function(b"", between=section(7, b"\2" + (export + b"\0\0") * 2)),
        HEADER + section(6, b"\1\x7f\0" + b"\x41\0" * 100_000 + b"\x0b"),
        module_of((1, b"\x41\0\4\1\x0b\0")),
    )
    for source in sources:
        with pytest.raises(ModuleError) as raised:
            load(source)
        assert len(str(raised.value)) < 500
