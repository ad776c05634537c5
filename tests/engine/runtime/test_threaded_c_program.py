"""A C program with threads, as clang makes it for shared memories: each thread is an instance."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from farcall.engine import Limits, MemoryType
from tests.engine.guests import Background

SOURCE = Path(__file__).parent / "programs" / "threads.c"
STACK = 65536
THREADS = 4
PAGES = 32


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def binary(request, tmp_path_factory):
    output = tmp_path_factory.mktemp("threads") / "threads.wasm"
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-freestanding", "-nostdlib"),
        *("-fno-sanitize=all", request.param, "-matomics", "-mbulk-memory", "-Wl,--no-entry"),
        *("-Wl,--import-memory", "-Wl,--shared-memory", f"-Wl,--max-memory={PAGES * 65536}"),
        *(f"-Wl,-z,stack-size={STACK}", "-Wl,--export=__stack_pointer", "-Wl,--export=__heap_base"),
        *("-o", str(output), str(SOURCE)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    return output.read_bytes()


@pytest.fixture
def threads(binary, store):
    """Instances that share a memory; each has a stack of its own in it."""
    module = store.engine.load_module(binary)
    (entry,) = module.imports
    assert entry.type.shared
    memory = store.memory(MemoryType(Limits(PAGES, PAGES), shared=True))

    def make() -> object:
        return store.instantiate(module, {(entry.module, entry.name): memory})

    # At once: the start function, which the linker writes, copies the data segments; one does, the others wait for it.
    instances = [thread.value() for thread in [Background(make) for _ in range(THREADS)]]
    for number, instance in enumerate(instances):
        base = instance.global_("__heap_base").value
        instance.global_("__stack_pointer").value = (base + 15) // 16 * 16 + (number + 1) * STACK
    return instances


def together(calls) -> list:
    return [thread.value(120) for thread in [Background(call) for call in calls]]


def test_counting_under_a_mutex(threads):
    times = 3000
    together([lambda thread=thread: thread.exports.count(times) for thread in threads])
    assert threads[0].exports.count(0) == 1000000007 + THREADS * sum(range(times))


def test_producers_and_consumers(threads):
    number = 1500
    producers = [lambda number=number: threads[0].exports.produce(1, number)]
    producers.append(lambda number=number: threads[1].exports.produce(1 + number, number))
    consumers = [lambda thread=thread: thread.exports.consume(number) for thread in threads[2:]]
    _, _, first, second = together([*producers, *consumers])
    assert first + second == sum(range(1, 2 * number + 1))


def test_a_barrier(threads):
    calls = [
        lambda own=own, thread=thread: thread.exports.rounds(own, THREADS, 300)
        for own, thread in enumerate(threads)
    ]
    assert together(calls) == [0] * THREADS


def test_stacks_of_their_own(threads):
    def expected(depth: int, seed: int) -> int:
        below = 0 if depth == 0 else expected(depth - 1, (seed * 3 + 1) % 2**32)
        for position in range(16):
            below = (below * 31 + (seed + position) % 2**32) % 2**64
        return below

    def work(number: int) -> None:
        for turn in range(200):
            seed = number * 1000 + turn
            found = threads[number].exports.on_the_stack(50, seed)
            assert found % 2**64 == expected(50, seed)

    together([lambda number=number: work(number) for number in range(THREADS)])
