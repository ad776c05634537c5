"""Instances that share a memory run at the same time, and the memory can be read and written while they do."""

import asyncio

import grpc
import pytest
from farcall_service import failure, i32s, running

from farcall.proto.farcall.v1.instance_service_pb2 import CloseInstanceRequest, Link
from farcall.proto.farcall.v1.memory_service_pb2 import (
    GetMemoryRequest,
    GrowMemoryRequest,
    ReadMemoryRequest,
    WriteMemoryRequest,
)

MAKER = '(module (memory (export "m") 1 10 shared) (func (export "f") (result i32) (i32.const 1)))'
USER = """(module (import "lib" "m" (memory 1 10 shared)) (export "mine" (memory 0))
  (func (export "spin") (loop (br 0)))
  (func (export "wait") (param i32) (result i32)
    (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const -1)))
  (func (export "notify") (param i32) (result i32) (memory.atomic.notify (local.get 0) (i32.const -1)))
  (func (export "until") (param i32) (result i32)
    (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get 0))))) (i32.const 1))
  (func (export "add") (param i32 i32) (result i32)
    (loop (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))
      (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (i32.const 0)))"""


@pytest.fixture
async def users(service):
    """Three instances that share the memory of a fourth."""
    maker = await service.instantiate(MAKER, "maker")
    links = [Link(import_module="lib", instance=maker)]
    return [await service.instantiate(USER, f"user-{number}", links) for number in range(3)]


async def stopped(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
    return raised.value.code()


async def started(service, count):
    async with asyncio.timeout(20):
        while (await service.counters()).calls_pending != count:
            await asyncio.sleep(0.002)


async def test_calls_wait_for_each_other_through_the_memory(service, users):
    """In one queue, the second call would never begin."""
    waiting = asyncio.ensure_future(service.call(users[0], "until", 0))
    await started(service, 1)
    await service.call(users[1], "add", 0, 1)
    assert await waiting == 1


async def test_totals_are_exact(service, users):
    await asyncio.gather(*(service.call(user, "add", 64, 20_000) for user in users for _ in range(4)))
    response = await service.memories.ReadMemory(
        ReadMemoryRequest(instance="stores/default/instances/maker", memory="m", offset=64, length=4)
    )
    assert int.from_bytes(response.data, "little") == 12 * 20_000


async def test_a_waiter_is_notified_from_another_instance(service, users):
    waiting = asyncio.ensure_future(service.call(users[0], "wait", 8))
    async with asyncio.timeout(20):
        while await service.call(users[1], "notify", 8) == 0:
            await asyncio.sleep(0.001)
    assert await waiting == 0


async def test_the_memory_is_read_written_and_grown_while_a_guest_runs_for_ever(service, users):
    endless = service.invoke(users[0], "spin", timeout=60)
    await started(service, 1)
    memory = {"instance": users[0], "memory": "mine"}
    async with asyncio.timeout(20):
        await service.memories.WriteMemory(WriteMemoryRequest(**memory, offset=9, data=b"seen"))
        read = await service.memories.ReadMemory(
            ReadMemoryRequest(instance=users[1], memory="mine", offset=9, length=4)
        )
        grown = await service.memories.GrowMemory(GrowMemoryRequest(**memory, delta_pages=2))
        found = await service.memories.GetMemory(GetMemoryRequest(**memory))
        past = await failure(
            service.memories.ReadMemory(ReadMemoryRequest(**memory, offset=3 * 65536, length=1))
        )
    assert (read.data, grown.previous_size_pages, found.size_pages, found.type.shared) == (
        b"seen",
        1,
        3,
        True,
    )
    assert past.code is grpc.StatusCode.OUT_OF_RANGE
    assert (await service.counters()).calls_pending == 1
    endless.cancel()


async def test_a_deadline_stops_a_waiter_and_nobody_else(service, users):
    other = asyncio.ensure_future(service.call(users[1], "wait", 0))
    code = await stopped(service.invoke(users[0], "wait", i32s(0), timeout=0.2))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await service.call(users[0], "add", 16, 1) == 0
    async with asyncio.timeout(20):
        while not other.done():
            await service.call(users[2], "notify", 0)
    assert other.result() == 0


async def test_closing_an_instance_stops_its_waiter(service, users):
    waiting = service.invoke(users[0], "wait", i32s(0), timeout=60)
    await started(service, 1)
    await service.instances.CloseInstance(CloseInstanceRequest(name=users[0]))
    assert await stopped(waiting) is grpc.StatusCode.CANCELLED
    assert await service.call(users[1], "add", 0, 1) == 0


async def test_the_memory_outlives_its_maker(service, users):
    await service.instances.CloseInstance(CloseInstanceRequest(name="stores/default/instances/maker"))
    await service.call(users[0], "add", 0, 3)
    read = await service.memories.ReadMemory(
        ReadMemoryRequest(instance=users[1], memory="mine", offset=0, length=1)
    )
    assert read.data == b"\3"
    for user in users:
        assert (await service.counters()).memories_live == 1
        await service.instances.CloseInstance(CloseInstanceRequest(name=user))
    assert (await service.counters()).memories_live == 0


async def test_what_imports_a_function_as_well_takes_turns_with_it(service, users):
    both = await service.instantiate(
        """(module (import "lib" "mine" (memory 1 10 shared)) (import "lib" "notify" (func $f (param i32) (result i32)))
           (func (export "f") (result i32) (call $f (i32.const 0))))""",
        "both",
        [Link(import_module="lib", instance=users[0])],
    )
    endless = service.invoke(users[0], "spin", timeout=60)
    await started(service, 1)
    queued = asyncio.ensure_future(service.call(both, "f"))
    await started(service, 2)
    assert await service.call(users[1], "add", 0, 1) == 0
    assert not queued.done()
    endless.cancel()
    assert await queued == 0


async def test_a_single_link_to_the_memory_joins_no_queue(service, users):
    alone = await service.instantiate(
        USER, "alone", [Link(import_module="lib", import_name="m", instance=users[0], export_name="mine")]
    )
    endless = service.invoke(users[0], "spin", timeout=60)
    await started(service, 1)
    assert await service.call(alone, "add", 0, 1) == 0
    endless.cancel()


async def test_stopping_the_server_stops_waiters():
    async with running() as service:
        maker = await service.instantiate(MAKER, "maker")
        user = await service.instantiate(USER, "user", [Link(import_module="lib", instance=maker)])
        waiting = service.invoke(user, "wait", i32s(0), timeout=60)
        await started(service, 1)
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await waiting
