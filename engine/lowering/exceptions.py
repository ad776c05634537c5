"""Exception handling (section 4.4.8): `throw`, `throw_ref`, `try_table`.

A `try_table` makes a handler, a structure in the function's frame, the innermost of the entry into guest code, and
saves the machine's state there with `_setjmp`. `throw` looks through the handlers, from the innermost on, for one that
catches the exception's tag, and jumps to it; then `_setjmp` returns again, with the number of the clause. So code
without exceptions is as it was; entering a `try_table` costs a few stores and the call of `_setjmp`; and where nothing
catches an exception, the guest is left with all its frames still there.

What is changed between `_setjmp` and the jump is lost if it is in registers. Operands never change; locals that a
`try_table` changes stay in memory (`volatile`) in the whole function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi.layout import RUNTIME_SIGNATURES, SLOT_SIZE, RuntimeFunction
from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.control import BLOCK_RULES, CLOSING_RULES
from farcall.engine.instructions.instruction import Catch, Instruction
from farcall.engine.lowering.control import block_type_of, jump, open_block
from farcall.engine.lowering.function import ALIGNMENT, FunctionLowering, Operand
from farcall.engine.lowering.metadata import CONTEXT, INVARIANT_POINTER, TRAP_CALL
from farcall.engine.structure.module import FunctionBody, Module
from farcall.engine.structure.types import ValueType


class ChangedLocalsWantedError(Exception):
    """A `try_table` was met, and what its like change in the function is not known: begin anew with that."""


_CATCHING_RULES = frozenset({"try_table", "try"})
_CHANGING_RULES = frozenset({"local_set", "local_tee"})


def changed_where_caught(module: Module, body: FunctionBody) -> frozenset[int]:
    """The locals that are changed inside of a block that catches."""
    changed: set[int] = set()
    catching: list[bool] = [False]  # of the open blocks: whether they, or any around them, catch
    for row, immediates, _ in decode_body(module.source, body.start, body.end):
        if row.rule in BLOCK_RULES:
            catching.append(catching[-1] or row.rule in _CATCHING_RULES)
        elif row.rule in CLOSING_RULES:
            catching.pop()
        elif row.rule in _CHANGING_RULES and catching[-1]:
            changed.add(immediates[0])
    return frozenset(changed)


def _value_offsets(types: Sequence[ValueType]) -> list[int]:
    offsets, offset = [], abi.EXCEPTION_VALUES
    for value in types:
        offsets.append(offset)
        offset += max(value.size, SLOT_SIZE)
    return [*offsets, offset]


def carried(function: FunctionLowering, tag: int) -> tuple[ValueType, ...]:
    """The types of the values that the tag's exceptions carry."""
    return function.context.module.tag_type(tag).type.parameters


