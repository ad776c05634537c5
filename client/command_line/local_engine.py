"""What commands do in their own process with the engine; imported only by those that need it."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from farcall import engine
from farcall.client.command_line.engine_errors import client_error
from farcall.client.command_line.guest_arguments import read_arguments
from farcall.client.command_line.guest_thread import run_until
from farcall.client.floats import f32_bits, f32_from_bits, f64_bits, f64_from_bits
from farcall.client.messages import read_function_code, read_module
from farcall.client.types import (
    AnyValueType,
    Argument,
    CodeTier,
    FunctionCode,
    FunctionReference,
    FunctionType,
    Module,
    ObjectReference,
    ReferenceType,
    Results,
    Value,
    ValueType,
)
from farcall.engine.binary import decode_module
from farcall.engine.validation import validate_module

T = TypeVar("T")


def read_module_file(source: bytes) -> Module:
    """What a server would tell about a module; InvalidModuleError where it would refuse it."""
    from farcall.server.messages.modules import module_message  # noqa: PLC0415 - so that both ways show the same

    return read_module(module_message(_valid_module(source), 0, content=False))


def inspect_function(source: bytes, function: str, tier: CodeTier) -> FunctionCode:
    """A function in all its forms, as a server would tell; errors as a client raises."""
    from farcall.server.messages.inspection import inspection_message  # noqa: PLC0415 - so that both ways show the same

    module = _valid_module(source)
    try:
        inspection = engine.inspect_function(module, function, engine.Tier(tier.value), limited=False)
    except engine.FarcallError as error:
        raise client_error(error) from None
    return read_function_code(inspection_message(inspection))


def _valid_module(source: bytes) -> engine.Module:
    try:
        module = decode_module(source)
        validate_module(module)
    except engine.FarcallError as error:
        raise client_error(error) from None
    return module


def module_file_warnings(source: bytes) -> list[str]:
    """What is wrong with custom sections of a module that `read_module_file` has read."""
    return [
        f"{problem.reason} (at byte {problem.offset:#x})"
        for problem in engine.custom_section_problems(decode_module(source))
    ]


def compile_file(
    source: bytes,
    file: Path,
    cpu: str,
    features: str,
    processes: int | None,
    progress: Callable[[int, int], object],
) -> dict[str, object]:
    """Compiles a module ahead, and writes the artifact.

    Args:
        source: the module.
        file: where to; it is there as a whole, or not at all.
        cpu: that the code is for: see `engine.choose_target`.
        features: changes to what it has.
        processes: how many compile; None for as many as there are cores.
        progress: is told how many functions of how many are compiled.

    Returns:
        What can be told of it.

    Raises:
        ValueError: there is no such CPU or feature.
        errors.FarcallError: the module is refused, or cannot be compiled.
        OSError: the file cannot be written.
    """
    target = engine.choose_target(cpu, features)
    told: list[engine.CompileProgress] = []

    def listen(now: engine.CompileProgress) -> None:
        told[:] = [now]
        progress(now.done, now.functions)

    try:
        with engine.Engine(compile_limits=engine.CompileLimits(processes=processes, nice=0)) as compiler:
            artifact = compiler.compile_ahead(compiler.load_module(source), target=target, progress=listen)
    except engine.FarcallError as error:
        raise client_error(error) from None
    content = engine.encode_artifact(artifact)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as written:
        incoming = Path(written.name)
        try:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
            incoming.chmod(0o644)
            incoming.replace(file)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise
    return {
        "digest": artifact.digest,
        "target": target.triple,
        "cpu": target.cpu,
        "functions": told[-1].functions,
        "optimized": told[-1].optimized,
        "fast": told[-1].fast,
        "code_bytes": len(artifact.image.content),
        "size": len(content),
    }


def execute(
    source: bytes,
    function: str,
    arguments: Sequence[str],
    libraries: Mapping[str, bytes],
    timeout: float | None,
) -> tuple[Results, FunctionType]:
    """Instantiates a module in this process and calls a function of it.

    Args:
        source: the module.
        function: name of the export.
        arguments: as texts.
        libraries: by import module, the module whose instance provides for it. A module has one instance, for however
            many import modules it provides; it imports from those that stand before it.
        timeout: seconds, counted from when all is compiled, after which the guest is stopped; None for no end.

    Returns:
        The results as a client gives them, and the function's type.

    Raises:
        errors.FarcallError: as a client raises.
    """
    with engine.Engine() as running_engine, engine.Store(running_engine) as store:

        def work(compiled: threading.Event) -> tuple[Results, FunctionType]:
            module, *others = (
                running_engine.compile_module(running_engine.load_module(data), ensure_termination=True)
                for data in (source, *libraries.values())
            )
            compiled.set()
            imports: dict[str, engine.Instance] = {}
            instances: dict[str, engine.Instance] = {}
            for name, library in zip(libraries, others, strict=True):
                digest = library.module.digest
                if digest not in instances:
                    instances[digest] = store.instantiate(library, dict(imports))
                imports[name] = instances[digest]
            instance = store.instantiate(module, imports)
            callee = instance.function(function)
            function_type = _function_type(callee.type)
            given = read_arguments(arguments, function_type)
            return _call(callee, function_type, given, instance.name), function_type

        return run_until(work, timeout, store.close)


def _call(
    callee: engine.Function, function_type: FunctionType, arguments: Sequence[Argument], instance: str
) -> Results:
    """Calls with bit patterns where all values are numbers, so that every NaN keeps its bits."""
    parameters, results = function_type.parameters, function_type.results
    if _TO_SLOTS.keys() >= {*parameters, *results}:
        bits = [
            slot
            for type_, value in zip(parameters, arguments, strict=True)
            for slot in _TO_SLOTS[type_](value)
        ]
        slots = iter(callee.call_bits(bits))
        values: tuple[Value, ...] = tuple(_FROM_SLOTS[type_](slots) for type_ in results)
    else:
        values = tuple(_reference(value, instance) for value in callee.call(arguments))
    return values[0] if len(values) == 1 else values or None


def _reference(value: Any, instance: str) -> Value:
    if isinstance(value, engine.Function):
        return FunctionReference(instance, value.name or "", value.index)
    if isinstance(value, engine.I31):
        return int(value)
    if isinstance(value, engine.ObjectReference):
        return ObjectReference(str(value.type))
    result: Value = value
    return result


def _signed(bits: int, width: int) -> int:
    return (bits & (1 << width) - 1) - ((bits >> (width - 1) & 1) << width)


_VECTOR = struct.Struct("<2Q")

_TO_SLOTS: dict[AnyValueType, Callable[[Any], tuple[int, ...]]] = {
    ValueType.I32: lambda value: (value & 0xFFFF_FFFF,),
    ValueType.I64: lambda value: (value & 0xFFFF_FFFF_FFFF_FFFF,),
    ValueType.F32: lambda value: (f32_bits(value),),
    ValueType.F64: lambda value: (f64_bits(value),),
    ValueType.V128: _VECTOR.unpack,
}

_FROM_SLOTS: dict[AnyValueType, Callable[[Iterator[int]], Value]] = {
    ValueType.I32: lambda slots: _signed(next(slots), 32),
    ValueType.I64: lambda slots: _signed(next(slots), 64),
    ValueType.F32: lambda slots: f32_from_bits(next(slots) & 0xFFFF_FFFF),
    ValueType.F64: lambda slots: f64_from_bits(next(slots)),
    ValueType.V128: lambda slots: _VECTOR.pack(next(slots), next(slots)),
}


def _value_type(type_: engine.ValueType) -> AnyValueType:
    return ValueType(type_.name) if type_.name in _NAMED else ReferenceType(type_.name)


_NAMED = frozenset(ValueType)


def _function_type(type_: engine.FunctionType) -> FunctionType:
    return FunctionType(
        tuple(map(_value_type, type_.parameters)),
        tuple(map(_value_type, type_.results)),
    )
