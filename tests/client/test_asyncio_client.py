"""The asyncio client against a server without an engine; what it shares with the synchronous one is tested there."""

import asyncio

import grpc
import pytest
from fake_farcall_server import StatusError

from farcall.client import (
    ArgumentError,
    AsyncClient,
    CancelledError,
    ClosedError,
    DeadlineExceededError,
    NotFoundError,
    RangeError,
    Trap,
    UnavailableError,
)
from farcall.client.calls.invocations import BATCH_CALLS


@pytest.fixture
async def client(fake_server):
    async with AsyncClient(fake_server.address) as client:
        yield client


@pytest.fixture
async def instance(client, module_bytes):
    return await client.store().instantiate(await client.upload(module_bytes), name="app")


async def test_modules(client, module_bytes, tmp_path):
    path = tmp_path / "m.wasm"
    path.write_bytes(module_bytes + bytes(3_000_000))
    progress = []
    module = await client.upload(path, progress=lambda sent, total: progress.append(sent))
    assert progress == [1 << 20, 2 << 20, 3_000_008]
    assert module.compiled
    other = await client.upload(module_bytes)
    digests = sorted([module.digest, other.digest])
    assert [entry.digest async for entry in client.modules()] == digests
    assert (await client.module(other.digest[:10])).digest == other.digest
    await client.delete_module(other)
    with pytest.raises(NotFoundError):
        await client.module(other.digest)


async def test_stores_and_instances(client, module_bytes):
    module = await client.upload(module_bytes)
    async with await client.create_store("mine", max_instances=3) as store:
        async with await store.instantiate(module, name="a") as library:
            application = await store.instantiate(module, name="b", links={"env": library})
            assert application.information.links[0].instance == "a"
            assert (await store.info()).instance_count == 2
        assert [entry.name async for entry in store.instances()] == ["b"]
        await store.close_instance("b")
    assert [entry.name async for entry in client.stores()] == ["default"]


async def test_server_info_health_and_closing(client):
    assert (await client.server_info()).version == "1.2.3"
    assert await client.health() == "SERVING"
    await client.close()
    with pytest.raises(ClosedError, match="the client has been closed"):
        await client.health()


async def test_calls(instance):
    assert await instance.exports.add(1, 2) == 3
    assert await instance.exports.nothing() is None
    assert await instance.exports.swap(1, 2.5) == (2.5, 1)
    assert await asyncio.gather(*(instance.exports.add(1, number) for number in range(5))) == [1, 2, 3, 4, 5]
    with pytest.raises(ArgumentError, match="argument 1"):
        await instance.exports.add(1, None)
    with pytest.raises(Trap) as caught:
        await instance.exports.divide(1, 0)
    assert str(caught.value.backtrace[0]) == "app!inner"
    with pytest.raises(DeadlineExceededError):
        await instance.exports.sleep(timeout=0.05)


async def test_a_cancelled_task_gets_asyncios_own_error(instance):
    task = asyncio.create_task(instance.exports.sleep())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_call_many(instance):
    calls = [(number, 1) for number in range(BATCH_CALLS + 5)]
    assert await instance.exports.add.call_many(calls) == list(range(1, BATCH_CALLS + 6))
    outcomes = await instance.exports.divide.call_many([(4, 2), (1, 0)], return_exceptions=True)
    assert outcomes[0] == 2
    assert isinstance(outcomes[1], Trap)
    with pytest.raises(Trap):
        await instance.exports.divide.call_many([(4, 2), (1, 0)])


async def test_memory_globals_and_tables(instance):
    memory = instance.exports.memory
    await memory.write(16, b"abcd")
    assert await memory[16:20] == b"abcd"
    assert await memory[17] == ord("b")
    assert await memory[-1] == 0
    assert await memory.read(17, 2) == b"bc"
    assert await memory.grow(1) == 1
    assert await memory.size() == 2 * 65536
    with pytest.raises(RangeError):
        await memory[200_000:200_001]
    counter = instance.exports.counter
    await counter.set(7)
    assert await counter.value == await counter.get() == 7
    table = instance.exports.table
    assert (await table[0]).function == "add"
    assert await table.get(1) is None
    assert await table.size() == 2


