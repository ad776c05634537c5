"""The types of a module (sections 3.2.7 to 3.2.13)."""

from __future__ import annotations

from farcall.engine.binary.limits import MAXIMUM_SUBTYPING_DEPTH
from farcall.engine.errors import InvalidModuleError, ModuleLimitError
from farcall.engine.structure.defined_types import DefinedType
from farcall.engine.structure.matching import composite_matches
from farcall.engine.structure.module import Module
from farcall.engine.validation.rejection import shorten


def _clause_problem(defined: DefinedType) -> str | None:
    """What is wrong with the clauses of a type that has or is a descriptor's (custom-descriptors proposal)."""
    if defined.describes is None and defined.descriptor is None:
        return None
    problem = None
    if defined.describes is not None and defined.describes.descriptor is not defined:
        problem = "described type is not described by descriptor"
    elif defined.descriptor is not None and defined.descriptor.describes is not defined:
        problem = "type is not described by its descriptor"
    elif defined.kind != "struct":
        of = "descriptor" if defined.descriptor is not None else "described"
        problem = f"{of} type must be a struct"
    return problem


def _mismatch(defined: DefinedType, supertype: DefinedType) -> str | None:
    """Why a type cannot be declared below another."""
    above = shorten(str(supertype))
    mismatch = None
    if supertype.final:
        mismatch = f"{above} is final"
    elif not composite_matches(defined.composite, supertype.composite):
        mismatch = f"{shorten(str(defined))} below {above}"
    elif supertype.descriptor is not None and defined.descriptor is None:
        mismatch = "only the latter has a descriptor"
    elif (supertype.describes is None) != (defined.describes is None):
        mismatch = "only one of them is a descriptor"
    return mismatch


def _clause_mismatch(index: int, defined: DefinedType, supertype: DefinedType) -> str | None:
    """Why what describes a type, or what it describes, does not match that of its supertype."""
    first = index - defined.position  # of the group, which the types in clauses belong to
    for what, own, above in (
        ("descriptor", defined.descriptor, supertype.descriptor),
        ("described", defined.describes, supertype.describes),
    ):
        if own is not None and above is not None and not own.is_subtype_of(above):
            return f"{what} type {first + own.position} does not match that of the super type of type {index}"
    return None


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
        offset = module.offsets.types[index]
        clause_problem = _clause_problem(defined)
        if clause_problem is not None:
            raise InvalidModuleError(f"{clause_problem}: type {index}", offset)
        supertype = defined.supertype
        if supertype is None:
            continue
        mismatch = _mismatch(defined, supertype)
        if mismatch is not None:
            # Of equal types, the last one: that it is declared below which of them is not known any more.
            above = max(before for before in range(index) if module.defined_types[before] is supertype)
            reason = f"sub type {index} does not match super type {above}: {mismatch}"
            raise InvalidModuleError(reason, offset)
        mismatch = _clause_mismatch(index, defined, supertype)
        if mismatch is not None:
            raise InvalidModuleError(mismatch, offset)
        if defined.depth > MAXIMUM_SUBTYPING_DEPTH:
            limit = MAXIMUM_SUBTYPING_DEPTH
            raise ModuleLimitError(
                f"{defined.depth} types above type {index}, at most {limit} are possible", offset
            )
