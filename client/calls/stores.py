"""Stores: create, get, list, close."""

from __future__ import annotations

import uuid

from farcall.client import messages, types
from farcall.client.calls.call import PAGE_SIZE, Call, Page, read_nothing
from farcall.proto.farcall.v1 import store_service_pb2


def create_store(
    name: str, max_instances: int | None, max_memory_pages: int | None, max_table_elements: int | None
) -> Call[types.StoreInfo]:
    """An empty name lets the server make one up."""
    quota = store_service_pb2.StoreQuota(
        max_instances=max_instances, max_memory_pages=max_memory_pages, max_table_elements=max_table_elements
    )
    request = store_service_pb2.CreateStoreRequest(
        store_id=name, store=store_service_pb2.Store(quota=quota), request_id=str(uuid.uuid4())
    )
    return Call("CreateStore", request, _read_store)


def get_store(store: str) -> Call[types.StoreInfo]:
    """What the server tells about it."""
    return Call("GetStore", store_service_pb2.GetStoreRequest(name=store), _read_store)


def _read_store(
    response: store_service_pb2.CreateStoreResponse | store_service_pb2.GetStoreResponse,
) -> types.StoreInfo:
    return messages.read_store(response.store)


def list_stores(page_token: str) -> Call[Page[types.StoreInfo]]:
    """One page."""
    request = store_service_pb2.ListStoresRequest(page_size=PAGE_SIZE, page_token=page_token)
    return Call("ListStores", request, _read_stores)


def _read_stores(response: store_service_pb2.ListStoresResponse) -> Page[types.StoreInfo]:
    return Page([messages.read_store(store) for store in response.stores], response.next_page_token)


def close_store(store: str) -> Call[None]:
    """Closes its instances, too."""
    return Call("CloseStore", store_service_pb2.CloseStoreRequest(name=store), read_nothing)
