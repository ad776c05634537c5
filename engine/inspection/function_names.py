"""From what a person calls a function to the function."""

from __future__ import annotations

import difflib

from farcall.engine.errors import FunctionNotFoundError
from farcall.engine.structure.module import FunctionBody, Module
from farcall.engine.structure.types import ExternKind

_NEAR_NAMES = 5


def find_function(module: Module, wanted: str) -> FunctionBody:
    """The function of an index (decimal), of an export's name, or of a name in the name section.

    Raises:
        FunctionNotFoundError: there is none, there are several, or it is imported.
    """
    found = _indices(module).get(wanted, set())
    if not found and wanted.isascii() and wanted.isdigit():
        found = {int(wanted)}
    if not found:
        raise FunctionNotFoundError(f"the module has no function {wanted!r}{_near(module, wanted)}")
    if len(found) > 1:
        indices = ", ".join(map(str, sorted(found)))
        raise FunctionNotFoundError(
            f"{len(found)} functions have the name {wanted!r}: give an index of {indices}"
        )
    return _defined(module, found.pop())


def _indices(module: Module) -> dict[str, set[int]]:
    """Functions by name. An export's name goes before the same name in the name section."""
    exported: dict[str, set[int]] = {
        export.name: {export.index} for export in module.exports if export.kind is ExternKind.FUNCTION
    }
    named: dict[str, set[int]] = {}
    for index, name in module.names.functions.items():
        if index < len(module.function_types):
            named.setdefault(name, set()).add(index)
    return {**named, **exported}


def _near(module: Module, wanted: str) -> str:
    near = difflib.get_close_matches(wanted, _indices(module), _NEAR_NAMES)
    if near:
        return f"; near names: {', '.join(map(repr, near))}"
    total = len(module.function_types)
    return f"; it has {total} functions, by index from 0 to {total - 1}" if total else "; it has no functions"


def _defined(module: Module, index: int) -> FunctionBody:
    imported = module.imported(ExternKind.FUNCTION)
    if index < len(imported):
        entry = imported[index]
        raise FunctionNotFoundError(
            f"function {index} is imported, {entry.module!r} {entry.name!r}: the module has no code of it"
        )
    if index >= len(module.function_types):
        total = len(module.function_types)
        raise FunctionNotFoundError(f"the module has no function {index}: it has {total}, counted from 0")
    return module.functions[index - len(imported)]
