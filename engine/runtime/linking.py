"""Resolution of imports: names to externs, and whether their types match (sections 3.2.6 and 4.5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ClosedError, LinkError
from farcall.engine.runtime.caller import ImportProvider
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import (
    ExternKind,
    ExternType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    describe,
)

if TYPE_CHECKING:
    from farcall.engine.runtime.caller import Caller
    from farcall.engine.runtime.references import References
    from farcall.engine.structure.module import Import, Module

Extern = Function | Memory | Table | Global | Tag
"""What can be imported and exported."""

Imports = Mapping[Any, Any]
"""By module name: an instance, a mapping from names to externs, or an `ImportProvider`; by (module name, name): an
extern.

A single import goes before its module's.
"""


def resolve(module: Module, imports: Imports, references: References, caller: Caller) -> list[Extern]:
    """An extern for each import of the module, in order.

    Parameters:
        references: of the store that the new instance will be in.
        caller: stands for the new instance, for those who make imports for it.

    Raises:
        LinkError: an import is not provided, or has another type, or is of another store.
        ClosedError: what is provided is closed.
    """
    return [_resolve_one(module, entry, imports, references, caller) for entry in module.imports]


def _resolve_one(
    module: Module, entry: Import, imports: Imports, references: References, caller: Caller
) -> Extern:
    extern = imports.get((entry.module, entry.name))
    if extern is None:
        provider = imports.get(entry.module)
        # An instance provides what it exports.
        names = getattr(provider, "exports", provider)
        if isinstance(provider, ImportProvider):
            extern = provider.provide(entry, caller)
        elif isinstance(names, Mapping):
            extern = names.get(entry.name)
    if extern is None:
        raise LinkError(entry.module, entry.name, describe(entry.type), None)
    if not isinstance(extern, Function | Memory | Table | Global | Tag):
        raise LinkError(entry.module, entry.name, describe(entry.type), f"a Python {type(extern).__name__}")
    check_import(module, entry, extern, references)
    return extern


def check_import(module: Module, entry: Import, extern: Extern, references: References) -> None:
    """Whether `extern` can be what `module` imports into the store that `references` is of.

    Raises:
        LinkError: it is of another type, or of another store.
        ClosedError: it is closed.
    """
    if extern.owner is not None and extern.owner.closed:
        raise ClosedError(f'import "{entry.module}" "{entry.name}": {extern.owner.title} is closed')
    home = extern.references if isinstance(extern, Function) else extern.owner.references
    if home is not references:
        raise LinkError(
            entry.module, entry.name, describe(entry.type), f"{describe(extern.type)} of another store"
        )
    if isinstance(extern, Tag) and entry.kind is ExternKind.TAG:
        assert entry.type_index is not None
        matches = extern.definition is module.defined_types[entry.type_index]
    elif isinstance(extern, Function) and entry.kind is ExternKind.FUNCTION:
        assert entry.type_index is not None
        wanted = module.defined_types[entry.type_index]
        matches = extern.definition is wanted if entry.exact else extern.definition.is_subtype_of(wanted)
    else:
        matches = _matches(extern.type, entry.type)
    if not matches:
        raise LinkError(entry.module, entry.name, describe(entry.type), describe(extern.type))


def _matches(found: ExternType, wanted: ExternType) -> bool:
    """External type matching (section 3.3.14), but of functions and tags, of which the defined types count."""
    match found, wanted:
        case GlobalType(), GlobalType():
            # What can change must be of the same type, for either side sets it.
            return found == wanted or (
                not found.mutable and not wanted.mutable and value_matches(found.value, wanted.value)
            )
        case MemoryType(), MemoryType():
            return (
                _limits_match(found.limits, wanted.limits)
                and found.shared == wanted.shared
                and found.index_type is wanted.index_type
                and found.page_size == wanted.page_size
            )
        case TableType(), TableType():
            return (
                _limits_match(found.limits, wanted.limits)
                and found.element is wanted.element
                and found.index_type is wanted.index_type
            )
        case _:
            return False


def _limits_match(found: Limits, wanted: Limits) -> bool:
    if found.minimum < wanted.minimum:
        return False
    return wanted.maximum is None or (found.maximum is not None and found.maximum <= wanted.maximum)
