"""GlobalService: get, set."""

from __future__ import annotations

from typing import Any

import grpc

from farcall.engine import F32, Global, Instance
from farcall.proto.farcall.v1 import global_service_pb2 as messages
from farcall.proto.farcall.v1 import global_service_pb2_grpc, value_pb2
from farcall.server.errors import bad_request, failed_precondition
from farcall.server.messages.types import global_type_message
from farcall.server.messages.values import read_value, write_f32_bits, write_value
from farcall.server.services.extern_access import ExternAccess
from farcall.server.store_registry import InstanceRecord

_Context = grpc.aio.ServicerContext[Any, Any]


class GlobalService(global_service_pb2_grpc.GlobalServiceServicer):
    """See global_service.proto."""

    def __init__(self, access: ExternAccess) -> None:
        self._access = access

    def _find(self, instance: str, name: str) -> tuple[InstanceRecord, Global]:
        return self._access.find(instance, "global", name, Instance.global_)

    async def GetGlobal(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetGlobalRequest, context: _Context
    ) -> messages.GetGlobalResponse:
        """Get a global's type and value."""
        record, variable = self._find(request.instance, getattr(request, "global"))
        value = value_pb2.Value()
        if variable.type.value is F32:
            write_f32_bits(value, await self._access.run(record, variable, lambda: variable.bits, context))
        else:
            content = await self._access.run(record, variable, lambda: variable.value, context)
            write_value(variable.type.value, content, value, record.store)
        return messages.GetGlobalResponse(type=global_type_message(variable.type), value=value)

    async def SetGlobal(  # noqa: N802 - the name of the method in the API
        self, request: messages.SetGlobalRequest, context: _Context
    ) -> messages.SetGlobalResponse:
        """Set a global."""
        name = getattr(request, "global")
        record, variable = self._find(request.instance, name)
        if not variable.type.mutable:
            raise failed_precondition(f"the global {name!r} of {record.name!r} is not mutable")
        if not request.HasField("value"):
            raise bad_request("value", "must be set")
        value = read_value(request.value, variable.type.value, None, record.store)

        def store() -> None:
            variable.value = value

        await self._access.run(record, variable, store, context)
        return messages.SetGlobalResponse()
