"""StoreService: create, get, list, close, quotas, repeated requests."""

import asyncio
import uuid

import grpc
import pytest
from farcall_service import DEFAULT, GUEST, PATIENCE, failure, running

from farcall.proto.farcall.v1.instance_service_pb2 import CloseInstanceRequest
from farcall.proto.farcall.v1.store_service_pb2 import (
    CloseStoreRequest,
    CreateStoreRequest,
    GetStoreRequest,
    ListStoresRequest,
    Store,
    StoreQuota,
)


async def create(service, store_id="", **fields):
    response = await service.stores.CreateStore(CreateStoreRequest(store_id=store_id, **fields))
    return response.store


async def test_the_default_store_is_there_from_the_start(service):
    store = (await service.stores.GetStore(GetStoreRequest(name=DEFAULT))).store

    assert store.name == DEFAULT
    assert store.instance_count == 0
    assert store.quota.max_instances == 10_000


async def test_stores_are_created_listed_and_closed(service):
    store = await create(service, "tenant-1")
    assert store.name == "stores/tenant-1"
    made_up = await create(service)
    assert made_up.name.startswith("stores/store-")

    listed = await service.stores.ListStores(ListStoresRequest())
    assert [entry.name for entry in listed.stores] == [DEFAULT, made_up.name, store.name]

    await service.stores.CloseStore(CloseStoreRequest(name=store.name))
    error = await failure(service.stores.GetStore(GetStoreRequest(name=store.name)))
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert error.reason == "RESOURCE_NOT_FOUND"
    assert error.detail.resource_name == store.name
    assert (await service.counters()).stores_open == 2


async def test_closing_a_store_closes_its_instances(service):
    before = await service.counters()
    store = await create(service, "tenant")
    instance = await service.instantiate(GUEST, "guest", store=store.name)
    assert (await service.counters()).memories_live == before.memories_live + 1

    await service.stores.CloseStore(CloseStoreRequest(name=store.name))

    error = await failure(service.invoke(instance, "count"))
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert error.detail.resource_name == instance
    after = await service.counters()
    assert after.instances_open == 0
    assert after.memories_live == before.memories_live
    assert after.engine["linked_groups"] == before.engine["linked_groups"]


async def test_closing_a_store_stops_its_guests(service):
    store = await create(service, "tenant")
    instance = await service.instantiate(GUEST, store=store.name)
    calls = [asyncio.ensure_future(failure(service.invoke(instance, "spin"))) for _ in range(2)]
    await service.pending(2)

    await asyncio.wait_for(service.stores.CloseStore(CloseStoreRequest(name=store.name)), PATIENCE)

    for error in await asyncio.gather(*calls):
        assert error.code is grpc.StatusCode.CANCELLED
        assert error.detail.reason == "the instance or its store was closed"


async def test_closing_a_store_stops_instantiations_in_it(service):
    store = await create(service, "tenant")
    endless = "(module (memory 1) (func $spin (loop $again (br $again))) (start $spin))"
    making = asyncio.ensure_future(failure(service.instantiate(endless, store=store.name)))
    async with asyncio.timeout(PATIENCE):
        while not (await service.counters()).memories_live:
            await asyncio.sleep(0.005)

    await asyncio.wait_for(service.stores.CloseStore(CloseStoreRequest(name=store.name)), PATIENCE)

    assert (await making).code is grpc.StatusCode.CANCELLED
    counters = await service.counters()
    assert (counters.instances_open, counters.memories_live, counters.engine["linked_groups"]) == (0, 0, 0)


async def test_names_are_unique_in_a_store_only(service):
    other = await create(service, "other")
    first = await service.instantiate(GUEST, "guest")
    second = await service.instantiate(GUEST, "guest", store=other.name)

    assert await service.call(first, "count") == 8
    assert await service.call(second, "count") == 8


async def test_the_default_store_cannot_be_closed(service):
    error = await failure(service.stores.CloseStore(CloseStoreRequest(name=DEFAULT)))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "FAILED_PRECONDITION"