def throw(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`throw`."""
    tag = immediates[0]
    types = carried(function, tag)
    texts = function.pop_many(len(types))
    function.carry(len(texts))
    layout = function.context.layout
    arena = function.load("ptr", "%vmctx", layout.exception_arena, CONTEXT)
    record = function.load("ptr", "%vmctx", layout.tag(tag), INVARIANT_POINTER)
    *offsets, end = _value_offsets(types)
    size = str(end - abi.EXCEPTION_VALUES)
    exception = function.call_runtime(RuntimeFunction.EXCEPTION_NEW, arena, record, size)
    for value, text, offset in zip(types, texts, offsets, strict=True):
        store(function, value.llvm, text, exception, offset)
    leave(function, exception)


def throw_ref(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`throw_ref`."""
    exception = function.pop()
    function.trap_if(function.define(f"icmp eq ptr {exception}, null"), "null_exception_reference")
    leave(function, exception)


def leave(function: FunctionLowering, exception: str) -> None:
    """Throw."""
    functions = function.load("ptr", "%vmctx", abi.CONTEXT_RUNTIME, INVARIANT_POINTER)
    code = function.load("ptr", functions, 8 * RuntimeFunction.THROW, INVARIANT_POINTER)
    function.lines.append(f"call void {code}(ptr {exception}) {TRAP_CALL}\nunreachable")
    function.reachable = False


def store(function: FunctionLowering, llvm: str, text: str, pointer: str, offset: int) -> None:
    """Store a value; slots are aligned for words, also where they hold vectors."""
    address = function.address(pointer, offset)
    alignment = min(ALIGNMENT[llvm], SLOT_SIZE)
    function.lines.append(f"store {llvm} {text}, ptr {address}, align {alignment}")


def try_table(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`try_table`."""
    block_type, catches = immediates
    clauses = _reachable_clauses(catches)
    if not clauses:
        open_block(function, "block", block_type)
        return
    name = function.name()
    handler, outer = push_handler(function, name, [clause.tag for clause in clauses])
    set_jump(function, name, handler, [f"{name}.catch{position}" for position in range(len(clauses))])
    known, stack = dict(function.known), list(function.stack)
    below = len(stack) - len(block_type_of(function, block_type).parameters)
    for position, clause in enumerate(clauses):
        function.start_block(f"{name}.catch{position}")
        function.stack[:] = stack[:below]
        _take_exception(function, handler, clause)
        jump(function, function.frames[-1 - clause.label])
    function.stack[:] = stack
    function.continue_in(f"{name}.try")
    function.known.update(known)
    function.begin_catching(open_block(function, "block", block_type), outer)


def _reachable_clauses(catches: Sequence[Catch]) -> list[Catch]:
    """Those that no clause before makes useless."""
    clauses: list[Catch] = []
    known: set[int | None] = set()
    for catch in catches:
        if catch.tag not in known:
            known.add(catch.tag)
            clauses.append(catch)
        if catch.tag is None:
            break
    return clauses


def reserve_handler(function: FunctionLowering, tags: int) -> str:
    """The place in the frame for a handler of so many tags, of a block that is being opened or has been closed."""
    if function.changed_where_caught is None:
        raise ChangedLocalsWantedError
    return function.handler(len(function.catching), abi.HANDLER_TAGS + 8 * tags)


def push_handler(
    function: FunctionLowering, name: str, tags: Sequence[int | None], following: str | None = None
) -> tuple[str, str]:
    """Make a handler the innermost; the handler, and the one around it.

    Parameters:
        following: the handler to be asked after it; None is the one around it.
    """
    handler = reserve_handler(function, len(tags))
    outer = f"%{name}.outer"
    function.lines.append(f"{outer} = load ptr, ptr %handlers, align 8")
    store(function, "ptr", outer, handler, abi.HANDLER_OUTER)
    store(function, "ptr", outer if following is None else following, handler, abi.HANDLER_NEXT)
    store(function, "i64", str(len(tags)), handler, abi.HANDLER_COUNT)
    # Of listeners' calls, those of the frames below end; which of its own frame a slot is below, cannot be told.
    deeper = "%slots" if function.context.options.listeners else handler
    store(function, "ptr", deeper, handler, abi.HANDLER_DEPTH)
    for position, tag in enumerate(tags):
        record = "null"
        if tag is not None:
            record = function.load("ptr", "%vmctx", function.context.layout.tag(tag), INVARIANT_POINTER)
        store(function, "ptr", record, handler, abi.HANDLER_TAGS + 8 * position)
    function.lines.append(f"store ptr {handler}, ptr %handlers, align 8")
    return handler, outer


def set_jump(function: FunctionLowering, name: str, handler: str, labels: Sequence[str]) -> None:
    """Go on in `name`.try, and in one of the labels' blocks where an exception is caught."""
    functions = function.load("ptr", "%vmctx", abi.CONTEXT_RUNTIME, INVARIANT_POINTER)
    code = function.load("ptr", functions, 8 * RuntimeFunction.SET_JUMP, INVARIANT_POINTER)
    buffer = function.address(handler, abi.HANDLER_JUMP_BUFFER)
    result, _ = RUNTIME_SIGNATURES[RuntimeFunction.SET_JUMP]
    number = function.define(f"call {result} {code}(ptr {buffer}) returns_twice")
    # No `switch`, which FastISel leaves to LLVM's other instruction selector, with all of its block.
    for position, label in enumerate(labels, start=1):
        after = f"{name}.try" if position == len(labels) else f"{name}.not{position}"
        caught_here = function.define(f"icmp eq {result} {number}, {position}")
        function.lines.append(f"br i1 {caught_here}, label %{label}, label %{after}")
        if position < len(labels):
            function.lines.append(f"{after}:")


def _take_exception(function: FunctionLowering, handler: str, clause: Catch) -> None:
    """Push what the clause's branch carries. Whoever threw has made the handler around this one the innermost."""
    exception = caught(function, handler)
    if clause.tag is not None:
        function.stack.extend(values(function, exception, carried(function, clause.tag)))
    if clause.reference:
        store(function, "i64", "1", exception, abi.EXCEPTION_ESCAPED)
        function.stack.append(("ptr", exception))
    else:
        function.call_runtime(RuntimeFunction.EXCEPTION_RELEASE, exception)


def caught(function: FunctionLowering, handler: str) -> str:
    """The exception that a handler was given."""
    address = function.address(handler, abi.HANDLER_EXCEPTION)
    return function.define(f"load volatile ptr, ptr {address}, align 8")


def values(function: FunctionLowering, exception: str, types: Sequence[ValueType]) -> list[Operand]:
    """The values that an exception carries."""
    function.carry(len(types))
    operands = []
    for value, offset in zip(types, _value_offsets(types), strict=False):
        address = function.address(exception, offset)
        alignment = min(ALIGNMENT[value.llvm], SLOT_SIZE)
        operands.append((value.llvm, function.define(f"load {value.llvm}, ptr {address}, align {alignment}")))
    return operands
