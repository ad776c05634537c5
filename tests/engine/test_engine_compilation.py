"""Compiling, sharing and deleting code."""

from __future__ import annotations

import gc
import random
import re
import subprocess
import sys
import threading
import time
import weakref

import pytest

from farcall.engine import (
    ClosedError,
    Engine,
    InvalidModuleError,
    MalformedModuleError,
    Store,
    TerminatedError,
    Trap,
    UnsupportedFeatureError,
)
from farcall.engine.runtime.compiled_module import CompiledCode
from tests.engine.guests import Background, mappings, wait_until, wasm

ADD = """(module $add (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "spin") (loop (br 0))) (func (export "trap") unreachable))"""


class Listener:
    def __init__(self) -> None:
        self.seen: list = []

    def before(self, function, arguments) -> None:
        self.seen.append(("before", function.name, arguments))

    def after(self, function, results) -> None:
        self.seen.append(("after", function.name, results))

    def abort(self, function, error) -> None:
        self.seen.append(("abort", function.name, type(error).__name__))


def test_one_compile_for_concurrent_identical_requests(engine):
    source = wasm(ADD)
    barrier = threading.Barrier(8)
    same = engine.load_module(source)

    def compile_(number: int):
        module = same if number % 2 else engine.load_module(source)
        barrier.wait()
        return engine.compile_module(module, ensure_termination=True)

    compiled = [thread.value() for thread in [Background(lambda n=n: compile_(n)) for n in range(8)]]
    statistics = engine.statistics()
    assert (statistics.compilations, statistics.cache_hits) == (1, 7)
    assert (statistics.compiled_modules, engine.compiled_module_count()) == (1, 1)
    assert len({id(each.code) for each in compiled}) == 1
    assert statistics.compile_seconds > 0
    assert statistics.code_bytes >= 4096


def test_other_options_are_other_code_of_the_same_module(engine):
    module = engine.load_module(wasm(ADD))
    codes = [
        engine.compile_module(module, listeners, termination).code
        for listeners in ((), (Listener(),), (Listener(), Listener()))
        for termination in (False, True)
    ]
    # How many listeners there are, and which, makes no difference to the code.
    assert len(set(map(id, codes))) == 4
    assert engine.statistics().compilations == 4
    assert engine.compiled_module_count() == 1


def test_another_engine_compiles_for_itself(engine):
    module = engine.load_module(wasm(ADD))
    with Engine() as other, Store(other) as store:
        compiled = engine.compile_module(module)
        with pytest.raises(ValueError, match="another engine"):
            store.instantiate(compiled)
        # A decoded module belongs to nobody.
        assert store.instantiate(module).exports.add(1, 2) == 3
        assert other.statistics().compilations == 1


@pytest.mark.parametrize("what", [5, "text", b"\0asm\1\0\0\0", None, object()])
def test_what_is_no_module(engine, store, what):
    with pytest.raises(TypeError, match="a module that this engine loaded or compiled is wanted"):
        store.instantiate(what)


def test_loading_what_is_refused():
    # Without this feature, so that there is one that is not available, whatever will be implemented.
    with Engine(disabled_features=["memory64"]) as engine:
        check_refusals(engine)


