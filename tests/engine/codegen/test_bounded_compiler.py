"""What would hold LLVM for minutes ends: it is compiled with less work, or refused, and runs right."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import wasmtime

from farcall.engine import Engine, ExhaustionError, Store
from farcall.engine.abi.layout import context_layout
from farcall.engine.codegen.bounded_compiler import OutOfBudgetError, compile_within
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.target import host_target
from farcall.engine.lowering import LoweringOptions, is_soon_compiled, lower_functions, lower_in_batches
from farcall.engine.tiers import batch

OPTIONS = LoweringOptions(ensure_termination=True, listeners=False)
FINE = "define i32 @f(i32 %a) {\n%b = add i32 %a, 1\nret i32 %b\n}\n"


CHAIN = 30_000
"""Operations of which each needs the one before: LLVM's time grows with the square of their number."""


@pytest.fixture
def engine():
    """One that compiles all of a module at once."""
    with Engine(code_policy="optimized") as engine:
        yield engine


def counted(value):
    """What the module of the fixture returns."""
    for _ in range(CHAIN):
        value = value.bit_count()
    return value


@pytest.fixture
def module(engine):
    return engine.load_module(
        wasmtime.wat2wasm(
            '(module (func (export "f") (param i64) (result i64) (local.get 0)' + " i64.popcnt" * CHAIN + "))"
        )
    )


def text_of(module):
    return lower_functions(module, context_layout(module), OPTIONS, module.functions)


def test_the_same_object_as_in_this_process():
    for optimization in Optimization:
        assert compile_within(FINE, host_target(), optimization, 60) == compile_to_object(
            FINE, host_target(), optimization
        )


def test_what_llvm_refuses_is_told_and_the_next_is_compiled():
    with pytest.raises(RuntimeError, match="undefined value"):
        compile_within("define i32 @f() {\nret i32 %nowhere\n}\n", host_target(), Optimization.FULL, 60)
    assert compile_within(FINE, host_target(), Optimization.FULL, 60)


def test_what_takes_longer_is_given_up_and_the_next_is_compiled(module):
    with pytest.raises(OutOfBudgetError, match="more than 1 s"):
        compile_within(text_of(module), host_target(), Optimization.FULL, 1)
    assert compile_within(FINE, host_target(), Optimization.FULL, 60)


def test_what_takes_too_long_runs_unoptimised(engine, module, monkeypatch):
    assert not is_soon_compiled(text_of(module))
    monkeypatch.setattr(batch, "_seconds", lambda _text, kind: 1 if kind is Optimization.FULL else 60)
    with Store(engine) as store:
        f = store.instantiate(module).exports.f
        for value in (0, 1, 7, 0x7FFFFFFFFFFFFFFF):
            assert f(value) == counted(value)


def test_what_takes_too_long_even_so_is_refused_and_leaves_nothing(engine, module, monkeypatch):
    def compile_nothing(*_):
        raise OutOfBudgetError("it took too long")

    monkeypatch.setattr(batch, "compile_within", compile_nothing)
    with pytest.raises(
        ExhaustionError, match="functions 0 to 0 are too complex to compile: it took too long"
    ):
        engine.compile_module(module)
    assert engine.compiled_module_count() == 0


def test_large_modules_are_compiled_in_parts(engine, monkeypatch):
    monkeypatch.setattr("farcall.engine.lowering.module._BATCH_TEXT", 2000)
    functions = "".join(
        f'(func $f{index} (export "f{index}") (param i32) (result i32)'
        f" (i32.add (i32.const {index})"
        f" (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))"
        f" (else (call $f{(index * 7 + 1) % 40} (i32.sub (local.get 0) (i32.const 1)))))))"
        for index in range(40)
    )
    module = engine.load_module(wasmtime.wat2wasm(f"(module {functions})"))
    assert len(list(lower_in_batches(module, context_layout(module), OPTIONS, module.functions))) > 5
    with Store(engine) as store:
        exports = store.instantiate(module).exports
        index, total = 3, 3
        for _ in range(10):
            index = (index * 7 + 1) % 40
            total += index
        assert exports["f3"](10) == total


def test_a_forked_process_compiles_by_itself(module):
    assert compile_within(FINE, host_target(), Optimization.FULL, 60)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if compile_within(FINE, host_target(), Optimization.FULL, 60):
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert compile_within(FINE, host_target(), Optimization.FULL, 60)


def test_without_another_process_it_is_refused(engine, module, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    monkeypatch.setattr("farcall.engine.codegen.bounded_compiler._pool._idle", [])
    with pytest.raises(ExhaustionError, match="no process can be started"):
        engine.compile_module(module)


def test_an_engine_of_another_process_shuts_down_quietly():
    program = (
        "from farcall.engine.codegen.bounded_compiler import compile_within\n"
        "from farcall.engine.codegen.compiler import Optimization\n"
        "from farcall.engine.codegen.target import host_target\n"
        f"assert compile_within({FINE!r}, host_target(), Optimization.FULL, 60)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")
