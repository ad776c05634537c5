"""The exception handling proposal's first version: `try`, `catch`, `catch_all`, `delegate`, `rethrow`.

Handlers are those of `exceptions`. What a `try` catches stands behind its body: so the lines that make its handler
are written when it is closed, in the place that was left for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.control import end, jump, open_block
from farcall.engine.lowering.exceptions import (
    carried,
    caught,
    leave,
    push_handler,
    reserve_handler,
    set_jump,
    store,
    values,
)
from farcall.engine.lowering.function import Frame, FunctionLowering, LegacyTry


def try_(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`try`."""
    handler = reserve_handler(function, 0)
    frame = open_block(function, "try", immediates[0])
    outer = f"%{frame.name}.outer"
    function.begin_catching(frame, outer)
    frame.legacy = LegacyTry(handler, len(function.lines), outer)
    frame.on_end = _close
    function.lines.append("")
    known = dict(function.known)
    function.continue_in(f"{frame.name}.try")
    function.known.update(known)


def _legacy(frame: Frame) -> LegacyTry:
    assert frame.legacy is not None
    return frame.legacy


def _write(function: FunctionLowering, place: int, emit: Callable[[], None]) -> None:
    """Put what `emit` emits where the line `place` is."""
    first = len(function.lines)
    emit()
    function.lines[place] = "\n".join(line for line in function.lines[first:] if line)
    del function.lines[first:]


def catch(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`catch`."""
    _begin_catch(function, immediates[0])


def catch_all(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`catch_all`."""
    _begin_catch(function, None)


def _begin_catch(function: FunctionLowering, tag: int | None) -> None:
    frame = function.frames[-1]
    legacy = _legacy(frame)
    _end_catch(function, frame)
    if function.reachable:
        jump(function, frame)
    frame.kind = "catch"
    function.forget_call(frame)
    function.end_catching(frame)  # what catches is outside of what it protects
    function.start_block(f"{frame.name}.catch{len(legacy.tags)}")
    legacy.tags.append(tag)
    del function.stack[frame.height :]
    legacy.exception = caught(function, legacy.handler)
    if tag is not None:
        function.stack.extend(values(function, legacy.exception, carried(function, tag)))
    legacy.rethrown = False
    legacy.caught_at = len(function.lines)
    function.lines.append("")


def _end_catch(function: FunctionLowering, frame: Frame) -> None:
    """A part that catches, if it is one, is at its end: whether it throws the exception again is known."""
    legacy = _legacy(frame)
    exception = legacy.exception
    if exception is None:
        return
    if legacy.rethrown:
        _write(
            function, legacy.caught_at, lambda: store(function, "i64", "1", exception, abi.EXCEPTION_ESCAPED)
        )
    else:
        release = RuntimeFunction.EXCEPTION_RELEASE
        _write(function, legacy.caught_at, lambda: _ignore(function.call_runtime(release, exception)))


def _ignore(_: str) -> None:
    """Nothing is left to do."""


def rethrow(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`rethrow`."""
    legacy = _legacy(function.frames[-1 - immediates[0]])
    legacy.rethrown = True
    assert legacy.exception is not None
    leave(function, legacy.exception)


def delegate(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`delegate`: after its own handler, which catches nothing, those around the body of its label are asked."""
    frame, target = function.frames[-1], function.frames[-2 - immediates[0]]
    legacy = _legacy(frame)
    legacy.following = function.handler_around(target.position + 1) or legacy.following
    legacy.delegates = True
    end(function, row, ())


def _close(function: FunctionLowering, frame: Frame) -> None:
    """At its end, write what makes its handler."""
    legacy = _legacy(frame)
    _end_catch(function, frame)
    function.end_catching(frame)
    _write(function, legacy.header, lambda: _make_handler(function, frame, legacy))


def _make_handler(function: FunctionLowering, frame: Frame, legacy: LegacyTry) -> None:
    name = frame.name
    if legacy.tags:
        push_handler(function, name, legacy.tags)
        labels = [f"{name}.catch{position}" for position in range(len(legacy.tags))]
        set_jump(function, name, legacy.handler, labels)
    elif legacy.delegates:
        push_handler(function, name, (), legacy.following)
        function.lines.append(f"br label %{name}.try")
    else:
        function.lines.append(f"%{name}.outer = load ptr, ptr %handlers, align 8\nbr label %{name}.try")
