"""Deadlines, cancellation, closing: guests are stopped, and nobody else notices.

Each of the guests that are stopped would run for ever, so that the end of its call is what shows that it was stopped.
How soon is not tested, since a busy machine may take any time.
"""

import asyncio

import grpc
import pytest
from farcall_service import DEFAULT, GUEST, PATIENCE, failure, i32s, running

from farcall.proto.farcall.v1.instance_service_pb2 import (
    CloseInstanceRequest,
    CreateInstanceRequest,
    Instance,
    Link,
)
from farcall.proto.farcall.v1.invocation_service_pb2 import BatchInvokeRequest, Call, CallColumns, CallList

LOOP_THROUGH_CALLS = """
(module (func $f (result i32) i32.const 1)
  (func (export "spin") (loop $again (br_if $again (call $f)))))
"""


@pytest.fixture
async def guest(service):
    return await service.instantiate(GUEST, "guest")


async def deadline_exceeded(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("source", [GUEST, LOOP_THROUGH_CALLS])
async def test_a_deadline_stops_an_endless_loop(service, source):
    instance = await service.instantiate(source)

    await deadline_exceeded(service.invoke(instance, "spin", timeout=0.2))

    await service.pending(0)
    counters = await service.counters()
    assert counters.calls_terminated_total == counters.calls_total  # one that comes too late was never there


async def test_the_instance_serves_others_after_a_stop(service, guest):
    await deadline_exceeded(service.invoke(guest, "spin", timeout=0.05))

    assert await service.call(guest, "count") == 8
    assert await service.call(guest, "sum", 10) == 55


async def test_callers_that_wait_behind_an_endless_call_are_served_when_it_is_stopped(service, guest):
    endless = asyncio.ensure_future(deadline_exceeded(service.invoke(guest, "spin", timeout=0.2)))
    async with asyncio.timeout(PATIENCE):
        assert await service.call(guest, "count") == 8
        await endless


async def test_without_a_deadline_the_server_s_own_holds_and_is_told():
    async with running(default_call_timeout=0.1) as service:
        guest = await service.instantiate(GUEST)

        error = await failure(service.invoke(guest, "spin"))

        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.reason == "DEADLINE_EXCEEDED"
        assert error.detail.reason == "the time for the call is over"
        assert [frame.function_name for frame in error.detail.frames] == ["spin"]


async def test_a_long_deadline_is_cut_to_the_server_s_maximum():
    async with running(max_call_timeout=0.1) as service:
        guest = await service.instantiate(GUEST)

        error = await failure(service.invoke(guest, "spin", timeout=60))

        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_is_stopped(service, guest):
    call = service.invoke(guest, "spin")
    await service.pending(1)

    call.cancel()

    await service.pending(0)
    assert await service.call(guest, "count") == 8


async def test_a_client_that_disconnects_stops_its_calls(service, guest):
    async with grpc.aio.insecure_channel(service.address) as channel:
        other = type(service)(service.server, service.address, channel)
        call = other.invoke(guest, "spin")
        await service.pending(1)

    await service.pending(0)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await service.call(guest, "count") == 8


async def test_a_call_that_waits_is_done_with_when_its_deadline_passes(service, guest):
    endless = service.invoke(guest, "spin")
    await service.pending(1)

    await deadline_exceeded(service.invoke(guest, "count", timeout=0.1))
    await service.pending(1)
    assert not endless.done()

    endless.cancel()
    await service.pending(0)
    assert await service.call(guest, "count") == 8


@pytest.mark.parametrize("form", ["columns", "list"])
async def test_a_batch_is_stopped_in_the_middle(service, guest, form):
    """Of calls that take minutes together; when some have been made, the caller goes away."""
    request = (
        BatchInvokeRequest(columns=CallColumns(instance=guest, function="count_slowly", call_count=100_000))
        if form == "columns"
        else BatchInvokeRequest(
            list=CallList(calls=[Call(instance=guest, function="count_slowly") for _ in range(100_000)])
        )
    )
    call = service.invocations.BatchInvoke(request)
    await service.pending(1)
    await asyncio.sleep(0.1)

    call.cancel()

    await service.pending(0)
    assert await service.call(guest, "count") < 100_000


@pytest.mark.parametrize("form", ["columns", "list"])
async def test_a_batch_ends_at_its_deadline(service, guest, form):
    request = (
        BatchInvokeRequest(columns=CallColumns(instance=guest, function="spin", call_count=10))
        if form == "columns"
        else BatchInvokeRequest(
            list=CallList(calls=[Call(instance=guest, function="spin") for _ in range(10)])
        )
    )

    await deadline_exceeded(service.invocations.BatchInvoke(request, timeout=0.2))

    await service.pending(0)


async def test_closing_an_instance_stops_its_calls(service, guest):
    calls = [asyncio.ensure_future(failure(service.invoke(guest, "spin"))) for _ in range(3)]
    await service.pending(3)

    await asyncio.wait_for(service.instances.CloseInstance(CloseInstanceRequest(name=guest)), PATIENCE)

    for error in await asyncio.gather(*calls):
        assert error.code is grpc.StatusCode.CANCELLED
        assert error.reason == "CANCELLED"
        assert error.detail.reason == "the instance or its store was closed"
    counters = await service.counters()
    assert (counters.calls_pending, counters.instances_open, counters.memories_live) == (0, 0, 0)


async def test_closing_an_instance_does_not_stop_the_calls_of_those_it_is_linked_to(service, guest):
    links = [Link(import_module="guest", instance=guest)]
    linked = await service.instantiate(
        '(module (import "guest" "sum" (func $sum (param i32) (result i32)))'
        ' (func (export "run") (result i32) (call $sum (i32.const 2000000000))))',
        links=links,
    )
    call = asyncio.ensure_future(service.invoke(linked, "run"))
    await service.pending(1)

    await service.instances.CloseInstance(CloseInstanceRequest(name=guest))

    assert len((await call).results) == 1


async def test_a_cancelled_instantiation_is_stopped_and_leaves_nothing(service):
    module = (await service.upload("(module (memory 1) (func $s (loop $l (br $l))) (start $s))")).module.name
    call = service.instances.CreateInstance(
        CreateInstanceRequest(parent=DEFAULT, instance_id="x", instance=Instance(module=module))
    )
    async with asyncio.timeout(PATIENCE):
        while not (await service.counters()).memories_live:
            await asyncio.sleep(0.005)

    call.cancel()

    async with asyncio.timeout(PATIENCE):
        while (await service.counters()).memories_live:
            await asyncio.sleep(0.005)
    counters = await service.counters()
    assert (counters.instances_open, counters.engine["linked_groups"]) == (0, 0)
    await service.instantiate("(module)", "x")


async def test_stopping_one_of_many_callers_leaves_the_others_alone(service, guest):
    other = await service.instantiate(GUEST)
    long = asyncio.ensure_future(service.invoke(other, "sum", i32s(300_000_000)))
    for _ in range(5):
        await deadline_exceeded(service.invoke(guest, "spin", timeout=0.03))

    assert len((await long).results) == 1


async def test_many_deadlines_at_once(service):
    guests = [await service.instantiate(GUEST) for _ in range(10)]
    await asyncio.gather(
        *(deadline_exceeded(service.invoke(guest, "spin", timeout=0.1)) for guest in guests for _ in range(5))
    )

    await service.pending(0)
    counters = await service.counters()
    assert (
        counters.calls_terminated_total == counters.calls_total
    )  # a call that came too late was never there
    for guest in guests:
        assert await service.call(guest, "count") == 8
