"""Which calls are repeated while the server is unavailable, and which never are."""

import socket
import threading
import time

import grpc
import pytest
from fake_farcall_server import FakeServer, StatusError

from farcall.client import AsyncClient, Client, Retries, UnavailableError
from farcall.client.channel import RETRIED_METHODS, service_config
from farcall.proto.farcall.v1 import (
    global_service_pb2,
    import_service_pb2,
    instance_service_pb2,
    invocation_service_pb2,
    memory_service_pb2,
    module_service_pb2,
    program_service_pb2,
    server_service_pb2,
    store_service_pb2,
    table_service_pb2,
)

NEVER_REPEATED = {
    "Invoke",
    "BatchInvoke",
    "StreamInvoke",
    "WriteMemory",
    "GrowMemory",
    "SetGlobal",
    "DeleteModule",
    "CloseStore",
    "CloseInstance",
    "TakeOutput",
    "RunProgram",
    "ProvideImports",
}


REPEATED_BY_THE_CLIENT = {"UploadModule"}


def unavailable():
    return StatusError(grpc.StatusCode.UNAVAILABLE, "not now")


@pytest.fixture
def client(fake_server):
    with Client(fake_server.address, retries=Retries(first_wait=0.01)) as client:
        yield client


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_method_of_the_api_is_either_safe_to_repeat_or_not():
    modules = (
        module_service_pb2,
        store_service_pb2,
        instance_service_pb2,
        invocation_service_pb2,
        memory_service_pb2,
        global_service_pb2,
        table_service_pb2,
        server_service_pb2,
        import_service_pb2,
        program_service_pb2,
    )
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    repeated = {(service, method) for service, methods in RETRIED_METHODS.items() for method in methods}
    for service in services:
        for method in service.methods:
            in_table = (service.full_name, method.name) in repeated
            elsewhere = method.name in NEVER_REPEATED | REPEATED_BY_THE_CLIENT
            assert in_table != elsewhere, method.full_name
    known = {(service.full_name, method.name) for service in services for method in service.methods}
    assert repeated <= known


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("GetServerInfo", lambda client, _: client.server_info()),
        ("ListModules", lambda client, _: list(client.modules())),
        ("UploadModule", lambda client, _: client.upload(b"\0asm" + bytes(3 << 20))),
        ("CreateStore", lambda client, _: client.create_store("s")),
        ("CreateInstance", lambda client, instance: client.store().instantiate(instance.module)),
        ("ReadMemory", lambda _, instance: instance.memory()[0:1]),
        ("GetGlobal", lambda _, instance: instance.exports.counter.value),
        ("LookupElement", lambda _, instance: instance.exports.table[0]),
    ],
)
def test_what_is_safe_is_repeated(client, fake_server, module_bytes, method, use):
    instance = client.store().instantiate(client.upload(module_bytes), name="app")
    before = fake_server.calls[method]
    fake_server.failures[method] = [unavailable(), unavailable()]
    use(client, instance)
    assert fake_server.calls[method] == before + 3


def test_a_repeated_creation_has_one_request_id(client, fake_server):
    fake_server.failures["CreateStore"] = [unavailable()]
    client.create_store("one")
    client.create_store("two")
    # The failed attempt is refused before the id is recorded; what counts is that each creation has its own.
    assert len(set(fake_server.request_ids["CreateStore"])) == 2
    assert all(len(request_id) == 36 for request_id in fake_server.request_ids["CreateStore"])


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("Invoke", lambda instance: instance.exports.add(1, 2)),
        ("BatchInvoke", lambda instance: instance.exports.add.call_many([(1, 2)])),
        ("StreamInvoke", lambda instance: list(instance.stream().map("add", [(1, 2)]))),
        ("WriteMemory", lambda instance: instance.memory().write(0, b"x")),
        ("GrowMemory", lambda instance: instance.memory().grow(1)),
        ("SetGlobal", lambda instance: instance.exports.counter.set(1)),
        ("CloseInstance", lambda instance: instance.close()),
    ],
)
def test_what_is_not_safe_is_never_repeated(client, fake_server, module_bytes, method, use):
    instance = client.store().instantiate(client.upload(module_bytes), name="app")
    fake_server.failures[method] = [unavailable()]
    with pytest.raises(UnavailableError, match="not now"):
        use(instance)
    assert fake_server.calls[method] == 1


def test_other_errors_are_not_repeated(client, fake_server):
    fake_server.failures["GetServerInfo"] = [StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")]
    with pytest.raises(Exception, match="full"):
        client.server_info()
    assert fake_server.calls["GetServerInfo"] == 1


def test_a_server_that_stays_away(client, fake_server):
    fake_server.failures["GetServerInfo"] = [unavailable() for _ in range(10)]
    with pytest.raises(UnavailableError):
        client.server_info()
    assert fake_server.calls["GetServerInfo"] == 5


def test_repeating_can_be_switched_off(fake_server):
    fake_server.failures["GetServerInfo"] = [unavailable()]
    with Client(fake_server.address, retries=Retries(attempts=1)) as client, pytest.raises(UnavailableError):
        client.server_info()
    assert fake_server.calls["GetServerInfo"] == 1
    assert service_config(Retries(attempts=1)) == {}


def test_a_server_that_refuses_is_named(free_port):
    address = f"127.0.0.1:{free_port}"
    with Client(address, retries=Retries(first_wait=0.01)) as client:
        with pytest.raises(UnavailableError, match=f"the server at {address} is unavailable") as caught:
            client.server_info()
        assert isinstance(caught.value, ConnectionError)
        with pytest.raises(UnavailableError, match="Connection refused"):
            client.health()


def start_late(port, seconds):
    servers = []

    def run():
        time.sleep(seconds)
        servers.append(FakeServer(port).__enter__())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, servers


def test_a_server_that_comes_up_late_is_found(free_port):
    thread, servers = start_late(free_port, 0.7)
    try:
        with Client(f"127.0.0.1:{free_port}") as client:
            assert client.server_info().version == "1.2.3"
            assert client.upload(b"\0asm" + bytes(3 << 20)).created
    finally:
        thread.join()
        servers[0].__exit__()


async def test_a_server_that_comes_up_late_is_found_by_the_asyncio_client(free_port):
    thread, servers = start_late(free_port, 0.7)
    try:
        async with AsyncClient(f"127.0.0.1:{free_port}") as client:
            assert (await client.upload(b"\0asm" + bytes(3 << 20))).created
    finally:
        thread.join()
        servers[0].__exit__()


def test_a_client_outlives_its_server(free_port):
    with Client(f"127.0.0.1:{free_port}", retries=Retries(first_wait=0.05)) as client:
        with FakeServer(free_port):
            assert client.health() == "SERVING"
        with pytest.raises(UnavailableError):
            client.server_info()
        with FakeServer(free_port):
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert client.health() == "SERVING"
                    break
                except UnavailableError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
