"""The clients against the real server, in a process of its own."""

import asyncio
import threading

import pytest
from calculator_module import APPLICATION, CALCULATOR
from real_server import running_server, wait_until

from farcall.client import (
    AlreadyExistsError,
    ArgumentError,
    AsyncClient,
    Client,
    DeadlineExceededError,
    FailedPreconditionError,
    FarcallError,
    FunctionReference,
    InvalidModuleError,
    InvalidRequestError,
    LinkError,
    NotFoundError,
    RangeError,
    ResourceExhaustedError,
    Trap,
    ValueType,
)
from farcall.client.floats import f32_bits, f32_from_bits, f64_bits, f64_from_bits

# The synchronous client


def test_modules(client):
    first = client.upload(CALCULATOR)
    again = client.upload(CALCULATOR)
    assert (again.digest, again.created, again.compiled) == (first.digest, False, False)
    assert first.module_name == "calculator"
    assert {entry.name: str(entry.type) for entry in first.exports}["memory"] == "memory i32 2..5 pages"
    assert first.digest in [module.digest for module in client.modules()]
    assert client.module(first.digest[:20]).sections[0].name == "type"
    assert client.module(first.digest, content=True).custom_sections[0].content in CALCULATOR
    other = client.upload(APPLICATION)
    client.delete_module(other)
    with pytest.raises(NotFoundError):
        client.module(other.digest)


@pytest.mark.parametrize("source", [b"", b"hello", b"\0asm", CALCULATOR[:-1], CALCULATOR + b"\x01"])
def test_what_is_no_module(client, source):
    with pytest.raises(InvalidModuleError) as caught:
        client.upload(source)
    assert caught.value.reason
    assert 0 <= caught.value.offset <= len(source)


def test_calls(calculator):
    exports = calculator.exports
    assert exports.add(2**31 - 1, 1) == -(2**31)
    assert exports.add64(-(2**63), -1) == 2**63 - 1
    assert exports.nothing() is None
    assert exports.three() == (-1, 0.1, 2**63 - 1)
    assert exports.half(3) == 1.5
    for bits in (0, 1 << 31, 1, 0x7F800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF):
        assert f32_bits(exports.same_f32(f32_from_bits(bits))) == bits
    for bits in (0, 1 << 63, 1, 0x7FF0000000000000, 0xFFF8000000000000, 0x7FF0000000000001):
        assert f64_bits(exports.same_f64(f64_from_bits(bits))) == bits


def test_references(calculator):
    assert calculator.exports.same_reference(None, None) == (None, None)
    external, function = calculator.exports.same_reference(2**64 - 1, calculator.exports.divide)
    assert external == 2**64 - 1
    assert function == FunctionReference(calculator.resource, "divide")
    assert calculator.exports.itself() == FunctionReference(calculator.resource, "divide")
    table = calculator.table("table")
    assert table.size() == 3
    assert (table[0], table[1]) == (None, FunctionReference(calculator.resource, "divide"))
    with pytest.raises(RangeError):
        table[3]


def test_traps_leave_the_instance_usable(calculator):
    with pytest.raises(Trap) as caught:
        calculator.exports.divide_by_zero(1)
    assert caught.value.kind == "integer_divide_by_zero"
    assert [frame.function_name for frame in caught.value.backtrace] == ["divide", "outer"]
    assert caught.value.backtrace[0].module_name == "calculator"
    with pytest.raises(Trap, match="call stack exhausted"):
        calculator.exports.recurse()
    assert calculator.exports.add(1, 2) == 3


def test_a_timeout_stops_the_guest_and_leaves_the_instance_usable(client, calculator):
    with pytest.raises(DeadlineExceededError):
        calculator.exports.spin(timeout=0.3)
    assert calculator.exports.add(1, 2) == 3
    wait_until(lambda: client.server_info().counters["calls_pending"] == 0)


def test_the_server_refuses_what_the_client_would_have_refused(client, calculator):
    """The client checks arguments by the types that it was told; the server by those that there are."""
    stale = client.store(calculator.information.store).instance("calculator")
    stale.exports.add.calls._encoder.parameters = (ValueType.I32,)
    stale.exports.add.calls._encoder._encoders = stale.exports.add.calls._encoder._encoders[:1]
    with pytest.raises(ArgumentError) as caught:
        stale.exports.add(1)
    assert (caught.value.index, caught.value.wanted, caught.value.given) == (
        None,
        "2 arguments",
        "1 argument",
    )


