"""Runs cases on farcall."""

from __future__ import annotations

from farcall.engine import Engine, Store
from farcall.engine.errors import Trap

from .case import Behaviour, Case
from .wasmtime_oracle import NULL_TRAP, TABLE_TRAP, to_bits

TABLE_TRAPS = frozenset(("undefined element", "out of bounds table access"))


def _trap_name(message: str) -> str:
    """wasmtime has one trap for what are several here."""
    if message in TABLE_TRAPS:
        return TABLE_TRAP
    return NULL_TRAP if message.startswith("null ") else message


def run_on_farcall(engine: Engine, case: Case, *, ensure_termination: bool) -> Behaviour:
    """What farcall makes of a case, in a store of its own."""
    modules = [engine.load_module(source) for source in (case.library, case.module) if source is not None]
    try:
        with Store(engine) as store:
            imports = {}
            for module in modules:
                compiled = engine.compile_module(module, ensure_termination=ensure_termination)
                instance = store.instantiate(compiled, imports)
                imports = {"library": instance}
            outcomes: list[tuple[int, ...] | str] = []
            for name, arguments in case.calls:
                try:
                    outcomes.append(tuple(instance.function(name).call_bits(arguments)))
                except Trap as trap:
                    outcomes.append(_trap_name(trap.message))
            memory = None
            if case.memory is not None:
                found = instance.memory(case.memory)
                memory = found.read(0, found.size)
            found_globals = [instance.global_(name) for name in case.globals]
            return Behaviour(
                tuple(outcomes),
                memory,
                tuple(to_bits(found.type.value.name, found.value) for found in found_globals),
            )
    finally:
        for module in modules:
            engine.delete_compiled_module(module)
