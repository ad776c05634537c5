"""Tail calls (section 4.4.8): the callee takes the caller's place on the stack.

A function that makes tail calls becomes two: its body, in the convention of tail calls, and the ordinary function,
which calls the body. See `abi.calls` for the convention, and for why a callee without a tail entry is called and
returned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi.calls import (
    BLOCK_CAPACITY,
    BLOCK_STRIDE,
    BLOCK_VALUES,
    REGISTER_RESULTS,
    TAIL_CONVENTION,
    block_capacity,
    block_need,
    in_registers,
    symbol,
    tail_result_type,
    tail_symbol,
)
from farcall.engine.abi.code_table import CELL_TAIL
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.call import (
    Callee,
    emit_call,
    emit_return,
    indirect_callee,
    own_code,
    referenced_callee,
)
from farcall.engine.lowering.context import ModuleContext, Signature
from farcall.engine.lowering.control import leave_handlers
from farcall.engine.lowering.function import ALIGNMENT, FunctionLowering, Operand
from farcall.engine.lowering.listener import report
from farcall.engine.lowering.metadata import CONTEXT, GUEST_FUNCTION, INVARIANT, INVARIANT_POINTER

assert BLOCK_CAPACITY == 0


def return_call(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`return_call`: of a function of the module it is known whether it has a tail entry."""
    index = immediates[0]
    context = function.context
    module = context.module
    signature = context.signature(module.function_types[index])
    texts = function.pop_many(len(signature.parameters))
    _end_own_call(function)
    if index < module.imported_function_count:
        # An import's function record has all that its entry has, and the tail entry.
        record = function.address("%vmctx", context.layout.function_record(index))
        code = function.load("ptr", record, abi.FUNCTION_RECORD_CODE, INVARIANT_POINTER)
        vmctx = function.load("ptr", record, abi.FUNCTION_RECORD_CONTEXT, INVARIANT_POINTER)
        _leave_through_record(function, Callee(signature, code, vmctx), record, INVARIANT, texts)
        return
    if not context.has_tail_entry(index):
        _call_and_return(function, Callee(signature, own_code(function, index), "%vmctx"), texts)
        return
    entry = _own_tail_entry(function, index)
    if block_need(signature.parameters):
        callee = Callee(signature, own_code(function, index), "%vmctx")
        _leave(function, callee, entry, _block_too_small(function, signature), texts)
    else:
        _emit_tail_call(function, Callee(signature, "", "%vmctx"), entry, texts)


def _own_tail_entry(function: FunctionLowering, index: int) -> str:
    """The tail entry of function `index`, which the module defines."""
    context = function.context
    if context.calls_directly(index):
        context.tail_called.add(index)
        return f"@{tail_symbol(index)}"
    return function.code_cell(index, CELL_TAIL)


