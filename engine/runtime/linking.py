"""Resolution of imports: names to externs, and whether their types match (sections 3.2.6 and 4.5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ClosedError, LinkError
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.structure.types import (
    ExternType,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    describe,
)

if TYPE_CHECKING:
    from farcall.engine.runtime.references import References
    from farcall.engine.structure.module import Import, Module

Extern = Function | Memory | Table | Global | Tag
"""What can be imported and exported."""

Imports = Mapping[Any, Any]
"""By module name: an instance, or a mapping from names to externs; by (module name, name): an extern.

A single import goes before its module's.
"""


def resolve(module: Module, imports: Imports, references: References) -> list[Extern]:
    """An extern for each import of the module, in order.

    Parameters:
        references: of the store that the new instance will be in.

    Raises:
        LinkError: an import is not provided, or has another type, or is of another store.
        ClosedError: what is provided is closed.
    """
    return [_resolve_one(entry, imports, references) for entry in module.imports]


def _resolve_one(entry: Import, imports: Imports, references: References) -> Extern:
    extern = imports.get((entry.module, entry.name))
    if extern is None:
        provider = imports.get(entry.module)
        # An instance provides what it exports.
        names = getattr(provider, "exports", provider)
        extern = names.get(entry.name) if isinstance(names, Mapping) else None
    if extern is None:
        raise LinkError(entry.module, entry.name, describe(entry.type), None)
    if not isinstance(extern, Function | Memory | Table | Global | Tag):
        raise LinkError(entry.module, entry.name, describe(entry.type), f"a Python {type(extern).__name__}")
    check_import(entry, extern, references)
    return extern


def check_import(entry: Import, extern: Extern, references: References) -> None:
    """Whether `extern` can be what is imported into the store that `references` is of.

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
    if not _matches(extern.type, entry.type):
        raise LinkError(entry.module, entry.name, describe(entry.type), describe(extern.type))


def _matches(found: ExternType, wanted: ExternType) -> bool:
    """External type matching (section 3.2.6)."""
    match found, wanted:
        case FunctionType(), FunctionType():
            return found == wanted
        case (GlobalType(), GlobalType()) | (TagType(), TagType()):
            return found == wanted
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
