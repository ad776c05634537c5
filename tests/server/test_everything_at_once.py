"""Clients that do everything at random, cancel, and go away: the server answers all the time and keeps nothing."""

import asyncio
import contextlib
import random

import grpc
import pytest
from farcall_service import GUEST, PATIENCE, Service, i32s, running

from farcall.proto.farcall.v1.instance_service_pb2 import CloseInstanceRequest, Link
from farcall.proto.farcall.v1.invocation_service_pb2 import (
    BatchInvokeRequest,
    Call,
    CallColumns,
    StreamInvokeRequest,
)
from farcall.proto.farcall.v1.memory_service_pb2 import ReadMemoryRequest
from farcall.proto.farcall.v1.store_service_pb2 import CloseStoreRequest, CreateStoreRequest

APPLICATION = """
(module
  (import "guest" "sum" (func $sum (param i32) (result i32)))
  (import "guest" "memory" (memory 1))
  (func (export "sum") (param i32) (result i32) (call $sum (local.get 0)))
  (func (export "spin") (loop $again (br $again)))
  (func (export "count") (result i32) i32.const 1))
"""

EXPECTED = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
}


async def one_client(address, number, seconds):
    """A client with a store of its own, that does things at random; what it was told and should not have been."""
    chance, unexpected = random.Random(number), []
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        async with grpc.aio.insecure_channel(address) as channel:
            service = Service(None, address, channel)
            store = (await service.stores.CreateStore(CreateStoreRequest())).store.name
            tasks = [asyncio.ensure_future(one_sequence(service, store, chance)) for _ in range(4)]
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            closing = chance.random() < 0.5
            for task in chance.sample(tasks, 2 if closing else 4):
                task.cancel()
            if closing:  # the others learn from their next request that it is gone
                await service.stores.CloseStore(CloseStoreRequest(name=store))
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                told = outcome.code() if isinstance(outcome, grpc.aio.AioRpcError) else None
                if told not in EXPECTED and not isinstance(outcome, asyncio.CancelledError | None):
                    unexpected.append(outcome)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await service.stores.CloseStore(CloseStoreRequest(name=store))
    return unexpected


async def one_sequence(service, store, chance):
    instances = [await service.instantiate(GUEST, store=store)]
    while True:
        instance = chance.choice(instances)
        match chance.randrange(9):
            case 0:
                instances.append(await service.instantiate(GUEST, store=store))
            case 1:
                links = [Link(import_module="guest", instance=instances[0])]
                instances.append(await service.instantiate(APPLICATION, links=links, store=store))
            case 2 if len(instances) > 1:
                await service.instances.CloseInstance(CloseInstanceRequest(name=instances.pop()))
            case 3:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await service.invoke(instance, "spin", timeout=chance.uniform(0.001, 0.05))
            case 4:
                call = service.invoke(instance, "spin")
                await asyncio.sleep(chance.uniform(0, 0.01))
                call.cancel()
            case 5:
                columns = CallColumns(instance=instance, function="count", call_count=chance.randrange(500))
                await service.invocations.BatchInvoke(BatchInvokeRequest(columns=columns))
            case 6:
                requests = [
                    StreamInvokeRequest(
                        correlation_id=number,
                        call=Call(
                            instance=instance, function="sum", arguments=i32s(chance.randrange(1, 100_000))
                        ),
                    )
                    for number in range(chance.randrange(30))
                ]
                answered = [response async for response in service.invocations.StreamInvoke(iter(requests))]
                assert sorted(entry.correlation_id for entry in answered) == list(range(len(requests)))
                ran = [entry.correlation_id for entry in answered if entry.HasField("results")]
                assert ran == sorted(ran)
            case 7:
                await service.memories.ReadMemory(
                    ReadMemoryRequest(instance=instances[0], memory="memory", offset=0, length=100)
                )
            case _:
                assert await service.call(instance, "sum", 10) == 55


@pytest.mark.timeout(300)
async def test_everything_at_once():
    async with running(
        code_policy="optimized", max_concurrent_uploads=1000, max_concurrent_calls=8
    ) as service:
        await service.upload(GUEST)
        await service.upload(APPLICATION)
        before = await service.counters()

        outcomes = await asyncio.gather(*(one_client(service.address, number, 5) for number in range(6)))

        assert [entry for outcome in outcomes for entry in outcome] == []
        async with asyncio.timeout(PATIENCE):
            while (await service.counters()).memories_live or (await service.counters()).calls_pending:
                await asyncio.sleep(0.02)
        after = await service.counters()
        assert after.instances_created_total > before.instances_created_total
        for counter in ("instances_open", "stores_open", "calls_pending", "compiled_modules", "modules_kept"):
            assert getattr(after, counter) == getattr(before, counter), counter
        assert dict(after.engine) == dict(before.engine)
        assert await service.call(await service.instantiate(GUEST), "count") == 8
