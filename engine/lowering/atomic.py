"""Atomic memory instructions (threads proposal). Where they may touch memory is decided in `memory_access`.

All are sequentially consistent. They are allowed on memories that are not shared, too; there, nobody can be waited for.
"""

from __future__ import annotations

from typing import Any

from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.instructions.instruction import Instruction, MemoryAccess
from farcall.engine.lowering.function import FunctionLowering
from farcall.engine.lowering.memory_access import (
    exchange_guest,
    load_guest_atomic,
    modify_guest,
    present_address,
    store_guest_atomic,
)


def _pop_narrowed(function: FunctionLowering, access: MemoryAccess) -> str:
    """The top operand as what lies in memory."""
    llvm, value = function.stack.pop()
    return value if access.extension is None else function.define(f"trunc {llvm} {value} to {access.llvm}")


def _push_widened(function: FunctionLowering, row: Instruction, value: str) -> None:
    """What lay in memory as the result."""
    access, result = row.access, row.results[0].llvm
    assert access is not None
    if access.extension is not None:
        value = function.define(f"{access.extension} {access.llvm} {value} to {result}")
    function.stack.append((result, value))


def atomic_load(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.atomic.load` and its narrow forms."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    value = load_guest_atomic(function, memory, function.pop(), offset, access.llvm, access.size)
    _push_widened(function, row, value)


def atomic_store(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.atomic.store` and its narrow forms."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    value = _pop_narrowed(function, access)
    store_guest_atomic(function, memory, function.pop(), offset, access.llvm, access.size, value)


def atomic_rmw(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.atomic.rmw.op` and its narrow forms: the result is what was there before."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    assert access.operation is not None
    value = _pop_narrowed(function, access)
    former = modify_guest(
        function, memory, function.pop(), offset, access.llvm, access.size, access.operation, value
    )
    _push_widened(function, row, former)


def atomic_cmpxchg(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`t.atomic.rmw.cmpxchg` and its narrow forms, of which the low bits are compared."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    replacement = _pop_narrowed(function, access)
    expected = _pop_narrowed(function, access)
    former = exchange_guest(
        function, memory, function.pop(), offset, access.llvm, access.size, expected, replacement
    )
    _push_widened(function, row, former)


def atomic_fence(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`atomic.fence`."""
    function.lines.append("fence seq_cst")


def atomic_wait(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.atomic.wait32` and `memory.atomic.wait64`: a wait on a memory that is not shared is a trap."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    timeout = function.pop()
    llvm, expected = function.stack.pop()
    address = present_address(function, memory, function.pop(), offset, access.size)
    if not function.context.module.memories[memory].shared:
        function.traps.add("expected_shared_memory")
        function.lines.append("br label %trap.expected_shared_memory")
        function.reachable = False
        return
    wide = function.widen(expected) if llvm == "i32" else expected
    execution = function.execution_context()
    outcome = function.call_runtime(
        RuntimeFunction.MEMORY_WAIT, execution, address, wide, str(access.size), timeout
    )
    function.stack.append(("i32", outcome))


def atomic_notify(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`memory.atomic.notify`: on a memory that is not shared, nobody waits."""
    _, memory, offset = immediates[0]
    access = row.access
    assert access is not None
    count = function.pop()
    address = present_address(function, memory, function.pop(), offset, access.size)
    if function.context.module.memories[memory].shared:
        woken = function.call_runtime(RuntimeFunction.MEMORY_NOTIFY, address, count)
    else:
        woken = "0"
    function.stack.append(("i32", woken))
