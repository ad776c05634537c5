"""Calls (section 4.4.8): direct, to imports, and through tables; and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from farcall.engine.abi import layout as abi
from farcall.engine.abi.calls import symbol
from farcall.engine.abi.code_table import CELL_CODE
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.casts import function_is_below
from farcall.engine.lowering.context import Signature
from farcall.engine.lowering.function import FunctionLowering, Operand
from farcall.engine.lowering.metadata import CONTEXT, ELEMENT, INVARIANT, INVARIANT_POINTER
from farcall.engine.lowering.reference import check_not_null
from farcall.engine.lowering.table import element_address


@dataclass(frozen=True, slots=True)
class Callee:
    """What is called: code of which signature, with which context."""

    signature: Signature
    code: str
    vmctx: str


def emit_call(function: FunctionLowering, callee: Callee, texts: list[str]) -> None:
    """Call, and push the results."""
    function.calls = True
    signature, code, vmctx = callee.signature, callee.code, callee.vmctx
    function.carry(len(texts) + len(signature.type.results))
    arguments = "".join(f", {llvm} {text}" for llvm, text in zip(signature.parameters, texts, strict=True))
    call = f"call {signature.convention}{signature.result} {code}(ptr {vmctx}{arguments})"
    results = signature.type.results
    if not results:
        function.lines.append(call)
        return
    result = function.define(call)
    if len(results) == 1:
        function.stack.append((signature.result, result))
        return
    for position, value in enumerate(results):
        part = function.define(f"extractvalue {signature.result} {result}, {position}")
        function.stack.append((value.llvm, part))


def call(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`call`: a function of the module by its symbol, an import through the context."""
    index = immediates[0]
    context = function.context
    module = context.module
    signature = context.signature(module.function_types[index])
    texts = function.pop_many(len(signature.parameters))
    if index >= module.imported_function_count:
        if index == function.body.index or index in context.checking:
            function.note_call()
        emit_call(function, Callee(signature, own_code(function, index), "%vmctx"), texts)
        return
    entry = context.layout.function_import(index)
    code = function.load("ptr", "%vmctx", entry + abi.FUNCTION_IMPORT_CODE, INVARIANT_POINTER)
    vmctx = function.load("ptr", "%vmctx", entry + abi.FUNCTION_IMPORT_CONTEXT, INVARIANT_POINTER)
    emit_call(function, Callee(signature, code, vmctx), texts)


def own_code(function: FunctionLowering, index: int) -> str:
    """The code of function `index`, which the module defines."""
    context = function.context
    if context.calls_directly(index):
        context.called.add(index)
        return f"@{symbol(index)}"
    return function.code_cell(index, CELL_CODE)


def call_indirect(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`call_indirect`."""
    callee, _, texts = indirect_callee(function, immediates)
    emit_call(function, callee, texts)


def indirect_callee(function: FunctionLowering, immediates: tuple[Any, ...]) -> tuple[Callee, str, list[str]]:
    """Take the operands of a call through a table: the callee, its function record, and the arguments.

    A null element is not tested for: loading its type faults at a low address, which the signal handler takes
    for the trap "uninitialized element". The load is volatile so that it stays, and stays first.
    """
    type_index, table = immediates
    signature = function.context.signature(type_index)
    address = element_address(function, table, function.pop(), "undefined_element")
    texts = function.pop_many(len(signature.parameters))
    record = function.define(f"load ptr, ptr {address}, align 8{ELEMENT}")
    found_at = function.address(record, abi.FUNCTION_RECORD_TYPE_ID)
    found = function.define(f"load volatile i32, ptr {found_at}, align 4{CONTEXT}")
    type_ids = function.load("ptr", "%vmctx", abi.CONTEXT_TYPE_IDS, INVARIANT_POINTER)
    wanted = function.load("i32", type_ids, 4 * type_index, INVARIANT)
    different = function.define(f"icmp ne i32 {found}, {wanted}")
    defined = function.context.module.defined_types[type_index]
    if defined.final:
        function.trap_if(different, "indirect_call_type_mismatch")
    else:
        _check_below(function, different, record, type_index)
    return _callee_of(function, signature, record), record, texts


def _callee_of(function: FunctionLowering, signature: Signature, record: str) -> Callee:
    code = function.load("ptr", record, abi.FUNCTION_RECORD_CODE, CONTEXT)
    vmctx = function.load("ptr", record, abi.FUNCTION_RECORD_CONTEXT, CONTEXT)
    return Callee(signature, code, vmctx)


def _check_below(function: FunctionLowering, different: str, record: str, type_index: int) -> None:
    """Where a function's type is another than the one wanted, it must be below that."""
    defined = function.context.module.defined_types[type_index]
    name = function.name()
    function.lines.append(f"br i1 {different}, label %{name}.other, label %{name}, !prof !0")
    function.continue_in(f"{name}.other")
    below = function_is_below(function, record, defined, type_index)
    function.trap_if(function.define(f"xor i1 {below}, true"), "indirect_call_type_mismatch")
    function.lines.append(f"br label %{name}")
    function.continue_in(name)


def call_ref(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`call_ref`."""
    callee, _, texts = referenced_callee(function, immediates)
    emit_call(function, callee, texts)


def referenced_callee(
    function: FunctionLowering, immediates: tuple[Any, ...]
) -> tuple[Callee, str, list[str]]:
    """Take the operands of a call through a reference: the callee, its function record, and the arguments.

    Validation has seen to the type of the function, so only null is asked for.
    """
    signature = function.context.signature(immediates[0])
    record = check_not_null(function, function.pop(), "null_function_reference")
    texts = function.pop_many(len(signature.parameters))
    return _callee_of(function, signature, record), record, texts


def emit_return(function: FunctionLowering, operands: list[Operand]) -> None:
    """Return the results."""
    results = function.signature.result
    function.carry(len(operands))
    if not operands:
        function.lines.append("ret void")
    elif len(operands) == 1:
        function.lines.append(f"ret {results} {operands[0][1]}")
    else:
        structure = "poison"
        for position, (llvm, text) in enumerate(operands):
            structure = function.define(f"insertvalue {results} {structure}, {llvm} {text}, {position}")
        function.lines.append(f"ret {results} {structure}")