def test_linking(client, store, calculator):
    module = client.upload(APPLICATION)
    application = store.instantiate(module, name="application", links={"math": calculator})
    assert application.exports.twice(21) == 42
    calculator.memory()[5:6] = b"\x07"
    assert application.exports.peek(5) == 7
    single = {
        ("math", "add"): (calculator, "divide"),
        ("math", "memory"): calculator.exports.memory,
    }
    assert store.instantiate(module, links=single).exports.twice(21) == 1
    with pytest.raises(LinkError) as caught:
        store.instantiate(module)
    assert (caught.value.module, caught.value.name, caught.value.found) == ("math", "add", None)
    with pytest.raises(LinkError) as caught:
        store.instantiate(module, links=single | {("math", "add"): (calculator, "half")})
    assert "f32" in caught.value.found
    with pytest.raises(NotFoundError):
        store.instantiate(module, links={"math": "missing"})
    with pytest.raises(AlreadyExistsError):
        store.instantiate(module, name="application", links={"math": calculator})
    calculator.close()
    assert application.exports.twice(4) == 8
    with pytest.raises(NotFoundError):
        calculator.exports.add(1, 2)


def test_many_calls(calculator):
    calls = [(number, 3) for number in range(20_000)]
    assert calculator.exports.add.call_many(calls) == [number + 3 for number in range(20_000)]
    assert calculator.exports.count.call_many([()] * 5) == [1, 2, 3, 4, 5]
    assert calculator.exports.three.call_many([(), ()]) == [(-1, 0.1, 2**63 - 1)] * 2
    outcomes = calculator.exports.divide.call_many([(6, 3), (1, 0), (8, 2)], return_exceptions=True)
    assert (outcomes[0], outcomes[2]) == (2, 4)
    assert isinstance(outcomes[1], Trap)
    assert outcomes[1].backtrace[0].function_name == "divide"
    assert calculator.exports.same_reference.call_many([(1, None), (None, None)]) == [(1, None), (None, None)]
    with pytest.raises(DeadlineExceededError):
        calculator.exports.spin.call_many([()] * 3, timeout=0.2)
    assert calculator.exports.add(1, 2) == 3


def test_streams(client, store, calculator):
    second = store.instantiate(calculator.module)
    with client.stream() as stream:
        pending = [
            stream.send(instance.exports.count) for _ in range(500) for instance in (calculator, second)
        ]
        assert [call.result() for call in pending] == [number for number in range(1, 501) for _ in (1, 2)]
    with calculator.stream() as stream:
        assert list(stream.map("add", ((number, 1) for number in range(1000)))) == list(range(1, 1001))
        with pytest.raises(Trap):
            stream.send("divide", 1, 0).result()
        with pytest.raises(DeadlineExceededError):
            stream.send("spin", timeout=0.2).result()
        assert stream.send("add", 1, 2).result() == 3


