"""Every kind of trap, where it happened, and what is left of the instance afterwards."""

from __future__ import annotations

import pytest

from farcall.engine import I32, FunctionType, Trap, TrapKind
from tests.engine.guests import Background

TRAPS = {
    TrapKind.UNREACHABLE: ("unreachable", "unreachable"),
    TrapKind.INTEGER_DIVIDE_BY_ZERO: (
        "integer divide by zero",
        "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 8))))",
    ),
    TrapKind.INTEGER_OVERFLOW: (
        "integer overflow",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 8)) (i32.const 1))))",
    ),
    TrapKind.INVALID_CONVERSION_TO_INTEGER: (
        "invalid conversion to integer",
        "(drop (i32.trunc_f32_s (f32.const nan)))",
    ),
    TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS: (
        "out of bounds memory access",
        "(i32.store (i32.const 65533) (i32.const 1))",
    ),
    TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS: (
        "out of bounds table access",
        "(drop (table.get 0 (i32.const 3)))",
    ),
    TrapKind.UNDEFINED_ELEMENT: ("undefined element", "(call_indirect (type $v) (i32.const 3))"),
    TrapKind.UNINITIALIZED_ELEMENT: ("uninitialized element", "(call_indirect (type $v) (i32.const 1))"),
    TrapKind.INDIRECT_CALL_TYPE_MISMATCH: (
        "indirect call type mismatch",
        "(call_indirect (type $v) (i32.const 0))",
    ),
    TrapKind.CALL_STACK_EXHAUSTED: ("call stack exhausted", "(call $endless)"),
    TrapKind.NULL_EXCEPTION_REFERENCE: ("null exception reference", "(throw_ref (ref.null exn))"),
    TrapKind.UNALIGNED_ATOMIC: ("unaligned atomic", "(drop (i32.atomic.load (i32.const 2)))"),
    TrapKind.EXPECTED_SHARED_MEMORY: (
        "expected shared memory",
        "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))",
    ),
    TrapKind.NULL_REFERENCE: ("null reference", "(drop (ref.as_non_null (ref.null any)))"),
    TrapKind.NULL_FUNCTION_REFERENCE: ("null function reference", "(call_ref $v (ref.null $v))"),
    TrapKind.NULL_STRUCTURE_REFERENCE: (
        "null structure reference",
        "(drop (struct.get $pair 0 (ref.null $pair)))",
    ),
    TrapKind.NULL_ARRAY_REFERENCE: ("null array reference", "(drop (array.len (ref.null array)))"),
    TrapKind.NULL_I31_REFERENCE: ("null i31 reference", "(drop (i31.get_s (ref.null i31)))"),
    TrapKind.CAST_FAILURE: ("cast failure", "(drop (ref.cast (ref $pair) (ref.i31 (i32.const 1))))"),
    TrapKind.OUT_OF_BOUNDS_ARRAY_ACCESS: (
        "out of bounds array access",
        "(drop (array.get $numbers (array.new_default $numbers (i32.const 2)) (i32.const 2)))",
    ),
    TrapKind.NULL_DESCRIPTOR_REFERENCE: (
        "null descriptor reference",
        "(drop (struct.new_desc $described (ref.null none)))",
    ),
    TrapKind.DESCRIPTOR_CAST_FAILURE: (
        "descriptor cast failure",
        """(drop (ref.cast_desc_eq (ref $described)
             (struct.new_desc $described (struct.new $descriptor)) (struct.new $descriptor)))""",
    ),
}

MODULE = """(module $guest
  (type $v (func)) (type $i (func (param i32) (result i32)))
  (type $pair (struct (field i32 i32))) (type $numbers (array (mut i64)))
  (rec (type $described (descriptor $descriptor) (struct)) (type $descriptor (describes $described) (struct)))
  (memory (export "m") 1) (table 3 funcref) (elem (i32.const 0) $probe)
  (func $endless (call $endless) (call $endless))
  (func $probe (export "probe") (type $i) (i32.load (local.get 0)))
  (func $innermost (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) {body})
  (func $middle (call $innermost))
  (func (export "go") (call $middle)))"""


def test_every_kind_is_covered():
    assert set(TRAPS) == set(TrapKind)


