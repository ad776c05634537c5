"""InstanceService: create, get, list, close."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from farcall.proto.farcall.v1 import instance_service_pb2 as messages
from farcall.proto.farcall.v1 import instance_service_pb2_grpc
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import bad_request, failed_precondition
from farcall.server.instantiator import Instantiator
from farcall.server.messages.modules import timestamp
from farcall.server.messages.types import export_messages
from farcall.server.module_library import is_small
from farcall.server.pagination import page
from farcall.server.request_ids import RememberedAnswers
from farcall.server.resource_names import parse_store_name
from farcall.server.store_registry import InstanceRecord, StoreRegistry

_Context = grpc.aio.ServicerContext[Any, Any]


class InstanceService(instance_service_pb2_grpc.InstanceServiceServicer):
    """See instance_service.proto."""

    def __init__(
        self,
        registry: StoreRegistry,
        instantiator: Instantiator,
        answers: RememberedAnswers[messages.CreateInstanceResponse],
        limits: TimeLimits,
    ) -> None:
        self._registry = registry
        self._instantiator = instantiator
        self._answers = answers
        self._limits = limits

    async def CreateInstance(  # noqa: N802 - the name of the method in the API
        self, request: messages.CreateInstanceRequest, context: _Context
    ) -> messages.CreateInstanceResponse:
        """Instantiate a module."""
        return await self._answers.answer(request.request_id, request, lambda: self._create(request, context))

    async def _create(
        self, request: messages.CreateInstanceRequest, context: _Context
    ) -> messages.CreateInstanceResponse:
        if not request.HasField("instance"):
            raise bad_request("instance", "must be set")
        store = self._registry.store(parse_store_name(request.parent, "parent"))
        record = await self._instantiator.create(
            store, request.instance_id, request.instance, lambda: self._limits.seconds(context)
        )
        return messages.CreateInstanceResponse(instance=await full_message(record))

    async def GetInstance(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetInstanceRequest, context: _Context
    ) -> messages.GetInstanceResponse:
        """Get one instance."""
        record = self._registry.instance(request.name, "name")
        return messages.GetInstanceResponse(instance=await full_message(record))

    async def ListInstances(  # noqa: N802 - the name of the method in the API
        self, request: messages.ListInstancesRequest, context: _Context
    ) -> messages.ListInstancesResponse:
        """List the instances of a store."""
        store = self._registry.store(parse_store_name(request.parent, "parent"))
        entries = sorted(store.instances.values(), key=lambda record: record.name)
        records, token = page(entries, lambda record: record.name, request.page_size, request.page_token)
        return messages.ListInstancesResponse(
            instances=[_instance_message(record, exports=False) for record in records],
            next_page_token=token,
        )

    async def CloseInstance(  # noqa: N802 - the name of the method in the API
        self, request: messages.CloseInstanceRequest, context: _Context
    ) -> messages.CloseInstanceResponse:
        """Close an instance."""
        await self._instantiator.close(self._registry.instance(request.name, "name"))
        return messages.CloseInstanceResponse()

    async def TakeOutput(  # noqa: N802 - the name of the method in the API
        self, request: messages.TakeOutputRequest, context: _Context
    ) -> messages.TakeOutputResponse:
        """Take what an instance has written."""
        record = self._registry.instance(request.name, "name")
        if record.wasi is None:
            raise failed_precondition(f"{record.name!r} was instantiated without `wasi`")
        output, discarded_output = record.wasi.output.take()
        error, discarded_error = record.wasi.error.take()
        return messages.TakeOutputResponse(
            standard_output=output,
            standard_error=error,
            discarded_output_bytes=discarded_output,
            discarded_error_bytes=discarded_error,
        )


async def full_message(record: InstanceRecord) -> messages.Instance:
    """An instance with its exports, of which there can be hundreds of thousands."""
    if is_small(record.instance.module):
        return _instance_message(record, exports=True)
    return await asyncio.to_thread(_instance_message, record, exports=True)


def _instance_message(record: InstanceRecord, exports: bool) -> messages.Instance:
    return messages.Instance(
        name=record.name,
        module=record.module_name,
        links=record.links,
        create_time=timestamp(record.create_time),
        exports=export_messages(record.instance.module) if exports else (),
    )