async def test_a_taken_id_is_refused(service):
    await create(service, "tenant")

    error = await failure(create(service, "tenant"))

    assert error.code is grpc.StatusCode.ALREADY_EXISTS
    assert error.reason == "RESOURCE_ALREADY_EXISTS"
    assert error.detail.resource_name == "stores/tenant"


@pytest.mark.parametrize("store_id", ["UPPER", "-dash", "a/b", "x" * 64, "ä", "a b"])
async def test_malformed_ids_are_refused(service, store_id):
    error = await failure(create(service, store_id))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == "store_id"


async def test_the_number_of_stores_is_limited():
    async with running(max_stores=2) as service:
        await create(service)

        error = await failure(create(service))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.detail.violations[0].subject == "server"


async def test_quotas_limit_instances_and_memories(service):
    quota = StoreQuota(max_instances=1, max_memory_pages=3)
    store = await create(service, "small", store=Store(quota=quota))
    assert store.quota.max_instances == 1
    assert store.quota.max_memory_pages == 3
    assert store.quota.max_table_elements == 10_000_000

    error = await failure(service.instantiate("(module (memory 4))", store=store.name))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "LIMIT_REACHED"

    grow = '(module (memory 1) (func (export "grow") (param i32) (result i32) local.get 0 memory.grow))'
    instance = await service.instantiate(grow, store=store.name)
    assert await service.call(instance, "grow", 3) == -1
    assert await service.call(instance, "grow", 2) == 1

    error = await failure(service.instantiate(grow, store=store.name))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "limit of 1 instances" in error.message


async def test_a_quota_is_for_all_memories_together(service):
    store = await create(service, store=Store(quota=StoreQuota(max_memory_pages=3)))
    two_pages = "(module (memory 2))"
    first = await service.instantiate(two_pages, store=store.name)

    error = await failure(service.instantiate(two_pages, store=store.name))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED

    await service.instances.CloseInstance(CloseInstanceRequest(name=first))
    await service.instantiate(two_pages, store=store.name)


async def test_the_memory_of_all_stores_together_is_limited():
    async with running(max_total_memory_pages=3) as service:
        store = await create(service)
        assert store.quota.max_memory_pages == 3
        await service.instantiate("(module (memory 2))", store=store.name)

        error = await failure(service.instantiate("(module (memory 2))"))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.reason == "LIMIT_REACHED"


async def test_a_quota_cannot_go_beyond_the_server_s_limits():
    async with running(max_instances_per_store=5) as service:
        store = await create(service, store=Store(quota=StoreQuota(max_instances=6)))

        assert store.quota.max_instances == 5

        error = await failure(create(service, store=Store(quota=StoreQuota(max_memory_pages=-1))))
        assert error.detail.field_violations[0].field == "store.quota.max_memory_pages"


# -- Repeated requests -------------------------------------------------------------------------------------------------


async def test_a_repeated_request_gets_the_first_answer(service):
    request_id = str(uuid.uuid4())

    answers = await asyncio.gather(*(create(service, request_id=request_id) for _ in range(5)))
    answers.append(await create(service, request_id=request_id))

    assert len({store.name for store in answers}) == 1
    assert (await service.counters()).stores_open == 2


async def test_a_request_id_belongs_to_one_request(service):
    request_id = str(uuid.uuid4())
    await create(service, "one", request_id=request_id)

    error = await failure(create(service, "two", request_id=request_id))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == "request_id"


async def test_a_request_id_is_a_uuid(service):
    error = await failure(create(service, request_id="again"))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "must be a UUID" in error.message


async def test_a_request_that_failed_can_be_repeated(service):
    request_id = str(uuid.uuid4())
    await create(service, "tenant")
    assert (
        await failure(create(service, "tenant", request_id=request_id))
    ).reason == "RESOURCE_ALREADY_EXISTS"
    await service.stores.CloseStore(CloseStoreRequest(name="stores/tenant"))

    assert (await create(service, "tenant", request_id=request_id)).name == "stores/tenant"
