"""Ten thousand of everything: counters, the memory map and the memory in use return to where they were."""

from __future__ import annotations

import gc
import weakref

import pytest

from farcall.engine import Engine, ExhaustionError, FunctionType, Limits, LinkError, MemoryType, Store, Trap
from tests.engine.guests import mappings, resident_bytes, wait_until, wasm


@pytest.fixture
def engine():
    """One whose code is all there from the beginning, and takes the same memory to the end."""
    with Engine(code_policy="optimized") as engine:
        yield engine


ROUNDS = 10_000

LIBRARY = """(module (memory (export "m") 1) (table (export "t") 4 funcref) (global (export "g") (mut i32)
    (i32.const 0))
  (func (export "f") (result i32) (i32.const 7)) (func (export "keep") (param funcref)))"""
ALONE = """(module (memory 1) (table 10 funcref) (func $f (export "f") (result i32) (i32.store
    (i32.const 0) (i32.const 3))
  (i32.load (i32.const 0))) (elem (i32.const 0) $f))"""
LINKED = """(module (import "l" "m" (memory 1)) (import "l" "f" (func $f (result i32))) (import "l" "g"
    (global (mut i32)))
  (func (export "f") (result i32) (call $f)))"""
SHARING = """(module (import "l" "t" (table 4 funcref)) (import "l" "keep" (func $keep (param funcref)))
  (func $f (export "f") (result i32) (i32.const 7)) (elem (i32.const 1) $f)
  (func (export "clear") (call $keep (ref.func $f)) (table.set (i32.const 1) (ref.null func))))"""


