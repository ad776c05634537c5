"""TableService: type and size, look-up of elements."""

from __future__ import annotations

from typing import Any

import grpc

from farcall.engine import Function, Instance, Table
from farcall.proto.farcall.v1 import table_service_pb2 as messages
from farcall.proto.farcall.v1 import table_service_pb2_grpc
from farcall.server.errors import out_of_range
from farcall.server.messages.types import function_type_message, table_type_message
from farcall.server.messages.values import write_value
from farcall.server.services.extern_access import ExternAccess
from farcall.server.store_registry import InstanceRecord

_Context = grpc.aio.ServicerContext[Any, Any]


class TableService(table_service_pb2_grpc.TableServiceServicer):
    """See table_service.proto."""

    def __init__(self, access: ExternAccess) -> None:
        self._access = access

    def _find(self, instance: str, table: str) -> tuple[InstanceRecord, Table]:
        return self._access.find(instance, "table", table, Instance.table)

    async def GetTable(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetTableRequest, context: _Context
    ) -> messages.GetTableResponse:
        """Tell a table's type and size."""
        record, table = self._find(request.instance, request.table)
        size = await self._access.run(record, table, lambda: table.size, context)
        return messages.GetTableResponse(type=table_type_message(table.declared_type), size=size)

    async def LookupElement(  # noqa: N802 - the name of the method in the API
        self, request: messages.LookupElementRequest, context: _Context
    ) -> messages.LookupElementResponse:
        """Tell what an element refers to."""
        record, table = self._find(request.instance, request.table)
        index = request.index

        def look_up() -> Any:
            size = table.size
            if index >= size:
                raise out_of_range(f"a table of {size} elements has none at {index}", index, 1, size)
            return table.get(index)

        element = await self._access.run(record, table, look_up, context)
        response = messages.LookupElementResponse()
        write_value(table.declared_type.element, element, response.element, record.store)
        if isinstance(element, Function):
            response.function_type.CopyFrom(function_type_message(element.type))
        return response
