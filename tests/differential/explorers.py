"""Farcall and wasmtime as explorers of modules."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from farcall.engine import Engine, FunctionType, GlobalType, MemoryType, Store, TableType, Trap

from .exploration import Exploration, Observation, Value
from .farcall_subject import TABLE_TRAPS
from .wasmtime_oracle import FORMATS, TABLE_TRAP, from_bits, to_bits, trap_name


def _seen(type_name: str, value: Any) -> Value:
    if type_name in FORMATS:
        return type_name, to_bits(type_name, value)
    return "ref", int(value is not None)  # wasmtime's Python package takes externref for another type


def _given(value: Value) -> Any:
    type_name, bits = value
    return from_bits(type_name, bits) if type_name in FORMATS else None


def _zero(type_name: str) -> Any:
    return _given((type_name, 0))


class _Imported:
    """The calls of imported functions."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Value, ...]]] = []

    def function(self, title: str, parameters: Sequence[str], results: Sequence[str]) -> Callable[..., Any]:
        """One that notes its call and returns zeros."""

        def call(*arguments: Any) -> Any:
            self.calls.append((title, tuple(map(_seen, parameters, arguments))))
            zeros = [_zero(result) for result in results]
            return zeros if len(zeros) > 1 else zeros[0] if zeros else None

        return call


def explore_on_farcall(engine: Engine, exploration: Exploration, *, ensure_termination: bool) -> Observation:
    """What farcall makes of it."""
    module = engine.load_module(exploration.module)
    imported = _Imported()
    outcomes: list[tuple[Value, ...] | str] = []
    memories, global_bits = [], []
    try:
        with Store(engine) as store:
            imports: dict[Any, Any] = {}
            for entry in module.imports:
                match entry.type:
                    case FunctionType(parameters, results):
                        implementation = imported.function(
                            entry.name, [each.name for each in parameters], [each.name for each in results]
                        )
                        extern: Any = store.host_function(entry.type, implementation)
                    case GlobalType(value):
                        extern = store.global_(entry.type, _zero(value.name))
                    case MemoryType():
                        extern = store.memory(entry.type)
                    case TableType():
                        extern = store.table(entry.type)
                imports[entry.module, entry.name] = extern
            compiled = engine.compile_module(module, ensure_termination=ensure_termination)
            try:
                instance = store.instantiate(compiled, imports)
            except Trap as trap:
                return Observation((_farcall_trap(trap),), tuple(imported.calls), (), ())
            outcomes.append(())
            for title, arguments in exploration.calls:
                function = instance.function(title)
                try:
                    values = function.call([_given(argument) for argument in arguments])
                    outcomes.append(
                        tuple(_seen(t.name, v) for t, v in zip(function.type.results, values, strict=True))
                    )
                except Trap as trap:
                    outcomes.append(_farcall_trap(trap))
            for title in exploration.memories:
                memory = instance.memory(title)
                memories.append(memory.read(0, memory.size))
            for title in exploration.globals:
                found = instance.global_(title)
                global_bits.append(to_bits(found.type.value.name, found.value))
    finally:
        engine.delete_compiled_module(module)
    return Observation(tuple(outcomes), tuple(imported.calls), tuple(memories), tuple(global_bits))


def _farcall_trap(trap: Trap) -> str:
    return TABLE_TRAP if trap.message in TABLE_TRAPS else trap.message


def explore_on_wasmtime(engine: Any, exploration: Exploration) -> Observation:
    """What wasmtime makes of it."""
    import wasmtime

    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, exploration.module)
    imported = _Imported()
    externs: list[Any] = []
    for entry in module.imports:
        match entry.type:
            case wasmtime.FuncType() as type:
                parameters, results = (list(map(str, types)) for types in (type.params, type.results))
                externs.append(wasmtime.Func(store, type, imported.function(entry.name, parameters, results)))
            case wasmtime.GlobalType() as type:
                externs.append(wasmtime.Global(store, type, _zero(str(type.content))))
            case wasmtime.MemoryType() as type:
                externs.append(wasmtime.Memory(store, type))
            case wasmtime.TableType() as type:
                externs.append(wasmtime.Table(store, type, None))
    try:
        exports = wasmtime.Instance(store, module, externs).exports(store)
    except wasmtime.Trap as trap:
        return Observation((trap_name(trap.trap_code),), tuple(imported.calls), (), ())
    outcomes: list[tuple[Value, ...] | str] = [()]
    for title, arguments in exploration.calls:
        function = exports[title]
        results = list(map(str, function.type(store).results))
        try:
            returned = function(store, *map(_given, arguments))
        except wasmtime.Trap as trap:
            outcomes.append(trap_name(trap.trap_code))
            continue
        values = returned if len(results) > 1 else [returned] if results else []
        outcomes.append(tuple(map(_seen, results, values)))
    memories = tuple(_content(store, exports[title]) for title in exploration.memories)
    global_bits = tuple(
        to_bits(str(exports[title].type(store).content), exports[title].value(store))
        for title in exploration.globals
    )
    return Observation(tuple(outcomes), tuple(imported.calls), memories, global_bits)


def _content(store: Any, memory: Any) -> bytes:
    """A memory's bytes; a shared one has no method for that."""
    import wasmtime

    if isinstance(memory, wasmtime.SharedMemory):
        return ctypes.string_at(memory.data_ptr(), memory.data_len())
    return bytes(memory.read(store, 0, memory.data_len(store)))
