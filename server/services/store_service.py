"""StoreService: create, get, list, close."""

from __future__ import annotations

from typing import Any

import grpc

from farcall.proto.farcall.v1 import store_service_pb2 as messages
from farcall.proto.farcall.v1 import store_service_pb2_grpc
from farcall.server.configuration import WASM_PAGE
from farcall.server.instantiator import Instantiator
from farcall.server.messages.modules import timestamp
from farcall.server.messages.stores import read_quota
from farcall.server.pagination import page
from farcall.server.request_ids import RememberedAnswers
from farcall.server.resource_names import parse_store_name
from farcall.server.store_registry import StoreRecord, StoreRegistry

_Context = grpc.aio.ServicerContext[Any, Any]


class StoreService(store_service_pb2_grpc.StoreServiceServicer):
    """See store_service.proto."""

    def __init__(
        self,
        registry: StoreRegistry,
        instantiator: Instantiator,
        answers: RememberedAnswers[messages.CreateStoreResponse],
    ) -> None:
        self._registry = registry
        self._instantiator = instantiator
        self._answers = answers

    async def CreateStore(  # noqa: N802 - the name of the method in the API
        self, request: messages.CreateStoreRequest, context: _Context
    ) -> messages.CreateStoreResponse:
        """Create a store."""
        return await self._answers.answer(request.request_id, request, lambda: self._create(request))

    async def _create(self, request: messages.CreateStoreRequest) -> messages.CreateStoreResponse:
        record = self._registry.create(request.store_id, read_quota(request.store.quota, "store.quota"))
        return messages.CreateStoreResponse(store=_store_message(record))

    async def GetStore(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetStoreRequest, context: _Context
    ) -> messages.GetStoreResponse:
        """Get one store."""
        record = self._registry.store(parse_store_name(request.name, "name"))
        return messages.GetStoreResponse(store=_store_message(record))

    async def ListStores(  # noqa: N802 - the name of the method in the API
        self, request: messages.ListStoresRequest, context: _Context
    ) -> messages.ListStoresResponse:
        """List stores."""
        records, token = page(
            self._registry.stores, lambda record: record.store_id, request.page_size, request.page_token
        )
        return messages.ListStoresResponse(stores=map(_store_message, records), next_page_token=token)

    async def CloseStore(  # noqa: N802 - the name of the method in the API
        self, request: messages.CloseStoreRequest, context: _Context
    ) -> messages.CloseStoreResponse:
        """Close a store."""
        await self._instantiator.close_store(self._registry.store(parse_store_name(request.name, "name")))
        return messages.CloseStoreResponse()


def _store_message(record: StoreRecord) -> messages.Store:
    limits = record.limits
    return messages.Store(
        name=record.name,
        create_time=timestamp(record.create_time),
        quota=messages.StoreQuota(
            max_instances=limits.instances,
            max_memory_pages=(
                None if limits.total_memory_bytes is None else limits.total_memory_bytes // WASM_PAGE
            ),
            max_table_elements=limits.table_elements,
        ),
        instance_count=len(record.instances),
    )