async def test_a_stream_pipelines_calls(instance, fake_server):
    async with instance.stream(window=16) as stream:
        pending = [await stream.send("add", number, 1) for number in range(100)]
        trapping = await stream.send(instance.exports.divide, 1, 0)
        assert [await call.result() for call in pending] == list(range(1, 101))
        with pytest.raises(Trap, match="divide by zero"):
            await trapping.result()
        assert isinstance(await trapping.outcome(), Trap)
        assert trapping.done()
    assert fake_server.calls["StreamInvoke"] == 1
    with pytest.raises(ClosedError, match="the stream has been closed"):
        await stream.send("nothing")


async def test_map_on_a_stream_takes_both_kinds_of_iterables(instance, client):
    async def numbers():
        for number in range(50):
            await asyncio.sleep(0)
            yield (number, 3)

    expected = [number + 3 for number in range(50)]
    async with instance.stream(window=4) as stream:
        assert [result async for result in stream.map("add", numbers())] == expected
        assert [result async for result in stream.map("add", [(n, 3) for n in range(50)])] == expected
        calls = [(1, 1), (1, 0)]
        outcomes = [outcome async for outcome in stream.map("divide", calls, return_exceptions=True)]
        assert outcomes[0] == 1
        assert isinstance(outcomes[1], Trap)
    async with client.stream() as stream:
        assert [result async for result in stream.map(instance.exports.add, [(1, 2)])] == [3]


async def test_a_result_comes_before_the_next_call_is_known(instance):
    """The source of the calls waits for the first result before it gives the second call."""
    answered = asyncio.Event()

    async def calls():
        yield (1, 2)
        await asyncio.wait_for(answered.wait(), 5)
        yield (3, 4)

    async with instance.stream() as stream:
        results = []
        async for result in stream.map("add", calls()):
            results.append(result)
            answered.set()
        assert results == [3, 7]


async def test_what_the_source_of_calls_raises_comes_out_of_map(instance):
    async def calls():
        yield (1, 2)
        raise ZeroDivisionError

    async with instance.stream() as stream:
        results = stream.map("add", calls())
        assert await anext(results) == 3
        with pytest.raises(ZeroDivisionError):
            await anext(results)
        with pytest.raises(ArgumentError, match="argument 0"):
            await anext(stream.map("add", [(None, 1)]))


async def test_tasks_share_a_stream_and_a_cancelled_one_does_no_harm(instance):
    async with instance.stream(window=2) as stream:
        slow = await stream.send("sleep")
        waiter = asyncio.create_task(slow.result())
        await asyncio.sleep(0.02)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

        async def work(start):
            return [await (await stream.send("add", start, number)).result() for number in range(20)]

        results = await asyncio.gather(*(work(start) for start in (0, 100, 200)))
        assert results == [list(range(start, start + 20)) for start in (0, 100, 200)]
        assert await slow.result() is None


async def test_a_stream_that_fails_fails_its_calls(instance, fake_server):
    error = StatusError(grpc.StatusCode.UNAVAILABLE, "going away", "SHUTTING_DOWN")
    fake_server.failures["StreamInvoke"] = [error]
    async with instance.stream() as stream:
        pending = await stream.send("add", 1, 2)
        # gRPC forgets the server's reason where it was still sending, so which words it is depends on time.
        with pytest.raises(UnavailableError, match=r"going away|ended the stream") as caught:
            await pending.result()
        with pytest.raises(UnavailableError) as repeated:
            await stream.send("add", 1, 2)
        assert repeated.value is caught.value


async def test_an_exception_in_the_block_cancels_the_stream(instance):
    sent = []

    async def fail_after_sending():
        async with instance.stream() as stream:
            sent.append(await stream.send("sleep"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_sending()
    with pytest.raises(CancelledError):
        await sent[0].result()
