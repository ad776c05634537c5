"""Types of the engine as messages."""

from __future__ import annotations

from collections.abc import Iterable

from farcall import engine
from farcall.proto.farcall.v1 import module_pb2, value_pb2

_VALUE_TYPES: dict[engine.ValueType, value_pb2.ValueType.ValueType] = {
    engine.I32: value_pb2.VALUE_TYPE_I32,
    engine.I64: value_pb2.VALUE_TYPE_I64,
    engine.F32: value_pb2.VALUE_TYPE_F32,
    engine.F64: value_pb2.VALUE_TYPE_F64,
    engine.V128: value_pb2.VALUE_TYPE_V128,
    engine.FUNCREF: value_pb2.VALUE_TYPE_FUNCREF,
    engine.EXTERNREF: value_pb2.VALUE_TYPE_EXTERNREF,
    engine.EXNREF: value_pb2.VALUE_TYPE_EXNREF,
}

_BY_NAME = {value_type.name: message for value_type, message in _VALUE_TYPES.items()}


def value_type_by_name(name: str) -> value_pb2.ValueType.ValueType | None:
    """The enumeration's value for the text format's name of a value type."""
    return _BY_NAME.get(name)


def value_type_message(value_type: engine.ValueType) -> value_pb2.ValueType.ValueType:
    """The enumeration's value for a value type."""
    return _VALUE_TYPES.get(value_type, value_pb2.VALUE_TYPE_REFERENCE)


def _names(value_types: Iterable[engine.ValueType]) -> list[str]:
    return [value_type.name for value_type in value_types]


def _name(value_type: engine.ValueType) -> str:
    """The name of a type that the enumeration does not have."""
    return "" if value_type in _VALUE_TYPES else value_type.name


def function_type_message(function_type: engine.FunctionType) -> value_pb2.FunctionType:
    """A function's type."""
    message = value_pb2.FunctionType(
        parameters=map(value_type_message, function_type.parameters),
        results=map(value_type_message, function_type.results),
    )
    if any(map(_name, (*function_type.parameters, *function_type.results))):
        message.parameter_names.extend(_names(function_type.parameters))
        message.result_names.extend(_names(function_type.results))
    return message


def limits_message(limits: engine.Limits) -> value_pb2.Limits:
    """Bounds of a memory or table."""
    return value_pb2.Limits(minimum=limits.minimum, maximum=limits.maximum)


def memory_type_message(memory_type: engine.MemoryType) -> value_pb2.MemoryType:
    """A memory's type."""
    return value_pb2.MemoryType(
        limits=limits_message(memory_type.limits),
        shared=memory_type.shared,
        index_type=value_type_message(memory_type.index_type),
        page_size_bytes=memory_type.page_size,
    )


def table_type_message(table_type: engine.TableType) -> value_pb2.TableType:
    """A table's type."""
    return value_pb2.TableType(
        element=value_type_message(table_type.element),
        element_name=_name(table_type.element),
        limits=limits_message(table_type.limits),
        index_type=value_type_message(table_type.index_type),
    )


def global_type_message(global_type: engine.GlobalType) -> value_pb2.GlobalType:
    """A global's type."""
    return value_pb2.GlobalType(
        value=value_type_message(global_type.value),
        mutable=global_type.mutable,
        value_name=_name(global_type.value),
    )


def extern_type_message(extern: engine.ExternType) -> value_pb2.ExternType:
    """Type of an import or export."""
    match extern:
        case engine.FunctionType():
            return value_pb2.ExternType(function=function_type_message(extern))
        case engine.TableType():
            return value_pb2.ExternType(table=table_type_message(extern))
        case engine.MemoryType():
            return value_pb2.ExternType(memory=memory_type_message(extern))
        case engine.TagType():
            parameters = map(value_type_message, extern.type.parameters)
            return value_pb2.ExternType(tag=value_pb2.TagType(parameters=parameters))
        case engine.GlobalType():
            message = value_pb2.ExternType()
            getattr(message, "global").CopyFrom(
                global_type_message(extern)
            )  # `global` is a keyword of Python
            return message


def export_messages(module: engine.Module) -> list[module_pb2.Export]:
    """What a module exports, in its order."""
    return [
        module_pb2.Export(name=export.name, type=extern_type_message(module.export_type(export)))
        for export in module.exports
    ]