@pytest.mark.parametrize("kind", TRAPS, ids=lambda kind: kind.name.lower())
class TestEachKind:
    def test_it_reaches_the_caller_with_kind_message_and_backtrace(self, make, kind):
        message, body = TRAPS[kind]
        instance = make(MODULE.format(body=body))
        with pytest.raises(Trap) as raised:
            instance.exports.go()
        trap = raised.value
        assert trap.kind is kind
        assert trap.message == message == trap.kind.message
        names = [str(frame) for frame in trap.backtrace]
        assert str(trap).splitlines() == [message, *(f"  {n}: {name}" for n, name in enumerate(names))]
        if kind is TrapKind.CALL_STACK_EXHAUSTED:
            assert len(names) == 64
            assert set(names) == {"guest!endless"}
        else:
            assert names == ["guest!innermost", "guest!middle", "guest!go"]
            assert [frame.function_index for frame in trap.backtrace] == [2, 3, 4]

    def test_the_instance_stays_usable_and_keeps_what_was_done_before(self, make, kind):
        instance = make(MODULE.format(body=TRAPS[kind][1]))
        for count in range(1, 200):
            with pytest.raises(Trap):
                instance.exports.go()
            assert instance.exports.probe(0) == count
        assert instance.memory("m").read(0, 4) == (199).to_bytes(4, "little")

    def test_many_threads_trap_at_once(self, make, kind):
        count = 50 if kind is TrapKind.CALL_STACK_EXHAUSTED else 1000
        instances = [make(MODULE.format(body=TRAPS[kind][1])) for _ in range(8)]

        def work(instance) -> set:
            kinds = set()
            for _ in range(count):
                try:
                    instance.exports.go()
                except Trap as trap:
                    kinds.add((trap.kind, trap.backtrace[0].function_name))
            assert instance.exports.probe(0) == count
            return kinds

        threads = [Background(lambda instance=instance: work(instance)) for instance in instances]
        expected = "endless" if kind is TrapKind.CALL_STACK_EXHAUSTED else "innermost"
        for thread in threads:
            assert thread.value(120) == {(kind, expected)}

    def test_in_a_batch_the_other_calls_go_on(self, make, kind):
        text = MODULE.format(body=TRAPS[kind][1]).removesuffix(")") + (
            '(func (export "maybe") (param i32) (result i32)'
            " (if (local.get 0) (then (call $innermost))) (i32.const 9)))"
        )
        outcomes = make(text).function("maybe").call_many([(0,), (1,), (0,), (1,)])
        assert outcomes[0] == outcomes[2] == (9,)
        assert [outcome.kind for outcome in outcomes[1::2]] == [kind, kind]

    def test_as_invocation_and_with_bits(self, make, kind):
        instance = make(MODULE.format(body=TRAPS[kind][1]))
        for call in (
            instance.function("go").invocation(()).run,
            lambda: instance.function("go").call_bits(()),
        ):
            with pytest.raises(Trap) as raised:
                call()
            assert raised.value.kind is kind

    def test_in_a_start_function(self, make, store, kind):
        text = MODULE.format(body=TRAPS[kind][1]).removesuffix(")") + "(start $middle))"
        with pytest.raises(Trap) as raised:
            make(text)
        assert raised.value.kind is kind
        assert store.instance_count == 0


def frames(text_or_trap) -> list[str]:
    return [str(frame) for frame in text_or_trap.backtrace]


def test_names_come_from_the_name_section_then_from_exports_else_the_index(make):
    instance = make(
        """(module (func unreachable) (func (export "exported") (call 0)) (func $named (call 1))
        (func $both (export "not this") (call $named)) (func (export "go") (call $both)))"""
    )
    with pytest.raises(Trap) as raised:
        instance.exports.go()
    assert frames(raised.value) == [
        "<module>!<function 0>",
        "<module>!exported",
        "<module>!named",
        "<module>!both",
        "<module>!go",
    ]


def test_frames_of_both_modules_through_imports(make):
    library = make('(module $library (func $crash (export "f") (unreachable)))')
    user = make(
        '(module $user (import "l" "f" (func $f)) (func $use (call $f)) (func (export "go") (call $use)))',
        {"l": library},
    )
    with pytest.raises(Trap) as raised:
        user.exports.go()
    assert frames(raised.value) == ["library!crash", "user!use", "user!go"]


