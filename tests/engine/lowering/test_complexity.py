"""Functions that would hold LLVM's optimiser are compiled all the same, soon, and run right."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine import Engine, ExhaustionError, Store, Trap, TrapKind
from farcall.engine.lowering import context, is_complex

ORDINARY = (
    '(func $ordinary (export "ordinary") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))'
)


@pytest.fixture
def engine():
    """One that compiles all of a module at once."""
    with Engine(code_policy="optimized") as engine:
        yield engine


def _divisions(count: int) -> str:
    steps = "(local.set 0 (i32.div_s (local.get 0) (local.get 1)))" * count
    return (
        f'(func (export "f") (param i32 i32) (result i32) {steps}'
        " (i32.add (call $ordinary (local.get 0)) (i32.const 1)))"
    )


def _branches_and_locals(count: int) -> str:
    steps = "".join(
        f"(if (i32.and (local.get 0) (i32.const {1 << position % 31}))"
        f" (then (local.set {position + 1} (i32.add (local.get 0) (i32.const {position})))))"
        for position in range(count)
    )
    total = "".join(
        f"(local.set 0 (i32.xor (local.get 0) (local.get {position + 1})))" for position in range(count)
    )
    return (
        f'(func (export "f") (param i32) (result i32) (local {"i32 " * count}) {steps} {total} (local.get 0))'
    )


def _expected(value: int, count: int) -> int:
    total = value
    for position in range(count):
        if value & 1 << position % 31:
            total ^= value + position
    return total


@pytest.mark.timeout(60)
def test_two_thousand_divisions_by_one_divisor_are_compiled_without_optimisation():
    with Engine(code_policy="optimized") as engine, Store(engine) as store:
        module = engine.load_module(wasmtime.wat2wasm(f"(module {ORDINARY} {_divisions(2000)})"))
        assert [is_complex(module, body) for body in module.functions] == [False, True]
        instance = store.instantiate(module)
        assert instance.exports.f(1, 1) == 4
        assert instance.exports.ordinary(5) == 15
        with pytest.raises(Trap) as trapped:
            instance.exports.f(1, 0)
        assert trapped.value.kind is TrapKind.INTEGER_DIVIDE_BY_ZERO
        assert [frame.function_index for frame in trapped.value.backtrace] == [1]


@pytest.mark.timeout(60)
def test_thousands_of_atomic_accesses_are_compiled_without_optimisation():
    count = 5000
    accesses = "(drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))" * count
    with Engine(code_policy="optimized") as engine, Store(engine) as store:
        module = engine.load_module(
            wasmtime.wat2wasm(
                f'(module (memory 1) (func (export "f") (param i32) {accesses})'
                ' (func (export "g") (param i32) (result i32) (i32.load (local.get 0))))'
            )
        )
        assert [is_complex(module, body) for body in module.functions] == [True, False]
        instance = store.instantiate(module)
        instance.exports.f(8)
        assert instance.exports.g(8) == count
        with pytest.raises(Trap) as trapped:
            instance.exports.f(2)
        assert trapped.value.kind is TrapKind.UNALIGNED_ATOMIC


@pytest.mark.timeout(60)
def test_thousands_of_locals_changed_across_branches_are_compiled_without_optimisation():
    count = 4000
    with Engine(code_policy="optimized") as engine, Store(engine) as store:
        module = engine.load_module(wasmtime.wat2wasm(f"(module {_branches_and_locals(count)})"))
        assert is_complex(module, module.functions[0])
        f = store.instantiate(module).function("f")
        for value in (0, 1, 0x55555555, 1234567):
            assert f(value) == _expected(value, count)


def test_what_compilers_make_is_optimised():
    with Engine(code_policy="optimized") as engine:
        module = engine.load_module(wasmtime.wat2wasm(f"(module {ORDINARY} {_divisions(500)})"))
        assert not any(is_complex(module, body) for body in module.functions)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("memory", ["i64 1", "1 (pagesize 65536)", "65536 (pagesize 1)"])
def test_thousands_of_checked_accesses_are_compiled_without_optimisation(memory):
    index = "i64" if memory.startswith("i64") else "i32"
    adds = "".join(f"(i32.load8_u offset={position} (local.get 0)) (i32.add)" for position in range(4001))
    text = f'(func (export "f") (param {index}) (result i32) (i32.const 5) {adds})'
    with Engine(code_policy="optimized") as engine, Store(engine) as store:
        module = engine.load_module(wasmtime.wat2wasm(f"(module (memory {memory}) {text})"))
        assert is_complex(module, module.functions[0]) == ("65536)" not in memory)
        f = store.instantiate(module).function("f")
        assert f(0) == 5
        assert f(65536 - 4001) == 5
        with pytest.raises(Trap):
            f(65536 - 4000)


def _results(count: int) -> str:
    return f"(result {'i32 ' * count})"


def test_many_results_are_handed_on(engine: Engine) -> None:
    """Their structure has a name in LLVM's text, which stays short."""
    constants = "".join(f"(i32.add (local.get 0) (i32.const {position}))" for position in range(200))
    sums = "i32.add " * 199
    module = engine.load_module(
        wasmtime.wat2wasm(
            f"""(module (type $many (func (param i32) {_results(200)}))
                (table funcref (elem $many))
                (func $many (export "many") (type $many) {constants})
                (func (export "sum") (param i32) (result i32) (call $many (local.get 0)) {sums})
                (func (export "indirect") (param i32) (result i32)
                    (call_indirect (type $many) (local.get 0) (i32.const 0)) {sums})
                (func (export "on") (type $many) (call $many (local.get 0))))"""
        )
    )
    with Store(engine) as store:
        exports = store.instantiate(module).exports
        expected = tuple(range(5, 205))
        assert exports.many(5) == exports.on(5) == expected
        assert exports.sum(5) == exports.indirect(5) == sum(expected)