def check_refusals(engine):
    for source, error in (
        (b"", MalformedModuleError),
        (b"\0asm", MalformedModuleError),
        (b"text", MalformedModuleError),
        (wasm(ADD)[:-3], MalformedModuleError),
        (b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a\5\1\3\0\x6a\x0b", InvalidModuleError),
        (wasm("(module (memory i64 1))"), UnsupportedFeatureError),
    ):
        with pytest.raises(error) as raised:
            engine.load_module(source)
        assert re.search(r"at byte 0x[0-9a-f]+", str(raised.value))
    assert engine.compiled_module_count() == 0
    assert engine.load_module(bytearray(wasm(ADD))).digest == engine.load_module(memoryview(wasm(ADD))).digest


def test_a_compile_that_fails_is_not_kept(monkeypatch):
    with Engine(code_policy="optimized") as engine:
        check_failing_compiles(engine, monkeypatch)


def check_failing_compiles(engine, monkeypatch):
    from farcall.engine.jobs import module_compiler as batch

    module = engine.load_module(wasm(ADD))
    real = batch.compile_to_object
    attempts = []

    def fail_at_first(*arguments):
        attempts.append(None)
        if len(attempts) <= 2:
            raise RuntimeError("no code today")
        return real(*arguments)

    monkeypatch.setattr(batch, "compile_to_object", fail_at_first)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no code today"):
            engine.compile_module(module)
        assert engine.compiled_module_count() == 0
    engine.compile_module(module)
    assert engine.statistics().compilations == 1


def code_addresses(engine, module):
    code = engine.compile_module(module, ensure_termination=True).code
    return weakref.ref(code), code.address(module.imported_function_count)


def is_mapped(address: int) -> bool:
    """Whether there is something at an address that can be executed."""
    for line in mappings():
        extent, access, *_ = line.split()
        start, end = (int(part, 16) for part in extent.split("-"))
        if start <= address < end:
            return "x" in access
    return False


def test_deleting_unmaps_when_the_last_user_is_gone(engine, store):
    module = engine.load_module(wasm(ADD))
    code, start = code_addresses(engine, module)
    assert is_mapped(start)
    instance = store.instantiate(module)
    add = instance.exports.add
    engine.delete_compiled_module(module)
    assert engine.compiled_module_count() == 0
    gc.collect()
    assert is_mapped(start)
    assert add(2, 3) == 5
    instance.close()
    gc.collect()
    assert code() is None, "a closed instance and its functions have none"
    assert not is_mapped(start)
    with pytest.raises(ClosedError):
        add(2, 3)


def test_deleting_what_was_never_used_unmaps_at_once(engine):
    module = engine.load_module(wasm(ADD))
    code, start = code_addresses(engine, module)
    engine.delete_compiled_module(module)
    gc.collect()
    assert code() is None
    assert not is_mapped(start)
    engine.delete_compiled_module(module)
    engine.delete_compiled_module(engine.load_module(wasm("(module)")))


def test_deleting_under_running_calls(engine, store):
    module = engine.load_module(wasm(ADD))
    code, start = code_addresses(engine, module)
    engine.complete(engine.compiled(module))  # who still waits for the compilation of `spin` is not in it
    instance = store.instantiate(module)
    invocation = instance.function("spin").invocation(())
    running = Background(invocation.run)
    group = instance.engine.group
    wait_until(lambda: bool(group.targets))
    engine.delete_compiled_module(module)
    del instance
    gc.collect()
    assert is_mapped(start)
    assert running.running
    # Compiled anew meanwhile, it is other code.
    assert engine.compile_module(module, ensure_termination=True).code is not code()
    engine.delete_compiled_module(module)
    closing = Background(store.close)
    assert isinstance(running.join().error, TerminatedError)
    assert [frame.function_name for frame in running.error.backtrace] == ["spin"]
    closing.value()
    del running, invocation, closing
    gc.collect()
    assert code() is None
    assert not is_mapped(start)


def test_deleting_while_importers_use_it(engine, make, store):
    module = engine.load_module(wasm(ADD))
    _code, start = code_addresses(engine, module)
    library = store.instantiate(module)
    user = make(
        '(module (import "l" "add" (func (param i32 i32) (result i32))) (func (export "go") (result i32)'
        " (call 0 (i32.const 1) (i32.const 2))))",
        {"l": library},
    )
    library.close()
    engine.delete_compiled_module(module)
    del library
    gc.collect()
    assert is_mapped(start)
    assert user.exports.go() == 3
    user.close()
    del user
    gc.collect()
    assert not is_mapped(start)


def test_deleting_stress(engine):
    """Compiling, instantiating, calling and deleting the same modules from several threads."""
    sources = [
        wasm(
            f'(module (func (export "f") (result i32) (i32.const {number})) (func (export "t") unreachable))'
        )
        for number in range(4)
    ]
    ended: list[bool] = []
    done: set[int] = set()

    def use(seed: int) -> None:
        numbers = random.Random(seed)
        with Store(engine) as store:
            while not ended:
                number = numbers.randrange(len(sources))
                module = engine.load_module(sources[number])
                with store.instantiate(module) as instance:
                    if numbers.random() < 0.5:
                        engine.delete_compiled_module(module)
                    assert instance.exports.f() == number
                    with pytest.raises(Trap) as raised:
                        instance.exports.t()
                    assert raised.value.backtrace[0].function_name == "t"
                done.add(seed)

    threads = [Background(lambda seed=seed: use(seed)) for seed in range(4)]
    time.sleep(1.5)
    wait_until(lambda: len(done) == len(threads))
    ended.append(True)
    for thread in threads:
        thread.value()
    assert engine.statistics().instances == 0


def test_the_engine_closes_during_a_compile(monkeypatch):
    from farcall.engine.jobs import module_compiler as batch

    engine = Engine(code_policy="optimized")
    module = engine.load_module(wasm(ADD))
    real = batch.compile_to_object
    go_on, begun = threading.Event(), []

    def wait(*arguments):
        begun.append(None)
        go_on.wait(30)
        return real(*arguments)

    monkeypatch.setattr(batch, "compile_to_object", wait)
    compiling = Background(lambda: engine.compile_module(module))
    wait_until(lambda: bool(begun))
    engine.close()
    go_on.set()
    assert isinstance(compiling.join().error, ClosedError)
    assert engine.compiled_module_count() == 0
    assert engine.statistics().code_bytes == 0


def test_nothing_is_writable_and_executable():
    """But the page of ctypes' own that importing llvmlite makes; in a process without wasmtime, which makes another."""
    program = f"""
from pathlib import Path
import llvmlite.binding
from farcall.engine import Engine, FunctionType, Store, Trap
def mappings():
    return [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
def writable_code():
    return [line[0] for line in mappings() if "w" in line[1] and "x" in line[1]]
before, llvmlites = {{line[0] for line in mappings()}}, writable_code()
engine = Engine()
store = Store(engine)
instance = store.instantiate(engine.load_module({wasm(ADD)!r}))
assert instance.exports.add(1, 2) == 3
try:
    instance.exports.trap()
except Trap:
    pass
store.host_function(FunctionType((), ()), print)
new = [line for line in mappings() if line[0] not in before]
assert [line for line in new if "x" in line[1]]
assert writable_code() == llvmlites
"""
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_modules_that_were_compiled_are_forgotten(engine):
    """The engine remembers how a module was compiled last, but not the module."""
    source = wasm(ADD)
    engine.compile_module(engine.load_module(source))
    modules = [engine.load_module(source) for _ in range(10)]
    watches = [weakref.ref(module) for module in modules]
    for module in modules:
        engine.compile_module(module, [Listener()], ensure_termination=True)
    code = [entry for entry in engine._cache.values() if isinstance(entry, CompiledCode)]
    del module, modules
    gc.collect()
    # One of them is the module of the code, which all share.
    assert sum(watch() is not None for watch in watches) <= 1
    assert len(code) == 2


def test_termination_is_an_option(engine, store):
    """Without it, the code is the plain one; with it, and by default, a loop can be stopped."""
    module = engine.load_module(wasm(ADD))
    by_default = store.instantiate(module)
    invocation = by_default.function("spin").invocation(())
    running = Background(invocation.run)
    time.sleep(0.01)
    invocation.terminate("enough")
    assert isinstance(running.join().error, TerminatedError)
    plain = engine.compile_module(module, ensure_termination=False)
    assert plain.code is not engine.compile_module(module, ensure_termination=True).code
    assert store.instantiate(plain).exports.add(20, 22) == 42


def test_statistics_count(engine):
    module = engine.load_module(wasm("(module (memory 1))"))
    before = engine.statistics()
    with Store(engine) as store:
        store.instantiate(module)
        store.instantiate(module)
        now = engine.statistics()
        assert (now.stores, now.instances) == (1, 2)
        assert now.memories - before.memories == 2
        assert now.linked_groups - before.linked_groups == 2
        assert now.compilations == 1
    after = engine.statistics()
    assert (after.stores, after.instances, after.memories, after.linked_groups) == (
        0,
        0,
        before.memories,
        before.linked_groups,
    )
