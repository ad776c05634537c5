"""Runs cases on wasmtime, in a process of its own: wasmtime and farcall both handle the process's signals."""

from __future__ import annotations

import multiprocessing
import struct
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from .case import Behaviour, Case
from .exploration import Exploration, Observation

FORMATS = {"i32": ("<i", "<I"), "i64": ("<q", "<Q"), "f32": ("<f", "<I"), "f64": ("<d", "<Q")}
"""Of each number type: how `struct` writes its values, and its bit patterns."""


class WasmtimeOracle:
    """A context manager; `run` says what wasmtime does."""

    def __enter__(self) -> WasmtimeOracle:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()

    def run(self, case: Case) -> Behaviour:
        """What wasmtime makes of a case.

        Raises:
            ValueError: wasmtime refuses the module; the message says why.
        """
        self._connection.send(case)
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise ValueError(answer)
        assert isinstance(answer, Behaviour)
        return answer

    def explore(self, exploration: Exploration) -> Observation:
        """What wasmtime makes of a module. Raises ValueError where it refuses the module."""
        self._connection.send(exploration)
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise ValueError(answer)
        assert isinstance(answer, Observation)
        return answer

    def refusals(self, modules: Sequence[bytes]) -> list[str]:
        """For each module why wasmtime, held to farcall's features, refuses it; empty where it is valid."""
        self._connection.send(list(modules))
        answer = self._connection.recv()
        assert isinstance(answer, list)
        return answer


LATER_FEATURES = ("stack_switching",)
"""wasmtime's names of what farcall does not have. It has none for extended constants: they stay switched on."""

MISSING_FEATURES = ("custom-descriptors", "legacy-exceptions")
"""farcall's names of what wasmtime does not have: switched off where verdicts are compared."""

PROPOSALS = ("custom_page_sizes", "function_references", "gc", "wide_arithmetic")
"""wasmtime's names of what farcall has and wasmtime only when it is asked to."""


def _serve(connection: Connection) -> None:
    import wasmtime

    generous, config = wasmtime.Config(), wasmtime.Config()
    for feature in PROPOSALS:
        setattr(generous, f"wasm_{feature}", True)
        setattr(config, f"wasm_{feature}", True)
    generous.shared_memory = config.shared_memory = True
    engine = wasmtime.Engine(generous)
    for feature in LATER_FEATURES:
        setattr(config, f"wasm_{feature}", False)
    strict_engine = wasmtime.Engine(config)
    while True:
        try:
            case = connection.recv()
        except EOFError:
            return
        if isinstance(case, list):
            connection.send([_refusal(strict_engine, module) for module in case])
            continue
        try:
            if isinstance(case, Exploration):
                from .explorers import explore_on_wasmtime  # it needs what is below

                connection.send(explore_on_wasmtime(engine, case))
            else:
                connection.send(_run(engine, case))
        except wasmtime.WasmtimeError as error:
            connection.send(f"wasmtime refuses the module: {error}")
        except Exception as error:
            connection.send(f"wasmtime's Python package fails: {error!r}")


def _refusal(engine: Any, module: bytes) -> str:
    import wasmtime

    try:
        wasmtime.Module.validate(engine, module)
    except wasmtime.WasmtimeError as error:
        return str(error) or "refused"
    return ""


def _run(engine: Any, case: Case) -> Behaviour:
    import wasmtime

    store = wasmtime.Store(engine)
    linker = wasmtime.Linker(engine)
    if case.library is not None:
        linker.define_instance(
            store, "library", linker.instantiate(store, wasmtime.Module(engine, case.library))
        )
    exports = linker.instantiate(store, wasmtime.Module(engine, case.module)).exports(store)
    functions: dict[str, tuple[Any, list[str], list[str]]] = {}
    outcomes: list[tuple[int, ...] | str] = []
    for name, arguments in case.calls:
        if name not in functions:
            function_type = exports[name].type(store)
            parameters = [str(value_type) for value_type in function_type.params]
            functions[name] = (
                exports[name],
                parameters,
                [str(value_type) for value_type in function_type.results],
            )
        function, parameters, result_types = functions[name]
        values = [from_bits(value_type, bits) for value_type, bits in zip(parameters, arguments, strict=True)]
        try:
            returned = function(store, *values)
        except wasmtime.Trap as trap:
            outcomes.append(trap_name(trap.trap_code))
            continue
        results = returned if isinstance(returned, list) else [returned] if result_types else []
        outcomes.append(tuple(to_bits(*typed) for typed in zip(result_types, results, strict=True)))
    memory = None
    if case.memory is not None:
        found = exports[case.memory]
        memory = bytes(found.read(store, 0, found.data_len(store)))
    global_bits = tuple(
        to_bits(str(exports[name].type(store).content), exports[name].value(store)) for name in case.globals
    )
    return Behaviour(tuple(outcomes), memory, global_bits)


def from_bits(value_type: str, bits: int) -> float:
    """The Python number with this bit pattern."""
    value_format, bits_format = FORMATS[value_type]
    (value,) = struct.unpack(value_format, struct.pack(bits_format, bits))
    assert isinstance(value, int | float)
    return value


def to_bits(value_type: str, value: float) -> int:
    """The bit pattern of a Python number."""
    value_format, bits_format = FORMATS[value_type]
    (bits,) = struct.unpack(bits_format, struct.pack(value_format, value))
    assert isinstance(bits, int)
    return bits


def trap_name(code: Any) -> str:
    """The name that a trap of wasmtime's is compared by."""
    # wasmtime has one code for any access to a table that is out of bounds.
    return {
        "STACK_OVERFLOW": "call stack exhausted",
        "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access",
        "TABLE_OUT_OF_BOUNDS": TABLE_TRAP,
        "INDIRECT_CALL_TO_NULL": "uninitialized element",
        "BAD_SIGNATURE": "indirect call type mismatch",
        "INTEGER_OVERFLOW": "integer overflow",
        "INTEGER_DIVISION_BY_ZERO": "integer divide by zero",
        "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer",
        "UNREACHABLE": "unreachable",
        "HEAP_MISALIGNED": "unaligned atomic",
        "ATOMIC_WAIT_NON_SHARED_MEMORY": "expected shared memory",
        "CAST_FAILURE": "cast failure",
        "NULL_REFERENCE": NULL_TRAP,
        "ARRAY_OUT_OF_BOUNDS": "out of bounds array access",
    }[code.name]


TABLE_TRAP = "out of bounds of a table"
NULL_TRAP = "null reference"
"""What the two traps of the specification for this are compared as."""
