"""Imports that a client provides, by both clients, against the real server in a process of its own."""

import asyncio
import signal
import subprocess
import sys
import threading

import pytest
from import_module import IMPORTING, STARTING, USING
from real_server import running_server, wait_until

from farcall.client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    FarcallError,
    FunctionReference,
    FunctionType,
    ImportFailedError,
    ImportFunction,
    LinkError,
    Trap,
    UnavailableError,
    ValueType,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server")) as process:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


@pytest.fixture
def store(client):
    with client.create_store() as store:
        yield store


@pytest.fixture
async def async_client(server):
    async with AsyncClient(server.address) as client:
        yield client


@pytest.fixture
async def async_store(async_client):
    async with await async_client.create_store() as store:
        yield store


def nothing(*_):
    return None


def environment(**functions):
    return {"env": {"log": nothing, "answer": nothing, "all": nothing, **functions}}


def test_the_guest_calls_the_client(client, store):
    instance = store.instantiate(
        client.upload(IMPORTING), imports=environment(answer=lambda number: number + 1)
    )
    assert instance.exports.ask(41) == 42
    assert [instance.exports.ask(number) for number in range(50)] == list(range(1, 51))
    assert instance.exports.ask.call_many([(1,), (2,)]) == [2, 3]


def test_values_of_all_types_go_both_ways(client, store):
    vector = bytes(range(16))
    seen = []

    def everything(*arguments):
        seen.append(arguments)
        return (*reversed(arguments),)

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(all=everything))
    results = instance.exports.pass_all(-1, -(2**63), 0.5, 1e300, vector, 2**64 - 1)
    double = FunctionReference(instance.resource, "double")
    assert seen == [(-1, -(2**63), 0.5, 1e300, vector, 2**64 - 1, double)]
    assert results == (double, 2**64 - 1, vector, 1e300, 0.5, -(2**63), -1)
    assert instance.exports.pass_all(0, 0, 0.0, 0.0, bytes(16), None)[1] is None


def test_a_function_reads_the_memory_of_the_guest_that_calls_it(client, store):
    seen = []

    def log(pointer, length):
        memory = instance.memory()
        seen.append(memory[pointer : pointer + length])
        memory[pointer : pointer + 1] = b"j"

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(log=log))
    instance.exports.greet()
    instance.exports.greet()
    assert seen == [b"hello", b"jello"]


def test_calls_nest(client, store):
    def answer(number):
        return instance.exports.factorial(number)

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    assert instance.exports.factorial(10) == 3628800


def test_calls_that_nest_too_deeply_fail(client, store):
    def answer(number):
        return instance.exports.ask(number)

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    with pytest.raises(FarcallError):
        instance.exports.ask(1)
    assert instance.exports.double(4) == 8


def test_calls_nest_through_other_requests(client, store):
    def answer(number):
        stream_result = None
        with instance.stream() as stream:
            stream_result = stream.send("double", number).result()
        return stream_result + sum(instance.exports.double.call_many([(1,), (2,)]))

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    assert instance.exports.ask(10) == 26


def test_other_clients_wait_for_the_call_to_end(client, store, server):
    reached, go_on = threading.Event(), threading.Event()

    def answer(number):
        reached.set()
        assert go_on.wait(60)
        return number

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    with Client(server.address) as other, instance.stream() as stream:
        pending = stream.send("ask", 5)
        assert reached.wait(60)
        with pytest.raises(DeadlineExceededError):
            other.store(store.name).instance(instance.name).exports.double(1, timeout=0.2)
        go_on.set()
        assert pending.result() == 5
        assert other.store(store.name).instance(instance.name).exports.double(1) == 2


def test_instances_that_are_linked_share_the_provided_functions(client, store):
    instance = store.instantiate(
        client.upload(IMPORTING), name="importing", imports=environment(answer=lambda number: number + 1)
    )
    user = store.instantiate(client.upload(USING), links={"importing": instance})
    assert user.exports.ask_twice(3) == 8


