"""Modules as messages."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from farcall import engine
from farcall.proto.farcall.v1 import module_pb2
from farcall.server.messages.types import export_messages, extern_type_message, function_type_message
from farcall.server.resource_names import module_name


def timestamp(seconds: float) -> Timestamp:
    """A time of the Unix epoch."""
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


def basic_module_message(sha256: str, size: int, create_time: float) -> module_pb2.Module:
    """A module in view BASIC, for which its bytes need not be read."""
    return module_pb2.Module(
        name=module_name(sha256), sha256=sha256, size_bytes=size, create_time=timestamp(create_time)
    )


def module_message(module: engine.Module, create_time: float, content: bool) -> module_pb2.Module:
    """A module in view INTERFACE, or with `content` in view FULL."""
    message = basic_module_message(module.digest, len(module.source), create_time)
    if module.names.module is not None:
        message.module_name = module.names.module
    for entry in module.imports:
        message.imports.add(module=entry.module, name=entry.name, type=extern_type_message(entry.type))
    message.exports.extend(export_messages(module))
    functions = [entry for entry in module.types if isinstance(entry, engine.FunctionType)]
    message.types.extend(map(function_type_message, functions))
    message.type_texts.extend(engine.type_texts(module))
    for header in engine.section_headers(module.source):
        message.sections.add(
            id=header.id, name=header.name, offset=header.start, size_bytes=header.end - header.start
        )
    for section in module.custom_sections:
        message.custom_sections.add(
            name=section.name,
            size_bytes=section.end - section.start,
            content=module.source[section.start : section.end] if content else b"",
        )
    return message
