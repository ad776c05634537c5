"""The import modules that guests find without anybody having linked them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from farcall.engine.host.assembly_script import assembly_script_module
from farcall.engine.host.combined import CombinedModule
from farcall.engine.host.emscripten import EmscriptenModule
from farcall.engine.host.wasi.layouts import PREVIEW_1, UNSTABLE
from farcall.engine.host.wasi.system import WasiSystem
from farcall.engine.runtime.caller import ImportProvider

RESERVED_NAMES = frozenset({PREVIEW_1.module, UNSTABLE.module})
"""Import modules that are WASI's, and nobody else's."""

_ENVIRONMENT = "env"
_NONE: Mapping[str, ImportProvider] = MappingProxyType({})


def built_in_imports(
    system: WasiSystem | None = None, host_modules: Mapping[str, ImportProvider] = _NONE
) -> dict[str, ImportProvider]:
    """What `Store.instantiate` takes: WASI, what AssemblyScript's and Emscripten's compilers import, and what is added.

    Parameters:
        system: what a program has of the world; no WASI without. What AssemblyScript's `trace` and console print goes
            to its standard error.
        host_modules: by name. What is built in under the name "env" is still there where one has this name, unless it
            has a function of the same name.
    """
    environment = (
        assembly_script_module(None if system is None else system.print_error),
        EmscriptenModule(),
    )
    own = (host_modules[_ENVIRONMENT],) if _ENVIRONMENT in host_modules else ()
    wasi = {} if system is None else system.imports
    return {**host_modules, **wasi, _ENVIRONMENT: CombinedModule(*own, *environment)}