def test_a_start_function_calls_the_client(client, store):
    imports = {"env": {"started": lambda: 7}}
    assert store.instantiate(client.upload(STARTING), imports=imports).exports.value() == 7

    def refuse():
        raise RuntimeError("not today")

    with pytest.raises(ImportFailedError, match="not today"):
        store.instantiate(client.upload(STARTING), imports={"env": {"started": refuse}})


def test_what_a_function_raises_ends_the_guest_and_reaches_the_caller(client, store):
    def answer(number):
        raise ValueError(f"no answer to {number}")

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    with pytest.raises(Trap) as raised:
        instance.exports.ask(3)
    error = raised.value
    assert isinstance(error, ImportFailedError)
    assert error.message == 'the import "env" "answer" failed: ValueError: no answer to 3'
    assert (error.kind, error.module, error.name) == ("import_failure", "env", "answer")
    assert [frame.function_name for frame in error.backtrace] == ["ask"]
    assert instance.exports.double(4) == 8


@pytest.mark.parametrize("result", ["x", None, 2**31, 1.5, (1, 2)])
def test_a_result_that_does_not_fit_ends_the_guest(client, store, result):
    imports = environment(answer=lambda _number: result)
    instance = store.instantiate(client.upload(IMPORTING), imports=imports)
    with pytest.raises(ImportFailedError, match="wanted i32"):
        instance.exports.ask(3)


def test_imports_that_are_missing_or_of_other_types_are_refused(client, store):
    module = client.upload(IMPORTING)
    with pytest.raises(LinkError, match='unknown import: "env" "answer"'):
        store.instantiate(module, imports={"env": {"log": nothing, "all": nothing}})
    i64 = ValueType.I64
    declared = ImportFunction(nothing, FunctionType((i64,), (i64,)))
    with pytest.raises(LinkError) as raised:
        store.instantiate(module.digest, imports=environment(answer=declared))
    assert raised.value.wanted == "function (i32) -> (i32)"
    assert raised.value.found == "a function that a client provides, (i64) -> (i64)"
    right = ImportFunction(abs, FunctionType((ValueType.I32,), (ValueType.I32,)))
    assert store.instantiate(module, imports=environment(answer=right)).exports.ask(-5) == 5
    with pytest.raises(LinkError, match="a function that a client provides"):
        store.instantiate(
            client.upload(b"\0asm\1\0\0\0\x02\x0a\1\3env\1m\2\0\1"), imports={"env": {"m": nothing}}
        )
    with pytest.raises(TypeError):
        store.instantiate(module, imports={"env": {"log": 3}})
    with pytest.raises(TypeError):
        store.instantiate(module, imports={"env": nothing})
    assert len(list(store.instances())) == 1  # nothing is left of those that were refused


def test_a_deadline_ends_a_call_that_waits_for_the_client(client, store):
    go_on = threading.Event()
    imports = environment(answer=lambda number: go_on.wait(60) and number)
    instance = store.instantiate(client.upload(IMPORTING), imports=imports)
    with pytest.raises(DeadlineExceededError):
        instance.exports.ask(1, timeout=0.3)
    # The guest has been stopped, though the client's function still runs.
    assert instance.exports.double(4, timeout=60) == 8
    go_on.set()


def test_a_deadline_ends_a_guest_that_a_provided_function_has_called(client, store):
    imports = environment(answer=lambda _number: instance.exports.spin())
    instance = store.instantiate(client.upload(IMPORTING), imports=imports)
    with pytest.raises(DeadlineExceededError):
        instance.exports.ask(1, timeout=0.3)
    assert instance.exports.double(4, timeout=60) == 8