def test_leaving_a_stream_by_an_exception_stops_the_guest(client, calculator):
    def fail_after_sending():
        with calculator.stream() as stream:
            stream.send("spin")
            wait_until(lambda: client.server_info().counters["calls_pending"] == 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_sending()
    wait_until(lambda: client.server_info().counters["calls_pending"] == 0)
    assert calculator.exports.add(1, 2) == 3


def test_memory(calculator):
    memory = calculator.memory()
    assert memory.size() == 131072
    memory[100:105] = b"hello"
    assert memory[100:105] == b"hello"
    assert memory[104] == ord("o")
    memory[-1] = 9
    assert memory[131071] == 9
    assert memory.grow(2) == 2
    assert memory.size() == 4 * 65536
    with pytest.raises(ResourceExhaustedError):
        memory.grow(2)
    with pytest.raises(RangeError) as caught:
        memory.read(4 * 65536 - 1, 2)
    assert caught.value.size == 4 * 65536
    with pytest.raises(RangeError):
        memory.write(2**40, b"x")


def test_globals(calculator):
    counter = calculator.exports.counter
    counter.value = -5
    assert counter.value == -5
    assert calculator.exports.count() == -4
    assert calculator.exports.constant.value == 42
    with pytest.raises(FailedPreconditionError):
        calculator.exports.constant.value = 1


def test_stores(client):
    module = client.upload(CALCULATOR)
    with client.create_store("small", max_instances=1) as store:
        store.instantiate(module, name="a")
        assert [entry.name for entry in store.instances()] == ["a"]
        with pytest.raises(ResourceExhaustedError):
            store.instantiate(module)
        with pytest.raises(AlreadyExistsError):
            client.create_store("small")
        with pytest.raises(InvalidRequestError):
            client.create_store("Not A Name")
        assert store.info().max_instances == 1
    with pytest.raises(NotFoundError):
        store.info()
    with pytest.raises(FailedPreconditionError):
        client.store().close()
    assert "default" in [entry.name for entry in client.stores()]


def test_closing_a_store_stops_its_guests(client):
    store = client.create_store()
    instance = store.instantiate(client.upload(CALCULATOR))
    errors = []

    def spin():
        try:
            instance.exports.spin()
        except FarcallError as error:
            errors.append(error)

    thread = threading.Thread(target=spin)
    thread.start()
    wait_until(lambda: client.server_info().counters["calls_pending"] == 1)
    store.close()
    thread.join(60)
    assert len(errors) == 1


def test_server_info_counts(client, calculator):
    before = client.server_info().counters["calls_total"]
    calculator.exports.add(1, 2)
    calculator.exports.add.call_many([(1, 2)] * 10)
    info = client.server_info()
    assert info.counters["calls_total"] == before + 11
    assert info.version
    assert "bulk-memory" in info.features
    assert info.limits.max_message_bytes > 1 << 20


# The asyncio client


async def test_the_asyncio_client(server):
    async with AsyncClient(server.address) as client:
        module = await client.upload(CALCULATOR)
        async with await client.create_store() as store:
            instance = await store.instantiate(module, name="a")
            assert await instance.exports.add(1, 2) == 3
            assert await instance.exports.add.call_many([(1, 2), (3, 4)]) == [3, 7]
            with pytest.raises(Trap):
                await instance.exports.divide(1, 0)
            with pytest.raises(DeadlineExceededError):
                await instance.exports.spin(timeout=0.2)
            await instance.memory().write(3, b"abc")
            assert await instance.memory()[3:6] == b"abc"
            await instance.exports.counter.set(9)
            assert await instance.exports.counter.value == 9
            assert (await instance.exports.table[1]).function == "divide"
            async with instance.stream() as stream:
                calls = ((number, 1) for number in range(1000))
                assert [result async for result in stream.map("add", calls)] == list(range(1, 1001))
                pending = await stream.send("divide", 1, 0)
                with pytest.raises(Trap):
                    await pending.result()
            assert await client.health() == "SERVING"


async def test_a_cancelled_task_stops_the_guest(server):
    async with AsyncClient(server.address) as client, await client.create_store() as store:
        instance = await store.instantiate(await client.upload(CALCULATOR))
        task = asyncio.create_task(instance.exports.spin())
        while (await client.server_info()).counters["calls_pending"] == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await instance.exports.add(1, 2, timeout=60) == 3


async def test_a_module_that_is_refused_early_gets_the_right_error(tmp_path):
    """The server answers before it has read all; neither client may lose that answer, whatever it is just sending."""
    source = b"\0asm" + bytes(5 << 20)
    with running_server(tmp_path, "--max-module-bytes", "1000000") as server:
        with Client(server.address) as client:
            for _ in range(30):
                with pytest.raises(ResourceExhaustedError, match="at most 1000000"):
                    client.upload(source)
            assert client.server_info().counters["uploads_pending"] == 0
        async with AsyncClient(server.address) as client:
            for _ in range(30):
                with pytest.raises(ResourceExhaustedError, match="at most 1000000"):
                    await client.upload(source)
            task = asyncio.create_task(client.upload(source))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.server_info()).counters["modules_kept"] == 0
