"""The import modules that programs find without anybody having defined them."""

from __future__ import annotations

from farcall.engine.host.assembly_script import assembly_script_module
from farcall.engine.host.combined import CombinedModule
from farcall.engine.host.emscripten import EmscriptenModule
from farcall.engine.host.wasi.system import WasiSystem
from farcall.engine.runtime.caller import ImportProvider


def built_in_imports(system: WasiSystem) -> dict[str, ImportProvider]:
    """What `Store.instantiate` takes: WASI for a program, and what AssemblyScript's and Emscripten's compilers import.

    Parameters:
        system: what the program has of the world. What AssemblyScript's `trace` and console print goes to its standard
            error.
    """
    environment = CombinedModule(assembly_script_module(system.print_error), EmscriptenModule())
    return {**system.imports, "env": environment}
