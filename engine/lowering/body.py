"""One function body: walks its instructions, then puts entry, prologue, code and traps together.

::

    entry:      stack slots of locals; the check for a request to stop, where there is one
    body:       first values of locals, bases of memories
                the code
    trap.kind:  one for each kind of trap that the code branches to
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi.calls import (
    symbol,
)
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.abi.traps import TrapKind
from farcall.engine.binary.instructions import decode_body
from farcall.engine.instructions.control import BLOCK_RULES, CLOSING_RULES, DIVIDING_RULES
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.context import ModuleContext
from farcall.engine.lowering.exceptions import ChangedLocalsWantedError, changed_where_caught
from farcall.engine.lowering.function import FunctionLowering, Operand
from farcall.engine.lowering.listener import declare_slots, report
from farcall.engine.lowering.metadata import GUEST_FUNCTION, INVARIANT_POINTER, TRAP_CALL, without_hints
from farcall.engine.lowering.rules import RULES
from farcall.engine.lowering.tail_call import emit_last_return, ordinary_entry, tail_entry_head
from farcall.engine.structure.module import FunctionBody
from farcall.engine.structure.types import F32, F64, V128

_FLOATS = (F32, F64)

_Instructions = Iterator[tuple[Instruction, tuple[Any, ...], int]]


def lower_body(context: ModuleContext, body: FunctionBody) -> str:
    """The definition of one function, as text."""
    try:
        return _lower_body(FunctionLowering(context, body))
    except ChangedLocalsWantedError:
        return _lower_body(FunctionLowering(context, body, changed_where_caught(context.module, body)))


def lower_located_body(context: ModuleContext, body: FunctionBody, locate: Callable[[str, int], str]) -> str:
    """As `lower_body`, for those who look at code: each part of the text goes through `locate`.

    Parameters:
        locate: from lines that one instruction was lowered to and its offset in the module to the lines that are to
            stand there.
    """
    try:
        return _lower_located_body(FunctionLowering(context, body), locate)
    except ChangedLocalsWantedError:
        changed = changed_where_caught(context.module, body)
        return _lower_located_body(FunctionLowering(context, body, changed), locate)


def _lower_located_body(function: FunctionLowering, locate: Callable[[str, int], str]) -> str:
    # Of each instruction: the line that its code begins in, and its offset.
    begins: list[tuple[int, int]] = []

    def noting(instructions: _Instructions) -> _Instructions:
        for instruction in instructions:
            begins.append((len(function.lines), instruction[2]))
            yield instruction

    body = function.body
    _lower_code(function, noting(decode_body(function.context.module.source, body.start, body.end)))
    offsets = [body.start] * len(function.lines)
    ends = [line for line, _ in begins[1:]] + [len(function.lines)]
    for (first, offset), end in zip(begins, ends, strict=True):
        # Lines can have been taken back since: then what came in their place overwrites this.
        offsets[first:end] = [offset] * len(range(*slice(first, end).indices(len(offsets))))
    function.lines = [
        locate(line, offset) if line else line for line, offset in zip(function.lines, offsets, strict=True)
    ]
    return _assemble(function)


def _lower_body(function: FunctionLowering) -> str:
    body = function.body
    _lower_code(function, decode_body(function.context.module.source, body.start, body.end))
    return _assemble(function)


def _lower_code(function: FunctionLowering, instructions: _Instructions) -> None:
    context = function.context
    function.carry(len(function.signature.parameters))
    if context.options.listeners:
        _report_call(function)
    _lower_instructions(function, instructions)
    if function.reachable:
        if context.options.listeners:
            report(function, RuntimeFunction.LISTENER_AFTER, function.stack)
        emit_last_return(function)


def _report_call(function: FunctionLowering) -> None:
    declare_slots(function)
    parameters = function.signature.parameters
    report(
        function,
        RuntimeFunction.LISTENER_BEFORE,
        [(llvm, f"%p{position}") for position, llvm in enumerate(parameters)],
    )


def _lower_instructions(function: FunctionLowering, instructions: _Instructions) -> None:
    """Lower instruction after instruction: templates here, all others by their rules."""
    stack, lines = function.stack, function.lines
    for row, immediates, _ in instructions:
        emit = row.emit
        if emit is None:
            assert row.rule is not None
            RULES[row.rule](function, row, immediates)
            if not function.reachable:
                _skip_unreachable(function, instructions)
            continue
        function.counter += 1
        name = f"v{function.counter}"
        match len(row.parameters):
            case 1:
                operand = stack.pop()
                text = operand[1] if operand[1][0] == "%" else _constant_operand(function, row, operand)
                lines.append(emit(name, text, "", ""))
            case 2:
                second = stack.pop()[1]
                operand = stack.pop()
                known = operand[1][0] != "%" != second[0]
                text = _constant_operand(function, row, operand) if known else operand[1]
                lines.append(emit(name, text, second, ""))
            case count:
                operands = function.pop_many(count)
                lines.append(emit(name, *operands, *("" for _ in range(3 - count))))
        if row.last_block is not None:
            function.block = f"{name}.{row.last_block}"
        if row.traps:
            function.traps.update(row.traps)
        for result in row.results:
            stack.append((result.llvm, f"%{name}"))


def _constant_operand(function: FunctionLowering, row: Instruction, operand: Operand) -> str:
    """The first operand of an instruction of which all operands are constants.

    LLVM must not compute floats: it could come to a neutral element of arithmetic (see CONTEXT_FLOAT_CONSTANTS).
    Vector arithmetic can do with any (see `instructions.vector_float`).
    """
    if row.results[0] in _FLOATS or (row.parameters[0] in _FLOATS and row.results[0] is not V128):
        return function.opaque(operand)
    return operand[1]


def _skip_unreachable(function: FunctionLowering, instructions: _Instructions) -> None:
    """Pass over code that control never comes to, up to where it goes on; blocks inside are only counted."""
    depth = 0
    for row, immediates, _ in instructions:
        match row.rule:
            case rule if rule in BLOCK_RULES:
                depth += 1
            case rule if rule in CLOSING_RULES or rule in DIVIDING_RULES:
                if depth == 0:
                    RULES[rule](function, row, immediates)
                    if function.reachable:
                        return
                elif rule in CLOSING_RULES:
                    depth -= 1


def _assemble(function: FunctionLowering) -> str:
    """The function's text, from its parts."""
    signature = function.signature
    parameters = "".join(
        f", {llvm} noundef %p{position}" for position, llvm in enumerate(signature.parameters)
    )
    index, size = function.body.index, function.context.layout.size
    # A cycle of calls goes through functions that call: they look for a request to stop as loops do.
    checks = function.calls and function.context.options.ensure_termination
    if checks:
        function.context.checking.add(index)
    lines = [
        f"define hidden {signature.convention}{signature.result} @{symbol(index)}"
        f"(ptr noundef nonnull align 8 dereferenceable({size}) %vmctx{parameters}) {GUEST_FUNCTION} align 32 {{",
        "entry:",
        *function.entry,
        *function.handler_slots,
    ]
    if function.makes_tail_calls:
        lines[0], parameters_from_block = tail_entry_head(function.context, index)
        lines += parameters_from_block
    if checks or function.uses_execution:
        lines.append(f"%execution = load ptr, ptr %vmctx, align 8{INVARIANT_POINTER}")
    if checks:
        lines.append("%check = load volatile i64, ptr %execution, align 8")
    if function.is_fast:
        lines.append(function.load_text("%code.table", "%vmctx", abi.CONTEXT_CODE_TABLE))
        lines.append(function.count_lines("entered"))
    lines.append("br label %body")
    lines.append("body:")
    lines.extend(function.prologue)
    lines.extend(line for line in function.lines if line)
    lines.extend(_trap_block(kind) for kind in sorted(function.traps))
    lines.append("}\n")
    if function.makes_tail_calls:
        lines.append(ordinary_entry(function.context, index))
    text = "\n".join(lines)
    return without_hints(text) if function.is_fast else text


assert abi.CONTEXT_EXECUTION == 0


def _trap_block(kind: str) -> str:
    """The LLVM block that leaves the guest with a trap: it calls the trap exit, which does not return."""
    label = f"trap.{kind}"
    exit_offset = 8 * RuntimeFunction.TRAP
    return (
        f"{label}:\n"
        f"%{label}.at = getelementptr i8, ptr %vmctx, i64 {abi.CONTEXT_RUNTIME}\n"
        f"%{label}.runtime = load ptr, ptr %{label}.at, align 8{INVARIANT_POINTER}\n"
        f"%{label}.entry = getelementptr i8, ptr %{label}.runtime, i64 {exit_offset}\n"
        f"%{label}.exit = load ptr, ptr %{label}.entry, align 8{INVARIANT_POINTER}\n"
        f"call void %{label}.exit(i32 {TrapKind[kind.upper()].value}) {TRAP_CALL}\n"
        "unreachable"
    )
