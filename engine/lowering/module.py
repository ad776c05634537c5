"""Several functions of a module as one LLVM module."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from farcall.engine.abi.calls import symbol
from farcall.engine.abi.layout import ContextLayout, needs_descriptors
from farcall.engine.binary.function_facts import function_facts
from farcall.engine.errors import ExhaustionError
from farcall.engine.lowering.body import lower_body, lower_located_body
from farcall.engine.lowering.complexity import TEXT_PER_BYTE
from farcall.engine.lowering.context import LoweringOptions, ModuleContext, Tier
from farcall.engine.lowering.metadata import DEFINITIONS, GUEST_FUNCTION, LENGTH, OBJECT_DEFINITIONS
from farcall.engine.lowering.tail_call import tail_entry_declaration
from farcall.engine.structure.module import FunctionBody, Module


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
    context = ModuleContext(module, layout, options, together=_together(options, functions))
    return _text(context, functions, [lower_body(context, body) for body in functions])


def _together(options: LoweringOptions, functions: Sequence[FunctionBody]) -> AbstractSet[int] | None:
    """The functions that may call each other directly; None where all of the module may."""
    match options.tier:
        case Tier.WHOLE:
            return None
        case Tier.FAST:
            return frozenset()
        case Tier.OPTIMIZED:
            return frozenset(body.index for body in functions)


def lower_group(
    module: Module,
    layout: ContextLayout,
    options: LoweringOptions,
    first: FunctionBody,
    wanted: Callable[[int], bool],
    limit: int,
) -> tuple[Sequence[FunctionBody], str]:
    """A function, and those that it is certain to call, and so on, until the text has `limit` characters.

    The nearest come first.

    Args:
        module: validated.
        layout: of the contexts of the module's instances.
        options: of the tier `FAST`.
        first: the function that there is to be in any case.
        limit: characters.
        wanted: whether function `index` is to be lowered as well.

    Raises:
        ExhaustionError: the function is too complex; others that are, are left out.
    """
    context = ModuleContext(module, layout, options, together=_together(options, ()))
    bodies, parts = [first], [lower_body(context, first)]
    size = len(parts[0])
    seen = {first.index}
    imports = module.imported_function_count
    calls = deque(function_facts(module, first.index - imports).certain_callees)
    while calls and size < limit:
        index = calls.popleft()
        if index < imports or index in seen or not wanted(index):
            continue
        seen.add(index)
        body = module.functions[index - imports]
        if (body.end - body.start) * TEXT_PER_BYTE > limit:  # it waits for its own first call
            continue
        try:
            part = lower_body(context, body)
        except ExhaustionError:
            continue
        calls += function_facts(module, index - imports).certain_callees
        bodies.append(body)
        parts.append(part)
        size += len(part)
    return bodies, _text(context, bodies, parts)


def lower_located(
    module: Module,
    layout: ContextLayout,
    options: LoweringOptions,
    body: FunctionBody,
    locate: Callable[[str, int], str],
) -> str:
    """As `lower_functions` of one function, with its text given by `locate`: see `body.lower_located_body`."""
    context = ModuleContext(module, layout, options, together=_together(options, (body,)))
    return _text(context, [body], [lower_located_body(context, body, locate)])


def _text(context: ModuleContext, functions: Sequence[FunctionBody], definitions: Sequence[str]) -> str:
    """The definitions of functions, and what has to stand around them."""
    parts = list(definitions)
    for index in sorted(context.called - {body.index for body in functions}):
        signature = context.signature(context.module.function_types[index])
        parameters = ", ".join(("ptr", *signature.parameters))
        parts.append(
            f"declare hidden {signature.convention}{signature.result} @{symbol(index)}({parameters}) {GUEST_FUNCTION}\n"
        )
    for index in sorted(context.tail_called - {body.index for body in functions}):
        parts.append(tail_entry_declaration(context, index))
    if needs_descriptors(context.module) or any(LENGTH in definition for definition in definitions):
        parts.append(OBJECT_DEFINITIONS)
    parts.append(DEFINITIONS)
    return "\n".join((*context.named.values(), *parts))
