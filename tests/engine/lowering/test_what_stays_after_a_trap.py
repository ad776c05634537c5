"""What a guest did before it trapped stays done, however the trap comes, and nothing after it happens."""

from __future__ import annotations

import pytest

from farcall.engine import Trap, TrapKind

TRAPS = {
    TrapKind.UNREACHABLE: "(unreachable)",
    TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS: "(drop (i32.load (i32.const -4)))",
    TrapKind.INTEGER_DIVIDE_BY_ZERO: "(drop (i32.div_u (i32.const 1) (global.get $zero)))",
    TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS: "(drop (table.get $t (i32.const 9)))",
    TrapKind.UNDEFINED_ELEMENT: "(call_indirect $t (i32.const 9))",
    TrapKind.UNINITIALIZED_ELEMENT: "(call_indirect $t (i32.const 3))",
    TrapKind.CALL_STACK_EXHAUSTED: "(call $endless)",
    TrapKind.UNALIGNED_ATOMIC: "(i32.atomic.store (i32.const 10) (i32.const 3))",
    TrapKind.EXPECTED_SHARED_MEMORY: "(drop (memory.atomic.wait64 (i32.const 8) (i64.const 1) (i64.const -1)))",
}


def module(trap: str) -> str:
    return f"""(module
      (memory (export "memory") 1)
      (table $t (export "table") 4 funcref)
      (global $zero (mut i32) (i32.const 0))
      (global $g (export "global") (mut i64) (i64.const 0))
      (data $d "abc")
      (elem declare func $endless)
      (func $endless (call $endless))
      (func (export "run")
        (i32.store (i32.const 8) (i32.const 1))
        (global.set $g (i64.const 1))
        (table.set $t (i32.const 0) (ref.func $endless))
        (data.drop $d)
        {trap}
        (i32.store (i32.const 8) (i32.const 2))
        (global.set $g (i64.const 2))
        (table.set $t (i32.const 0) (ref.null func)))
      (func (export "segment") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))"""


@pytest.mark.parametrize("kind", TRAPS, ids=lambda kind: kind.name.lower())
def test_effects_before_the_trap_stay(instantiate, kind):
    instance = instantiate(module(TRAPS[kind]))
    with pytest.raises(Trap) as trap:
        instance.exports.run()
    assert trap.value.kind is kind
    assert instance.memory("memory").read(8, 4) == b"\1\0\0\0"
    assert instance.global_("global").value == 1
    assert instance.table("table").get(0) is not None
    with pytest.raises(Trap) as dropped:
        instance.exports.segment()
    assert dropped.value.kind is TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS
