"""The types of a module (sections 3.2.7 to 3.2.13)."""

from __future__ import annotations

from farcall.engine.binary.limits import MAXIMUM_SUBTYPING_DEPTH
from farcall.engine.errors import InvalidModuleError, ModuleLimitError
from farcall.engine.structure.matching import composite_matches
from farcall.engine.structure.module import Module
from farcall.engine.validation.rejection import shorten


def validate_types(module: Module) -> None:
    """Validate the types that a module defines.

    Raises:
        InvalidModuleError: a type refers to one that is not there, or does not match its supertype.
        ModuleLimitError: a type has more types above it than `binary.limits` allows.
    """
    problem = module.type_problem
    if problem is not None:
        raise InvalidModuleError(problem.reason, problem.offset)
    for index, defined in enumerate(module.defined_types):
        supertype = defined.supertype
        if supertype is None:
            continue
        offset = module.offsets.types[index]
        above = shorten(str(supertype))
        if supertype.final:
            raise InvalidModuleError(f"sub type {index} does not match super type: {above} is final", offset)
        if not composite_matches(defined.composite, supertype.composite):
            reason = f"sub type {index} does not match super type: {shorten(str(defined))} below {above}"
            raise InvalidModuleError(reason, offset)
        if defined.depth > MAXIMUM_SUBTYPING_DEPTH:
            limit = MAXIMUM_SUBTYPING_DEPTH
            raise ModuleLimitError(
                f"{defined.depth} types above type {index}, at most {limit} are possible", offset
            )