@pytest.mark.parametrize(("functions", "pairs"), [(1, 60), (2, 30)])
def test_calls_that_carry_too_many_values_are_refused(engine, monkeypatch, functions, pairs):
    """Four bytes that hand a thousand values from one call to another: too many in a function, or in a module."""
    monkeypatch.setattr(context, "CARRIED_LIMIT", 100_000)
    body = "call $results call $parameters " * pairs
    module = engine.load_module(
        wasmtime.wat2wasm(
            f"""(module (func $results {_results(1000)} unreachable)
                (func $parameters (param {"i32 " * 1000}))
                {f"(func {body})" * functions})"""
        )
    )
    before = engine.compiled_module_count()
    with pytest.raises(ExhaustionError, match="too complex to compile: its branches and calls"):
        engine.compile_module(module)
    assert engine.compiled_module_count() == before


@pytest.mark.timeout(60)
def test_a_thousand_blocks_that_catch_are_compiled_without_optimisation():
    block = """(block $caught (result i64)
        (try_table (catch $e $caught) (local.set 1 (i64.add (local.get 1) (i64.const 1))) (call $throw)) (i64.const 0))
        (local.set 1 (i64.add (local.get 1)))"""
    throw = "(tag $e (param i64)) (func $throw (throw $e (i64.const 2)))"
    catching = f'(func (export "f") (result i64) (local i64 i64) {block * 1000} (local.get 1))'
    with Engine(code_policy="optimized") as engine, Store(engine) as store:
        module = engine.load_module(wasmtime.wat2wasm(f"(module {throw} {catching})"))
        assert [is_complex(module, body) for body in module.functions] == [False, True]
        assert store.instantiate(module).exports.f() == 3000


def test_blocks_that_catch_are_counted_in_small_functions_too():
    many = f"(module (func {'(try_table (catch_all 0))' * 300}))"
    with Engine(code_policy="optimized") as engine:
        module = engine.load_module(wasmtime.wat2wasm(many))
        assert [is_complex(module, body) for body in module.functions] == [True]