def assert_flat(engine, round_, *, rounds=ROUNDS):
    """Do the round often; nothing of it stays."""
    for _ in range(rounds // 20):
        round_()
    gc.collect()
    before, maps, resident = engine.statistics(), len(mappings()), resident_bytes()
    for _ in range(rounds):
        round_()
    gc.collect()
    after = engine.statistics()
    for counter in ("stores", "instances", "memories", "linked_groups", "compiled_modules", "code_bytes"):
        assert getattr(after, counter) == getattr(before, counter), counter
    assert len(mappings()) <= maps + 10
    # LLVM itself keeps some 10 to 20 KB of every optimised compilation.
    assert resident_bytes() - resident < 16 << 20, (
        f"{(resident_bytes() - resident) / rounds:.0f} bytes a round"
    )


def test_instances(engine, store):
    module = engine.load_module(wasm(ALONE))

    def round_():
        with store.instantiate(module) as instance:
            assert instance.exports.f() == 3

    assert_flat(engine, round_)


@pytest.mark.parametrize("text", [LINKED, SHARING], ids=["without references", "with references"])
def test_instances_linked_to_a_library_that_lives_on(engine, store, text):
    library = store.instantiate(engine.load_module(wasm(LIBRARY)))
    module = engine.load_module(wasm(text))

    def round_():
        with store.instantiate(module, {"l": library}) as instance:
            assert instance.exports.f() == 7
            if text is SHARING:
                instance.exports.clear()

    assert_flat(engine, round_)


def test_instances_that_a_library_refers_to_one_after_the_other(engine, store):
    """Each overwrites the reference to the one before."""
    library = store.instantiate(engine.load_module(wasm(LIBRARY)))
    module = engine.load_module(wasm(SHARING))

    def round_():
        with store.instantiate(module, {"l": library}) as instance:
            assert instance.exports.f() == 7

    assert_flat(engine, round_)


def test_pairs_that_hold_each_other(engine, store):
    library_module, module = (engine.load_module(wasm(text)) for text in (LIBRARY, SHARING))

    def round_():
        library = store.instantiate(library_module)
        user = store.instantiate(module, {"l": library})
        library.close()
        user.close()

    assert_flat(engine, round_, rounds=ROUNDS // 2)


def test_failed_instantiations(engine, store):
    library = store.instantiate(engine.load_module(wasm(LIBRARY)))
    modules = [
        engine.load_module(wasm(text))
        for text in (
            "(module (memory 1) (table 5 funcref) (start 0) (func unreachable))",
            '(module (import "l" "m" (memory 1)) (data (i32.const 65536) "x"))',
            '(module (import "l" "none" (func)) (memory 1))',
            "(module (memory 2) (table 1 funcref) (func $f) (elem (i32.const 1) $f))",
        )
    ]

    def round_():
        for module in modules:
            with pytest.raises((Trap, LinkError)):
                store.instantiate(module, {"l": library})

    assert_flat(engine, round_, rounds=ROUNDS // 4)


def test_stores(engine):
    module = engine.load_module(wasm(ALONE))

    def round_():
        with Store(engine) as store:
            store.memory(MemoryType(Limits(1)))
            store.instantiate(module)
            store.instantiate(module)

    assert_flat(engine, round_, rounds=ROUNDS // 4)


def test_modules_compiled_and_deleted():
    """Different ones, each with function types of its own."""
    numbers = iter(range(10**6))
    kinds = ("i32", "i64", "f32", "f64")

    def text() -> str:
        number = next(numbers)
        types = " ".join(kinds[number >> 2 * digit & 3] for digit in range(6))
        return f'(module (memory 1) (func (export "f{number}") (param {types}) (result i32) (i32.const {number})))'

    with Engine(code_policy="optimized") as engine, Store(engine) as store:

        def round_():
            module = engine.load_module(bytes(_assemble(text())))
            engine.compile_module(module, ensure_termination=True)
            store.instantiate(module).close()
            engine.delete_compiled_module(module)

        assert_flat(engine, round_, rounds=400)
        assert engine.compiled_module_count() == 0


def _assemble(text: str) -> bytes:
    import wasmtime

    return bytes(wasmtime.wat2wasm(text))


def test_modules_that_are_compiled_when_they_are_called():
    """Each round is over before the optimiser has begun, or while it is at it."""
    body = "".join(f"(local.set 1 (i32.xor (local.get 1) (i32.const {number})))" for number in range(100))
    watched: list[weakref.ref[object]] = []
    numbers, results = iter(range(10**6)), iter(range(300, 10**6))

    def text() -> str:
        number = next(numbers)
        return f"""(module (memory 1) (global (mut i32) (i32.const {number}))
            (func $mix (param i32) (result i32) (local i32) {body} (i32.add (local.get 1) (local.get 0)))
            (func (export "go") (result i32) (local i32) (loop
              (local.set 0 (call $mix (i32.add (local.get 0) (i32.const 1))))
              (global.set 0 (i32.add (global.get 0) (i32.const 1)))
              (br_if 0 (i32.lt_u (global.get 0) (i32.const {number + 300}))))
              (global.get 0)))"""

    with Engine() as engine, Store(engine) as store:

        def round_() -> None:
            source = bytes(_assemble(text()))
            module = engine.load_module(source)
            compiled = engine.compile_module(module, ensure_termination=True)
            with store.instantiate(compiled) as instance:
                assert instance.exports.go() == next(results)
            engine.delete_compiled_module(module)
            watched.extend((weakref.ref(module), weakref.ref(compiled.code)))

        assert_flat(engine, round_, rounds=60)
        wait_until(lambda: not any(watch() for watch in watched))
        assert len(watched) == 2 * 63
        assert engine.statistics().code_bytes == 0


def test_the_same_bytes_loaded_again_and_again(engine, store):
    """Each load gives a module of its own; the code is shared."""
    source = wasm('(module (memory 1) (data (i32.const 0) "' + "x" * 20_000 + '"))')

    def round_():
        store.instantiate(engine.load_module(source)).close()

    assert_flat(engine, round_, rounds=2000)
    assert engine.statistics().compilations == 1
    assert engine.compiled_module_count() == 1


def test_host_functions(engine, store):
    module = engine.load_module(
        wasm(
            '(module (import "" "h" (func $h (param i32) (result i32))) (func (export "f") (result i32)'
            " (call $h (i32.const 1))))"
        )
    )
    from farcall.engine import I32

    def round_():
        host = store.host_function(FunctionType((I32,), (I32,)), lambda value: value + 1)
        with store.instantiate(module, {"": {"h": host}}) as instance:
            assert instance.exports.f() == 2

    assert_flat(engine, round_)


def test_calls_make_no_native_resources(make):
    """Neither fast nor slow ones, nor traps: the memory map stays as it is."""
    instance = make(
        '(module (func (export "f") (param i32) (result i32) (local.get 0)) (func (export "trap") unreachable))'
    )
    function, trap = instance.exports.f, instance.exports.trap

    def calls() -> None:
        for _ in range(500):
            function(1)
            function.call_bits((1,))
            function.invocation((1,)).run()
            with pytest.raises(Trap):
                trap()

    calls()
    gc.collect()
    before, resident = mappings(), resident_bytes()
    for _ in range(10):
        calls()
    assert len(mappings()) <= len(before) + 5
    assert resident_bytes() - resident < 4 << 20


def test_memories_are_zero_again(engine, store):
    """A slot that comes back has nothing of the last one in it, also beyond what the new one starts with."""
    filler = engine.load_module(
        wasm(
            '(module (memory (export "m") 1) (func (export "f") (drop (memory.grow (i32.const 15)))'
            " (memory.fill (i32.const 0) (i32.const 255) (i32.const 1048576))))"
        )
    )
    reader = engine.load_module(wasm('(module (memory (export "m") 1))'))
    for _ in range(20):
        with store.instantiate(filler) as instance:
            instance.exports.f()
        with store.instantiate(reader) as instance:
            memory = instance.memory("m")
            assert memory.pages == 1
            memory.grow(31)
            assert not any(memory.read(0, memory.size))


def test_when_all_memories_are_in_use(monkeypatch, make, engine):
    """The error says what to do, and doing it helps."""
    from farcall.engine.runtime.native.machine import native_runtime

    pool = native_runtime().space.memories
    kept = [make("(module (memory 1))") for _ in range(3)]
    monkeypatch.setattr(pool, "_count", pool._fresh)
    taken = []

    def take_all() -> None:
        while True:
            taken.append(make("(module (memory 1))"))

    with pytest.raises(ExhaustionError, match="memories are in use; close instances"):
        take_all()
    kept.pop().close()
    make("(module (memory 1))")
