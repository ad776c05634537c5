"""Several functions of a module as one LLVM module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from farcall.engine.abi.calls import CALLING_CONVENTION, symbol
from farcall.engine.abi.layout import ContextLayout, needs_descriptors
from farcall.engine.lowering.body import lower_body, lower_located_body
from farcall.engine.lowering.context import LoweringOptions, ModuleContext
from farcall.engine.lowering.metadata import DEFINITIONS, GUEST_FUNCTION, LENGTH, OBJECT_DEFINITIONS
from farcall.engine.lowering.tail_call import tail_entry_declaration
from farcall.engine.structure.module import FunctionBody, Module

_BATCH_TEXT = 16 << 20
"""Characters after which a batch of functions is large enough: LLVM needs some hundred megabytes for it."""


def lower_functions(
    module: Module, layout: ContextLayout, options: LoweringOptions, functions: Sequence[FunctionBody]
) -> str:
    """The text of an LLVM module that defines `functions`, function `i` under the name `f<i>`.

    It declares the other functions of the module that they call: whoever links supplies them. All else is
    reached through the context. The text names no target.

    Args:
        module: validated; what the lowering makes of an invalid one is undefined.
        layout: of the contexts of the module's instances.
        options: what the code does beside running the guest.
        functions: of the module; each at most once.

    Raises:
        ExhaustionError: a function is too complex (see `context.CARRIED_LIMIT`).
    """
    context = ModuleContext(module, layout, options)
    return _text(context, functions, [lower_body(context, body) for body in functions])


def lower_located(
    module: Module,
    layout: ContextLayout,
    options: LoweringOptions,
    body: FunctionBody,
    locate: Callable[[str, int], str],
) -> str:
    """As `lower_functions` of one function, with its text given by `locate`: see `body.lower_located_body`."""
    context = ModuleContext(module, layout, options)
    return _text(context, [body], [lower_located_body(context, body, locate)])


def lower_in_batches(
    module: Module, layout: ContextLayout, options: LoweringOptions, functions: Sequence[FunctionBody]
) -> Iterator[tuple[Sequence[FunctionBody], str]]:
    """As `lower_functions`, but in several texts where there is much of it, each with the functions that it defines."""
    context = ModuleContext(module, layout, options)
    batch: list[FunctionBody] = []
    parts: list[str] = []
    size = 0
    for body in functions:
        batch.append(body)
        parts.append(lower_body(context, body))
        size += len(parts[-1])
        if size > _BATCH_TEXT:
            yield batch, _text(context, batch, parts)
            context.called.clear()
            batch, parts, size = [], [], 0
    if batch:
        yield batch, _text(context, batch, parts)


def _text(context: ModuleContext, functions: Sequence[FunctionBody], definitions: Sequence[str]) -> str:
    """The definitions of functions, and what has to stand around them."""
    parts = list(definitions)
    for index in sorted(context.called - {body.index for body in functions}):
        signature = context.signature(context.module.function_types[index])
        parameters = ", ".join(("ptr", *signature.parameters))
        result = f"{CALLING_CONVENTION} {signature.result}"
        parts.append(f"declare hidden {result} @{symbol(index)}({parameters}) {GUEST_FUNCTION}\n")
    for index in sorted(context.tail_called - {body.index for body in functions}):
        parts.append(tail_entry_declaration(context, index))
    if needs_descriptors(context.module) or any(LENGTH in definition for definition in definitions):
        parts.append(OBJECT_DEFINITIONS)
    parts.append(DEFINITIONS)
    return "\n".join((*context.named.values(), *parts))
