"""Command modules: what makes a module a program."""

from __future__ import annotations

from farcall.engine.structure.module import Module
from farcall.engine.structure.types import FunctionType

START = "_start"
"""What a command module exports as its beginning."""


def command_problem(module: Module) -> str | None:
    """Why a module is no command, in words; None for one."""
    export = next((export for export in module.exports if export.name == START), None)
    if export is None:
        return f"it exports no function {START!r}"
    found = module.export_type(export)
    if found != FunctionType((), ()):
        return f"its {START!r} is {found}, not () -> ()"
    return None