def test_closing_the_store_ends_a_call_that_waits_for_the_client(client):
    store = client.create_store()
    reached, go_on = threading.Event(), threading.Event()

    def answer(number):
        reached.set()
        go_on.wait(60)
        return number

    instance = store.instantiate(client.upload(IMPORTING), imports=environment(answer=answer))
    with instance.stream() as stream:
        pending = stream.send("ask", 5)
        assert reached.wait(60)
        store.close()
        with pytest.raises(FarcallError):
            pending.result()
    go_on.set()


PROVIDER = """
import sys, time
from farcall.client import Client
client = Client(sys.argv[1])
imports = {"env": {"log": print, "all": print, "answer": lambda n: print("called", flush=True) or time.sleep(1000)}}
instance = client.store(sys.argv[2]).instantiate(sys.argv[3], name="provided", imports=imports)
print("ready", flush=True)
time.sleep(1000)
"""


def test_a_client_that_is_killed_wakes_the_calls_that_wait_for_it(client, store, server):
    module = client.upload(IMPORTING)
    command = [sys.executable, "-c", PROVIDER, server.address, store.name, module.digest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:
        try:
            assert provider.stdout.readline() == "ready\n"
            instance = store.instance("provided")
            with instance.stream() as stream:
                pending = stream.send("ask", 5)
                assert provider.stdout.readline() == "called\n"
                provider.kill()
                with pytest.raises(ImportFailedError, match="the client that provides it is gone"):
                    pending.result()
            with pytest.raises(ImportFailedError, match="the client that provides it is gone"):
                instance.exports.ask(1)
            assert instance.exports.double(4) == 8
        finally:
            provider.kill()


def test_closing_an_instance_ends_its_session(client, store):
    before = set(threading.enumerate())
    with store.instantiate(client.upload(IMPORTING), imports=environment()) as instance:
        instance.exports.greet()

    def is_new(thread):
        return thread not in before and not thread.name.startswith("farcall-first-call")  # those stay

    wait_until(lambda: not [thread for thread in threading.enumerate() if is_new(thread)])


def test_a_stopping_server_ends_sessions(tmp_path):
    with running_server(tmp_path, "--shutdown-grace", "1000") as server, Client(server.address) as client:
        instance = client.store().instantiate(client.upload(IMPORTING), imports=environment())
        instance.exports.greet()
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        with pytest.raises(UnavailableError):
            instance.exports.greet(timeout=5)


# -- asyncio -----------------------------------------------------------------------------------------------------------


async def test_asyncio_functions_answer(async_client, async_store):
    seen = []

    async def log(pointer, length):
        seen.append(await instance.memory()[pointer : pointer + length])

    async def answer(number):
        return await instance.exports.factorial(number)

    module = await async_client.upload(IMPORTING)
    instance = await async_store.instantiate(module, imports=environment(log=log, answer=answer))
    await instance.exports.greet()
    assert seen == [b"hello"]
    assert await instance.exports.factorial(10) == 3628800
    plain = await async_store.instantiate(module, imports=environment(answer=lambda number: -number))
    assert await plain.exports.ask(4) == -4


async def test_asyncio_errors_deadlines_and_ends(async_client, async_store):
    cancelled = asyncio.Event()

    async def answer(number):
        if number == 0:
            raise ValueError("zero")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    module = await async_client.upload(IMPORTING)
    instance = await async_store.instantiate(module, imports=environment(answer=answer))
    with pytest.raises(ImportFailedError, match="ValueError: zero"):
        await instance.exports.ask(0)
    with pytest.raises(DeadlineExceededError):
        await instance.exports.ask(1, timeout=0.3)
    async with asyncio.timeout(60):
        await cancelled.wait()
    cancelled.clear()
    call = asyncio.create_task(instance.exports.ask(1))
    async with asyncio.timeout(60):
        while (await async_client.server_info()).counters["calls_pending"] != 1:
            await asyncio.sleep(0.01)
    await instance.close()
    with pytest.raises(FarcallError):
        await call
    with pytest.raises(LinkError):
        await async_store.instantiate(module, imports={"env": {}})