def return_call_indirect(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`return_call_indirect`."""
    callee, record, texts = indirect_callee(function, immediates)
    _end_own_call(function)
    _leave_through_record(function, callee, record, CONTEXT, texts)


def return_call_ref(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`return_call_ref`."""
    callee, record, texts = referenced_callee(function, immediates)
    _end_own_call(function)
    _leave_through_record(function, callee, record, CONTEXT, texts)


def _end_own_call(function: FunctionLowering) -> None:
    """The function's own call is over: another takes its place."""
    function.calls = function.makes_tail_calls = True
    function.lines.append(leave_handlers(function, function.frames[0]))
    if function.context.options.listeners:
        report(function, RuntimeFunction.LISTENER_TAIL_CALL, ())


def _block_too_small(function: FunctionLowering, signature: Signature) -> str:
    """Whether the block does not take what the callee is to find there, as an i1."""
    capacity = function.define("load i64, ptr %block, align 8")
    return function.define(f"icmp ult i64 {capacity}, {block_need(signature.parameters)}")


def _leave_through_record(
    function: FunctionLowering, callee: Callee, record: str, metadata: str, texts: list[str]
) -> None:
    """Leave for the function of a record: by its tail entry, if it has one."""
    entry = function.load("ptr", record, abi.FUNCTION_RECORD_TAIL, metadata)
    ordinary = function.define(f"icmp eq ptr {entry}, null")
    if block_need(callee.signature.parameters):
        ordinary = function.define(f"or i1 {ordinary}, {_block_too_small(function, callee.signature)}")
    _leave(function, callee, entry, ordinary, texts)


def _leave(function: FunctionLowering, callee: Callee, entry: str, ordinary: str, texts: list[str]) -> None:
    """Leave for the tail entry, or, where `ordinary` (an i1) holds, by an ordinary call and a return."""
    name = function.name()
    function.lines.append(f"br i1 {ordinary}, label %{name}.call, label %{name}.tail")
    function.continue_in(f"{name}.tail")
    _emit_tail_call(function, callee, entry, texts)
    function.continue_in(f"{name}.call")
    _call_and_return(function, callee, texts)


def _emit_tail_call(function: FunctionLowering, callee: Callee, entry: str, texts: list[str]) -> None:
    function.carry(len(texts))
    arguments, others = _arguments(callee.signature, texts)
    function.lines.extend(_stores_to_block(others, function.name()))
    kind = tail_result_type(callee.signature.type.results)
    # All arguments are in registers, so that `musttail` is possible whatever the callee's type.
    call = f"musttail call {TAIL_CONVENTION} {kind} {entry}(ptr {callee.vmctx}, ptr %block{arguments})"
    if kind == "void":
        function.lines.append(f"{call}\nret void")
    else:
        value = function.define(call)
        function.lines.append(f"ret {kind} {value}")
    function.reachable = False


def _arguments(signature: Signature, texts: Sequence[str]) -> tuple[str, list[Operand]]:
    """The arguments in registers, as text, and the others, which go into the block."""
    arguments, others = "", []
    places = in_registers(signature.parameters)
    for llvm, text, fits in zip(signature.parameters, texts, places, strict=True):
        if fits:
            arguments += f", {llvm} {text}"
        else:
            others.append((llvm, text))
    return arguments, others


def _stores_to_block(operands: Sequence[Operand], name: str) -> list[str]:
    """The lines that put values into the block; `name` is one that the names in them can begin with."""
    return [
        f"%{name}.{position} = getelementptr i8, ptr %block, i64 {BLOCK_VALUES + BLOCK_STRIDE * position}\n"
        f"store {llvm} {text}, ptr %{name}.{position}, align {ALIGNMENT[llvm]}"
        for position, (llvm, text) in enumerate(operands)
    ]


def _call_and_return(function: FunctionLowering, callee: Callee, texts: list[str]) -> None:
    height = len(function.stack)
    emit_call(function, callee, texts)
    results = function.stack[height:]
    del function.stack[height:]
    _emit_return(function, results)
    function.reachable = False


def emit_last_return(function: FunctionLowering) -> None:
    """Return from the function's end, in the convention that its body has."""
    if function.makes_tail_calls:
        _emit_return(function, function.stack)
    else:
        emit_return(function, function.stack)


def _emit_return(function: FunctionLowering, operands: list[Operand]) -> None:
    """Return from a tail entry."""
    if len(operands) <= REGISTER_RESULTS:
        emit_return(function, operands)
        return
    function.carry(len(operands))
    function.lines.extend(_stores_to_block(operands, function.name()))
    function.lines.append("ret void")


def tail_entry_head(context: ModuleContext, index: int) -> tuple[str, list[str]]:
    """How the definition of a tail entry begins: its first line, and those that fetch parameters from the block."""
    signature = context.signature(context.module.function_types[index])
    parameters = (
        f"ptr noundef nonnull align 8 dereferenceable({context.layout.size}) %vmctx, ptr noundef %block"
    )
    loads: list[str] = []
    for position, (llvm, fits) in enumerate(
        zip(signature.parameters, in_registers(signature.parameters), strict=True)
    ):
        if fits:
            parameters += f", {llvm} noundef %p{position}"
        else:
            loads.append(_load_from_block(llvm, f"%p{position}", len(loads)))
    result = tail_result_type(signature.type.results)
    head = f"define hidden {TAIL_CONVENTION} {result} @{tail_symbol(index)}({parameters})"
    return f"{head} {GUEST_FUNCTION} align 32 {{", loads


def _load_from_block(llvm: str, name: str, position: int) -> str:
    offset = BLOCK_VALUES + BLOCK_STRIDE * position
    return (
        f"{name}.at = getelementptr i8, ptr %block, i64 {offset}\n"
        f"{name} = load {llvm}, ptr {name}.at, align {ALIGNMENT[llvm]}"
    )


def tail_entry_declaration(context: ModuleContext, index: int) -> str:
    """The declaration of a tail entry that another object defines, as text."""
    signature = context.signature(context.module.function_types[index])
    places = zip(signature.parameters, in_registers(signature.parameters), strict=True)
    parameters = ", ".join(("ptr", "ptr", *(llvm for llvm, fits in places if fits)))
    result = f"{TAIL_CONVENTION} {tail_result_type(signature.type.results)}"
    return f"declare hidden {result} @{tail_symbol(index)}({parameters}) {GUEST_FUNCTION}\n"


def ordinary_entry(context: ModuleContext, index: int) -> str:
    """The definition of the ordinary function of one that has a tail entry, as text: it begins a chain."""
    signature = context.signature(context.module.function_types[index])
    names = [f"%p{position}" for position in range(len(signature.parameters))]
    parameters = "".join(
        f", {llvm} noundef {name}" for llvm, name in zip(signature.parameters, names, strict=True)
    )
    arguments, others = _arguments(signature, names)
    capacity = block_capacity(signature.parameters, signature.type.results)
    kind = tail_result_type(signature.type.results)
    call = f"call {TAIL_CONVENTION} {kind} @{tail_symbol(index)}(ptr %vmctx, ptr %block{arguments})"
    lines = [
        f"define hidden {signature.convention}{signature.result} @{symbol(index)}"
        f"(ptr noundef nonnull align 8 dereferenceable({context.layout.size}) %vmctx{parameters})"
        f" {GUEST_FUNCTION} align 32 {{",
        f"%block = alloca [{BLOCK_VALUES + capacity} x i8], align 16",
        f"store i64 {capacity}, ptr %block, align 8",
        *_stores_to_block(others, "argument"),
    ]
    if kind != "void":
        lines += [f"%result = {call}", f"ret {kind} %result"]
    else:
        lines += [call, *_results_from_block(signature)]
    return "\n".join([*lines, "}\n"])


def _results_from_block(signature: Signature) -> list[str]:
    if not signature.type.results:
        return ["ret void"]
    structure, lines = "poison", []
    for position, value in enumerate(signature.type.results):
        name = f"%r{position}"
        lines.append(_load_from_block(value.llvm, name, position))
        lines.append(
            f"{name}.all = insertvalue {signature.result} {structure}, {value.llvm} {name}, {position}"
        )
        structure = f"{name}.all"
    return [*lines, f"ret {signature.result} {structure}"]
