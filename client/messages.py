"""From messages of `farcall.v1` to the plain data of `types`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from farcall.client import types
from farcall.proto.farcall.v1 import (
    instance_service_pb2,
    module_pb2,
    module_service_pb2,
    server_service_pb2,
    store_service_pb2,
    value_pb2,
)

VALUE_TYPES: dict[int, types.ValueType] = {
    value_pb2.VALUE_TYPE_I32: types.ValueType.I32,
    value_pb2.VALUE_TYPE_I64: types.ValueType.I64,
    value_pb2.VALUE_TYPE_F32: types.ValueType.F32,
    value_pb2.VALUE_TYPE_F64: types.ValueType.F64,
    value_pb2.VALUE_TYPE_V128: types.ValueType.V128,
    value_pb2.VALUE_TYPE_FUNCREF: types.ValueType.FUNCREF,
    value_pb2.VALUE_TYPE_EXTERNREF: types.ValueType.EXTERNREF,
    value_pb2.VALUE_TYPE_EXNREF: types.ValueType.EXNREF,
}


def read_function_type(message: value_pb2.FunctionType) -> types.FunctionType:
    """The type of a function."""
    return types.FunctionType(
        _value_types(message.parameters, message.parameter_names),
        _value_types(message.results, message.result_names),
    )


def read_memory_type(message: value_pb2.MemoryType) -> types.MemoryType:
    """The type of a memory."""
    return types.MemoryType(
        _limits(message.limits),
        message.shared,
        VALUE_TYPES.get(message.index_type, types.ValueType.I32),
        message.page_size_bytes,
    )


def read_table_type(message: value_pb2.TableType) -> types.TableType:
    """The type of a table."""
    index_type = VALUE_TYPES.get(message.index_type, types.ValueType.I32)
    element = _value_type(message.element, message.element_name)
    return types.TableType(element, _limits(message.limits), index_type)


def read_global_type(message: value_pb2.GlobalType) -> types.GlobalType:
    """The type of a global."""
    return types.GlobalType(_value_type(message.value, message.value_name), message.mutable)


def read_extern_type(message: value_pb2.ExternType) -> types.ExternType:
    """The type of an import or export."""
    match message.WhichOneof("kind"):
        case "function":
            return read_function_type(message.function)
        case "memory":
            return read_memory_type(message.memory)
        case "table":
            return read_table_type(message.table)
        case "global":
            return read_global_type(getattr(message, "global"))
        case "tag":
            return types.TagType(tuple(VALUE_TYPES[code] for code in message.tag.parameters))
        case kind:
            raise ValueError(
                f"the server sent an extern type of a kind that this client does not know: {kind}"
            )


def read_module(message: module_pb2.Module, with_content: bool = False) -> types.Module:
    """A module; `with_content` says that the contents of custom sections were asked for."""
    return types.Module(
        digest=message.sha256,
        size=message.size_bytes,
        create_time=_time(message.create_time),
        module_name=message.module_name or None,
        imports=tuple(
            types.Import(entry.module, entry.name, read_extern_type(entry.type)) for entry in message.imports
        ),
        exports=_exports(message.exports),
        types=tuple(read_function_type(entry) for entry in message.types),
        type_texts=tuple(message.type_texts),
        sections=tuple(
            types.Section(entry.id, entry.name, entry.offset, entry.size_bytes) for entry in message.sections
        ),
        custom_sections=tuple(
            types.CustomSection(entry.name, entry.size_bytes, entry.content if with_content else None)
            for entry in message.custom_sections
        ),
    )


def read_compile_progress(message: module_service_pb2.CompileModuleResponse) -> types.CompileProgress:
    """How far compiling a module is."""
    tiers = {entry.tier: entry.functions for entry in message.tiers}
    return types.CompileProgress(
        functions=message.functions,
        functions_done=message.functions_done,
        optimized=tiers.get(module_service_pb2.COMPILATION_TIER_OPTIMIZED, 0),
        fast=tiers.get(module_service_pb2.COMPILATION_TIER_FAST, 0),
        code_size=message.code_size_bytes,
        code_size_done=message.code_size_bytes_done,
        done=message.done,
    )


def read_uploaded_module(message: module_service_pb2.UploadModuleResponse) -> types.UploadedModule:
    """A module and what its upload did."""
    return types.UploadedModule(
        **vars(read_module(message.module)),
        created=message.created,
        compiled=message.compiled,
        compile_seconds=message.compile_duration.ToNanoseconds() / 1e9,
    )


def read_function_code(message: module_service_pb2.InspectFunctionResponse) -> types.FunctionCode:
    """A function in all its forms."""
    fast = message.tier == module_service_pb2.CODE_TIER_FAST
    return types.FunctionCode(
        index=message.function_index,
        name=message.function_name if message.HasField("function_name") else None,
        tier=types.CodeTier.FAST if fast else types.CodeTier.OPTIMIZED,
        target=message.target,
        wasm=tuple(map(_code_line, message.wasm)),
        lowered=tuple(map(_code_line, message.lowered)),
        passed=tuple(map(_code_line, message.passed)),
        machine=tuple(map(_code_line, message.machine)),
    )


def _code_line(message: module_service_pb2.CodeLine) -> types.CodeLine:
    return types.CodeLine(
        message.offset if message.HasField("offset") else None,
        message.text,
        message.address if message.HasField("address") else None,
        message.content,
    )


def read_store(message: store_service_pb2.Store) -> types.StoreInfo:
    """A store."""
    quota = message.quota
    return types.StoreInfo(
        name=last_part(message.name),
        create_time=_time(message.create_time),
        instance_count=message.instance_count,
        max_instances=quota.max_instances if quota.HasField("max_instances") else None,
        max_memory_pages=quota.max_memory_pages if quota.HasField("max_memory_pages") else None,
        max_table_elements=quota.max_table_elements if quota.HasField("max_table_elements") else None,
    )


def read_instance(message: instance_service_pb2.Instance) -> types.InstanceInfo:
    """An instance."""
    _, store, _, name = message.name.split("/")
    return types.InstanceInfo(
        name=name,
        store=store,
        module=last_part(message.module),
        links=tuple(_link(link) for link in message.links),
        create_time=_time(message.create_time),
        exports=_exports(message.exports),
    )


def _link(message: instance_service_pb2.Link) -> types.Link:
    return types.Link(
        message.import_module,
        message.import_name if message.HasField("import_name") else None,
        last_part(message.instance),
        message.export_name if message.HasField("export_name") else None,
    )


def read_server_info(message: server_service_pb2.ServerInfo) -> types.ServerInfo:
    """What a server tells about itself."""
    limits, counters = message.limits, message.counters
    plain_counters = {
        field.name: getattr(counters, field.name)
        for field in counters.DESCRIPTOR.fields
        if field.name != "engine"
    }
    return types.ServerInfo(
        version=message.version,
        target=message.target,
        features=tuple(message.features),
        start_time=_time(message.start_time),
        limits=types.ServerLimits(
            max_message_bytes=limits.max_message_bytes,
            max_module_bytes=limits.max_module_bytes,
            max_modules=limits.max_modules,
            max_stores=limits.max_stores,
            max_pending_calls_per_instance=limits.max_pending_calls_per_instance,
            default_call_timeout=limits.default_call_timeout.ToNanoseconds() / 1e9,
            max_call_timeout=limits.max_call_timeout.ToNanoseconds() / 1e9,
            max_programs=limits.max_programs,
            max_program_timeout=limits.max_program_timeout.ToNanoseconds() / 1e9,
            max_mounted_bytes=limits.max_mounted_bytes,
            host_directories=tuple(limits.host_directories),
            host_modules=tuple(limits.host_modules),
        ),
        counters=plain_counters
        | {f"engine.{name}": counters.engine[name] for name in sorted(counters.engine)},
        compilation=_compilation(message.compilation),
    )


def _compilation(message: server_service_pb2.CompilationStatistics) -> types.CompilationStatistics:
    queue = message.queue
    return types.CompilationStatistics(
        tiers=tuple(
            types.TierStatistics(
                entry.tier,
                entry.functions_total,
                entry.code_bytes_total,
                entry.compile_duration.ToNanoseconds() / 1e9,
            )
            for entry in message.tiers
        ),
        cache_places=tuple(
            types.CachePlaceStatistics(
                entry.place,
                entry.hits_total,
                entry.misses_total,
                entry.rejected_total,
                entry.entries,
                entry.size_bytes,
            )
            for entry in message.cache_places
        ),
        queue=types.CompileQueueStatistics(
            queue.waiting, queue.running, queue.cancelled_total, queue.failed_total
        ),
        modules=tuple(
            types.ModuleCodeStatistics(
                last_part(entry.module),
                entry.functions_uncompiled,
                entry.functions_fast,
                entry.functions_optimized,
                entry.code_bytes,
            )
            for entry in message.modules
        ),
    )


def last_part(resource_name: str) -> str:
    """The last part of a resource name: `modules/ab12` gives `ab12`."""
    return resource_name.rpartition("/")[2]


def _exports(messages: Iterable[module_pb2.Export]) -> tuple[types.Export, ...]:
    return tuple(types.Export(entry.name, read_extern_type(entry.type)) for entry in messages)


def _value_types(codes: Iterable[int], names: Sequence[str]) -> tuple[types.AnyValueType, ...]:
    """Types by their codes, or where there are names (as many then), by these."""
    return tuple(_value_type(code, names[index] if names else "") for index, code in enumerate(codes))


def _value_type(code: int, name: str) -> types.AnyValueType:
    known = VALUE_TYPES.get(code)
    return types.ReferenceType(name) if known is None else known


def _limits(message: value_pb2.Limits) -> types.Limits:
    return types.Limits(message.minimum, message.maximum if message.HasField("maximum") else None)


def _time(message: Timestamp) -> datetime | None:
    """None where the server did not say."""
    if not message.seconds and not message.nanos:
        return None
    return message.ToDatetime(tzinfo=UTC)
