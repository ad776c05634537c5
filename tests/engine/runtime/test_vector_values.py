"""Vectors from Python to guests and back: arguments, results, globals, host functions, listeners, bit patterns."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine import I32, V128, ArgumentError, Engine, FunctionType, GlobalType, LinkError, Store

ONE, TWO = bytes(range(16)), bytes(range(100, 116))


@pytest.fixture
def store():
    with Engine() as engine, Store(engine) as store:
        yield store


def instantiate(store, text, imports=None):
    return store.instantiate(store.engine.load_module(bytes(wasmtime.wat2wasm(text))), imports or {})


SWAP = '(module (func (export "swap") (param v128 v128) (result v128 v128) (local.get 1) (local.get 0)))'


def test_a_vector_is_sixteen_bytes(store):
    swap = instantiate(store, SWAP).exports.swap
    assert swap(ONE, TWO) == (TWO, ONE)
    assert swap(bytearray(ONE), TWO) == (TWO, ONE)
    assert swap.call((ONE, TWO)) == (TWO, ONE)
    assert swap.call_many([(ONE, TWO), (TWO, ONE)]) == [(TWO, ONE), (ONE, TWO)]
    assert swap.invocation((ONE, TWO)).run() == (TWO, ONE)


@pytest.mark.parametrize("wrong", [b"", bytes(15), bytes(17), 1, 1.5, None, "0123456789abcdef", (0,) * 16])
def test_nothing_else_is(store, wrong):
    swap = instantiate(store, SWAP).exports.swap
    with pytest.raises(ArgumentError, match="argument 1: v128 wants 16 bytes") as raised:
        swap(ONE, wrong)
    assert raised.value.index == 1
    with pytest.raises(ArgumentError):
        swap.call((wrong, ONE))
    (outcome, right) = swap.call_many([(wrong, ONE), (ONE, TWO)])
    assert isinstance(outcome, ArgumentError)
    assert right == (TWO, ONE)


def test_as_bit_patterns_a_vector_takes_two_slots(store):
    instance = instantiate(
        store,
        '(module (func (export "f") (param i32 v128 i64) (result i64 v128 i32)'
        " (local.get 2) (local.get 1) (local.get 0)))",
    )
    f = instance.function("f")
    assert f.call_bits([1, 2, 3, 4]) == (4, 2, 3, 1)
    assert f(1, ONE, 4) == (4, ONE, 1)
    with pytest.raises(ArgumentError, match="3 slots given where 4 are wanted"):
        f.call_bits([1, 2, 3])


def test_more_vectors_than_there_are_registers(store):
    """They go through the stack, between Python and guests and from guest to guest."""
    count = 20
    types = " ".join(["v128"] * count)
    gets = " ".join(f"(local.get {position})" for position in reversed(range(count)))
    instance = instantiate(
        store,
        f"""(module
          (func $reverse (export "reverse") (param {types}) (result {types}) {gets})
          (func (export "through") (param {types}) (result {types}) (call $reverse {gets}))
          (func (export "odd") (param i32 {types}) (result {types} i32)
            {" ".join(f"(local.get {position})" for position in range(1, count + 1))} (local.get 0)))""",
    )
    vectors = tuple(bytes([number]) * 16 for number in range(count))
    assert instance.exports.reverse(*vectors) == vectors[::-1]
    assert instance.exports.through(*vectors) == vectors
    assert instance.exports.odd(7, *vectors) == (*vectors, 7)


def test_vectors_through_blocks_branches_and_selections(store):
    instance = instantiate(
        store,
        """(module (type $two (func (param v128 v128) (result v128 v128)))
          (func (export "blocks") (param v128 v128 i32) (result v128) (local v128)
            (block (result v128)
              (loop (result v128)
                (local.set 3 (i8x16.add (local.get 3) (local.get 0)))
                (br_if 1 (local.get 3) (i32.eqz (local.get 2)))
                (drop)
                (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
                (br 0))))
          (func (export "if") (param v128 v128 i32) (result v128 v128)
            (local.get 0) (local.get 1)
            (if (type $two) (local.get 2) (then) (else (drop) (drop) (local.get 1) (local.get 0))))
          (func (export "select") (param v128 v128 i32) (result v128 v128)
            (select (local.get 0) (local.get 1) (local.get 2))
            (select (result v128) (local.get 0) (local.get 1) (local.get 2)))
          (func (export "default") (result v128) (local v128) (local.get 0))
          (func (export "table") (param i32) (result v128)
            (block (result v128) (block (result v128) (v128.const i64x2 1 2) (br_table 0 1 (local.get 0)))
              (drop) (v128.const i64x2 3 4))))""",
    )
    assert instance.function("blocks")(b"\3" * 16, ONE, 4) == bytes([15]) * 16
    assert instance.function("if")(ONE, TWO, 1) == (ONE, TWO)
    assert instance.function("if")(ONE, TWO, 0) == (TWO, ONE)
    assert instance.function("select")(ONE, TWO, 1) == (ONE, ONE)
    assert instance.function("select")(ONE, TWO, 0) == (TWO, TWO)
    assert instance.function("default")() == bytes(16)
    assert instance.function("table")(1) == b"\1" + bytes(7) + b"\2" + bytes(7)
    assert instance.function("table")(0) == b"\3" + bytes(7) + b"\4" + bytes(7)


def test_host_functions_take_and_give_vectors(store):
    host = store.host_function(
        FunctionType((I32, V128, V128), (V128, I32)), lambda number, a, b: (bytes(a[:8] + b[8:]), number + 1)
    )
    instance = instantiate(
        store,
        """(module (import "env" "mix" (func $mix (param i32 v128 v128) (result v128 i32)))
          (func (export "call") (param v128 v128) (result v128 i32)
            (call $mix (i32.const 41) (local.get 1) (local.get 0))))""",
        {"env": {"mix": host}},
    )
    assert instance.function("call")(ONE, TWO) == (TWO[:8] + ONE[8:], 42)
    assert host(1, ONE, TWO) == (ONE[:8] + TWO[8:], 2)
    assert host.call_bits([1, 2, 3, 4, 5]) == (2, 5, 2)


def test_a_host_functions_vector_is_checked(store):
    host = store.host_function(FunctionType((), (V128,)), lambda: b"short", "wrong")
    instance = instantiate(
        store,
        """(module (import "env" "wrong" (func $wrong (result v128)))
          (func (export "call") (result v128) (call $wrong)))""",
        {"env": {"wrong": host}},
    )
    with pytest.raises(ArgumentError, match="result of the host function wrong"):
        instance.function("call")()
    with pytest.raises(ArgumentError, match="result of the host function wrong"):
        host()


def test_globals_hold_vectors(store):
    exporter = instantiate(
        store,
        """(module
          (global $constant (export "constant") v128 (v128.const i32x4 1 2 3 4))
          (global (export "copy") v128 (global.get $constant))
          (global $variable (export "variable") (mut v128) (v128.const i64x2 -1 5))
          (func (export "set") (param v128) (global.set $variable (local.get 0)))
          (func (export "get") (result v128 v128) (global.get $variable) (global.get $constant)))""",
    )
    assert exporter.global_("constant").value == bytes.fromhex("01000000020000000300000004000000")
    assert exporter.global_("copy").value == exporter.global_("constant").value
    assert exporter.global_("variable").bits == 5 << 64 | (1 << 64) - 1
    exporter.exports.set(ONE)
    assert exporter.global_("variable").value == ONE
    exporter.global_("variable").value = TWO
    assert exporter.function("get")() == (TWO, exporter.global_("constant").value)
    with pytest.raises(ArgumentError, match="v128 wants 16 bytes"):
        exporter.global_("variable").value = bytes(8)
    importer = instantiate(
        store,
        """(module (import "env" "constant" (global $c v128)) (import "env" "variable" (global $v (mut v128)))
          (import "env" "host" (global $h v128)) (global (export "own") v128 (global.get $h))
          (func (export "get") (result v128 v128 v128) (global.get $c) (global.get $v) (global.get $h)))""",
        {
            ("env", "host"): store.global_(GlobalType(V128, mutable=False), ONE),
            "env": exporter,
        },
    )
    assert importer.function("get")() == (exporter.global_("constant").value, TWO, ONE)
    assert importer.global_("own").value == ONE


def test_linking_tells_vectors_from_other_types(store):
    exporter = instantiate(store, '(module (func (export "f") (param i64 i64)))')
    with pytest.raises(LinkError, match="v128"):
        instantiate(store, '(module (import "env" "f" (func (param v128))))', {"env": exporter})


def test_listeners_are_told_of_vectors(store):
    heard = []

    class Listener:
        def before(self, function, arguments):
            heard.append(("before", arguments))

        def after(self, function, results):
            heard.append(("after", results))

        def abort(self, function, error):
            heard.append(("abort", error))

    module = store.engine.load_module(bytes(wasmtime.wat2wasm(SWAP)))
    compiled = store.engine.compile_module(module, [Listener()])
    assert store.instantiate(compiled).exports.swap(ONE, TWO) == (TWO, ONE)
    assert heard == [("before", (ONE, TWO)), ("after", (TWO, ONE))]
