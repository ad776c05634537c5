"""One function through all stages: instructions, LLVM IR as lowered, LLVM IR after the passes, machine code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from farcall.engine import lowering
from farcall.engine.abi.layout import context_layout
from farcall.engine.codegen.compiler import Optimization, compile_visibly
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.errors import ExhaustionError
from farcall.engine.inspection.debug_locations import define_locations, locate, located_lines
from farcall.engine.inspection.disassembly import disassemble, signature_text
from farcall.engine.inspection.function_names import find_function
from farcall.engine.lowering import LoweringOptions, is_complex, is_soon_compiled, lower_located
from farcall.engine.structure.module import FunctionBody, Module


class Tier(Enum):
    """Which tier's code is shown."""

    FAST = "fast"
    OPTIMIZED = "optimized"


_OPTIMIZATIONS = {Tier.FAST: Optimization.FAST, Tier.OPTIMIZED: Optimization.FULL}
_LOWERINGS = {Tier.FAST: lowering.Tier.FAST, Tier.OPTIMIZED: lowering.Tier.OPTIMIZED}


_LARGEST_BODY = 1 << 18
"""Bytes of a body that are shown at most: some hundred thousand lines."""


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of one of the forms of a function.

    Attributes:
        offset: of the instruction that it belongs to, in bytes from the start of the module; None where it belongs to
            none (a prologue), or to several.
        text: the line.
        address: of machine code: bytes from the start of the function's object; None elsewhere.
        content: machine code's bytes; empty elsewhere.
    """

    offset: int | None
    text: str
    address: int | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class FunctionInspection:
    """A function in all its forms.

    Attributes:
        index: in the module's function index space.
        name: from the name section or an export, or None.
        tier: whose code it is: `FAST` also where `OPTIMIZED` was asked for, but the function is too complex, or too
            large for the limits.
        target: the machine, as LLVM's triple.
        wasm: the instructions in the text format; the first line is the function's signature.
        lowered: LLVM IR as the lowering makes it.
        passed: LLVM IR after the passes, which the fast tier has none of.
        machine: assembly.
    """

    index: int
    name: str | None
    tier: Tier
    target: str
    wasm: tuple[CodeLine, ...]
    lowered: tuple[CodeLine, ...]
    passed: tuple[CodeLine, ...]
    machine: tuple[CodeLine, ...]


def inspect_function(
    module: Module, function: str, tier: Tier = Tier.OPTIMIZED, *, limited: bool = True
) -> FunctionInspection:
    """Compile one function for people to look at; nothing else is compiled, and nothing kept.

    It is the code of the policy `lazy`: what is compiled with others may call them directly instead of through the code
    table.

    Parameters:
        module: validated.
        function: its index, an export's name, or a name of the name section.
        tier: whose code.
        limited: whether it must not take LLVM much longer than a second: of larger functions the fast tier's code is
            shown, or none.

    Raises:
        FunctionNotFoundError: there is no such function, there are several, or it is imported.
        ExhaustionError: it is too large, or too complex to be compiled.
    """
    body = find_function(module, function)
    if body.end - body.start > _LARGEST_BODY:
        size = body.end - body.start
        raise ExhaustionError(f"function {body.index} has {size} bytes, at most {_LARGEST_BODY} are shown")
    target = host_target()
    if tier is Tier.OPTIMIZED and is_complex(module, body):
        tier = Tier.FAST
    text = _lower(module, body, target, tier)
    if limited and tier is Tier.OPTIMIZED and not is_soon_compiled(text):
        tier = Tier.FAST
        text = _lower(module, body, target, tier)
    if limited and not is_soon_compiled(text, optimized=tier is Tier.OPTIMIZED):
        raise ExhaustionError(f"function {body.index} is too large to be compiled only to be looked at")
    passed, content = compile_visibly(text, target, _OPTIMIZATIONS[tier])
    return FunctionInspection(
        index=body.index,
        name=module.function_name(body.index),
        tier=tier,
        target=target.triple,
        wasm=_wasm_lines(module, body),
        lowered=tuple(CodeLine(*line) for line in located_lines(text)),
        passed=tuple(CodeLine(*line) for line in located_lines(passed)),
        machine=_machine_lines(content, target),
    )


def _lower(module: Module, body: FunctionBody, target: Target, tier: Tier) -> str:
    """LLVM IR with debug locations."""
    # Code as servers run it: guests can be stopped, nobody listens.
    options = LoweringOptions(
        ensure_termination=True, listeners=False, capabilities=target.capabilities, tier=_LOWERINGS[tier]
    )
    text = lower_located(module, context_layout(module), options, body, locate)
    return define_locations(text, body.index)


def _wasm_lines(module: Module, body: FunctionBody) -> tuple[CodeLine, ...]:
    lines = [CodeLine(None, signature_text(module, body))]
    lines.extend(CodeLine(offset, "  " * depth + text) for offset, depth, text in disassemble(module, body))
    return tuple(lines)


def _machine_lines(content: bytes, target: Target) -> tuple[CodeLine, ...]:
    from farcall.engine.inspection.machine_code import disassemble_object  # noqa: PLC0415 - only who looks needs it

    lines = []
    for function in disassemble_object(content, target.architecture):
        lines.append(CodeLine(None, f"{function.name}:"))
        lines.extend(
            CodeLine(instruction.offset, instruction.text, instruction.address, instruction.content)
            for instruction in function.instructions
        )
    return tuple(lines)
