"""Processes that compile are killed at any moment, whichever they are: guests go on, in the end all is optimised."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator

import pytest
from wasmtime import wat2wasm

from farcall.engine import CompiledModule, CompilerCrashError, Engine, ExhaustionError, Store
from farcall.engine.jobs.processes import TEMPLATE
from farcall.engine.runtime.tiered_code import TieredCode
from tests.engine.jobs.process_tree import levels, wait_until

FUNCTIONS = 80
KILLS = 25


def source(number: int) -> bytes:
    """Each function calls the next; modules differ by a number."""
    filling = "(local.set 1 (i32.mul (i32.add (local.get 1) (i32.const 7)) (local.get 0)))" * 60
    functions = "".join(
        f'(func $f{index} (export "f{index}") (param i32) (result i32) (local i32) {filling}'
        f" (if (result i32) (i32.eqz (local.get 0)) (then (i32.const {index + number}))"
        f" (else (call $f{(index + 1) % FUNCTIONS} (i32.sub (local.get 0) (i32.const 1))))))"
        for index in range(FUNCTIONS)
    )
    return bytes(wat2wasm(f"(module {functions})"))


@pytest.fixture(autouse=True)
def _no_others() -> Iterator[None]:
    wait_until(lambda: len(levels()) <= 1)
    yield
    TEMPLATE.close()
    wait_until(lambda: levels() == [])


def test_guests_go_on_while_processes_are_killed() -> None:
    chance = random.Random(5)
    enough = threading.Event()
    wrong: list[object] = []

    with Engine() as engine:
        modules = [
            engine.compile_module(engine.load_module(source(number)), ensure_termination=True)
            for number in range(3)
        ]

        def call(number: int) -> None:
            with Store(engine) as store:
                exports = store.instantiate(modules[number]).exports
                while not enough.wait(0.001):
                    index, depth = chance.randrange(FUNCTIONS), chance.randrange(20)
                    result = exports[f"f{index}"](depth)
                    if result != (index + depth) % FUNCTIONS + number:
                        wrong.append((number, index, depth, result))

        def complete(compiled: CompiledModule) -> None:
            while not enough.wait(0.01):
                try:
                    engine.complete(compiled)
                except (CompilerCrashError, ExhaustionError):
                    pass  # what was killed was for this one
                except BaseException as error:
                    wrong.append(error)
                    raise

        threads = [threading.Thread(target=call, args=(number,)) for number in range(3)]
        threads += [threading.Thread(target=complete, args=(compiled,)) for compiled in modules]
        for thread in threads:
            thread.start()
        try:
            for _ in range(KILLS):
                kill_one(chance, engine, modules)
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        assert wrong == []
        for compiled in modules:
            assert engine.complete(compiled).optimized == FUNCTIONS
            assert isinstance(compiled.code, TieredCode)
            assert not compiled.code.given_up
        wait_until(lambda: engine._tiers.optimizer is not None and engine._tiers.optimizer.idle)
        assert engine.statistics().compile_jobs.running == 0


def kill_one(chance: random.Random, engine: Engine, modules: list[CompiledModule]) -> None:
    """Kill a process that compiles; where there is nothing to compile any more, have something to compile."""
    while True:
        found = [process for level in levels() for process in level]
        if found:
            try:
                os.kill(chance.choice(found), signal.SIGKILL)
            except ProcessLookupError:  # it was about to end
                continue
            return
        other = engine.load_module(source(chance.randrange(1 << 20)))
        try:
            engine.complete(engine.compile_module(other, ensure_termination=True))
        except (CompilerCrashError, ExhaustionError):
            continue