def test_frames_through_a_table_of_another_instance(make):
    library = make(
        '(module $library (table (export "t") 1 funcref) (elem (i32.const 0) $f) (func $f (unreachable)))'
    )
    user = make(
        '(module $user (import "l" "t" (table 1 funcref)) (func (export "go") (call_indirect (i32.const 0))))',
        {"l": library},
    )
    with pytest.raises(Trap) as raised:
        user.exports.go()
    assert frames(raised.value) == ["library!f", "user!go"]


def test_frames_through_host_functions(make, store):
    inner = make('(module $inner (func $deep (unreachable)) (func $top (export "f") (call $deep)))')
    host = store.host_function(FunctionType((), ()), inner.exports.f)
    outer = make(
        '(module $outer (import "" "h" (func $h)) (func $a (call $h)) (func (export "go") (call $a)))',
        {"": {"h": host}},
    )
    with pytest.raises(Trap) as raised:
        outer.exports.go()
    assert frames(raised.value) == ["inner!deep", "inner!top", "outer!a", "outer!go"]


def test_a_host_function_that_catches_the_trap_hides_it(make, store):
    inner = make('(module (func (export "f") (unreachable)))')

    def host() -> int:
        with pytest.raises(Trap):
            inner.exports.f()
        return 3

    function = store.host_function(FunctionType((), (I32,)), host)
    outer = make(
        """(module $outer (import "" "h" (func $h (result i32))) (func $again (drop (call $h)) unreachable)
        (func (export "go") (result i32) (call $h)) (func (export "late") (call $again)))""",
        {"": {"h": function}},
    )
    assert outer.exports.go() == 3
    with pytest.raises(Trap) as raised:
        outer.exports.late()
    assert frames(raised.value) == ["outer!again", "outer!late"]


def test_the_trap_in_the_middle_of_recursion_has_all_frames(make):
    instance = make(
        """(module $m (func $f (param i32) (if (i32.eqz (local.get 0)) (then unreachable))
        (call $f (i32.sub (local.get 0) (i32.const 1)))) (func (export "go") (param i32) (call $f (local.get 0))))"""
    )
    for depth in (0, 1, 10, 61, 62, 63, 200):
        with pytest.raises(Trap) as raised:
            instance.exports.go(depth)
        wanted = ["m!f"] * (depth + 1) + ["m!go"]
        assert frames(raised.value) == wanted[:64]


def test_faults_at_the_end_of_a_memory_are_exact(make):
    """Every width, at the last place that fits and the first that does not, with and without an offset."""
    instance = make(
        """(module (memory 1)
        (func (export "8") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "16") (param i32) (result i32) (i32.load16_u (local.get 0)))
        (func (export "32") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "64") (param i32) (result i64) (i64.load (local.get 0)))
        (func (export "far") (param i32) (result i32) (i32.load8_u offset=4294967295 (local.get 0)))
        (func (export "most") (param i32) (result i64) (i64.load offset=4294967295 (local.get 0))))"""
    )
    for bits in (8, 16, 32, 64):
        function = instance.function(str(bits))
        last = 65536 - bits // 8
        assert function(last) == 0
        for beyond in (last + 1, 65536, 2**31 - 1, -(2**31), -1):
            with pytest.raises(Trap) as raised:
                function(beyond)
            assert raised.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
    for name in ("far", "most"):
        for index in (0, 1, -1):
            with pytest.raises(Trap):
                instance.function(name)(index)


def test_a_function_record_is_not_confused_with_null(make):
    """A null element traps also when the call has many arguments, and where the optimiser could move the load."""
    instance = make(
        """(module (type $t (func (param i32 i64 f32 f64 i32 i32 i32 i32) (result i32))) (table 10 funcref)
        (func (export "go") (param i32) (result i32)
          (call_indirect (type $t) (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 5) (i32.const 6)
          (i32.const 7) (i32.const 8) (local.get 0))))"""
    )
    for index in range(10):
        with pytest.raises(Trap) as raised:
            instance.exports.go(index)
        assert raised.value.kind is TrapKind.UNINITIALIZED_ELEMENT
    with pytest.raises(Trap) as raised:
        instance.exports.go(10)
    assert raised.value.kind is TrapKind.UNDEFINED_ELEMENT
