"""Several functions of a module as one LLVM module."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.abi.calls import CALLING_CONVENTION
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.lowering.body import lower_body
from farcall.engine.lowering.context import LoweringOptions, ModuleContext
from farcall.engine.lowering.metadata import DEFINITIONS, GUEST_FUNCTION
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
        ExhaustionError: a function is too complex (see `control.CARRIED_LIMIT`).
    """
    context = ModuleContext(module, layout, options)
    parts = [lower_body(context, body) for body in functions]
    for index in sorted(context.called - {body.index for body in functions}):
        signature = context.signature(module.function_types[index])
        parameters = ", ".join(("ptr", *signature.parameters))
        result = f"{CALLING_CONVENTION} {signature.result}"
        parts.append(f"declare hidden {result} @f{index}({parameters}) {GUEST_FUNCTION}\n")
    parts.append(DEFINITIONS)
    return "\n".join(parts)
