"""MemoryService: type and size, read, write, grow."""

from __future__ import annotations

from typing import Any

import grpc

from farcall.engine import Instance, Memory
from farcall.proto.farcall.v1 import memory_service_pb2 as messages
from farcall.proto.farcall.v1 import memory_service_pb2_grpc
from farcall.server.errors import limit_reached, out_of_range
from farcall.server.messages.types import memory_type_message
from farcall.server.services.extern_access import ExternAccess
from farcall.server.store_registry import InstanceRecord

_ENVELOPE = 64
"""Bytes of a message around the data, at most."""

_Context = grpc.aio.ServicerContext[Any, Any]


class MemoryService(memory_service_pb2_grpc.MemoryServiceServicer):
    """See memory_service.proto."""

    def __init__(self, access: ExternAccess, max_message_bytes: int) -> None:
        self._access = access
        self._most = max_message_bytes - _ENVELOPE

    def _find(self, instance: str, memory: str) -> tuple[InstanceRecord, Memory]:
        return self._access.find(instance, "memory", memory, Instance.memory)

    async def GetMemory(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetMemoryRequest, context: _Context
    ) -> messages.GetMemoryResponse:
        """Tell a memory's type and size."""
        record, memory = self._find(request.instance, request.memory)
        pages, size = await self._access.run(record, memory, lambda: (memory.pages, memory.size), context)
        return messages.GetMemoryResponse(
            type=memory_type_message(memory.declared_type), size_pages=pages, size_bytes=size
        )

    async def ReadMemory(  # noqa: N802 - the name of the method in the API
        self, request: messages.ReadMemoryRequest, context: _Context
    ) -> messages.ReadMemoryResponse:
        """Read bytes."""
        record, memory = self._find(request.instance, request.memory)
        offset, length = request.offset, request.length

        def read() -> bytes:
            _check_range(memory, offset, length)
            if length > self._most:
                raise limit_reached(
                    "message",
                    f"{length} bytes are wanted, at most {self._most} fit in a message; read in pieces",
                )
            return memory.read(offset, length)

        return messages.ReadMemoryResponse(data=await self._access.run(record, memory, read, context))

    async def WriteMemory(  # noqa: N802 - the name of the method in the API
        self, request: messages.WriteMemoryRequest, context: _Context
    ) -> messages.WriteMemoryResponse:
        """Write bytes."""
        record, memory = self._find(request.instance, request.memory)
        offset, data = request.offset, request.data

        def write() -> None:
            _check_range(memory, offset, len(data))
            memory.write(offset, data)

        await self._access.run(record, memory, write, context)
        return messages.WriteMemoryResponse()

    async def GrowMemory(  # noqa: N802 - the name of the method in the API
        self, request: messages.GrowMemoryRequest, context: _Context
    ) -> messages.GrowMemoryResponse:
        """Grow a memory."""
        record, memory = self._find(request.instance, request.memory)
        pages = await self._access.run(record, memory, lambda: memory.grow(request.delta_pages), context)
        return messages.GrowMemoryResponse(previous_size_pages=pages)


def _check_range(memory: Memory, offset: int, length: int) -> None:
    """Raise RequestError that has the numbers, where the engine's RangeError has only words."""
    size = memory.size
    if offset + length > size:
        message = f"bytes {offset} to {offset + length} lie outside of a memory of {size} bytes"
        raise out_of_range(message, offset, length, size)
