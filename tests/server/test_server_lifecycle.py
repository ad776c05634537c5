"""Start, health, reflection, information, and a stop that lets calls finish."""

import asyncio
import ctypes
import signal
import subprocess
import sys
import time

import grpc
import pytest
from farcall_service import GUEST, PATIENCE, Failure, Service, failure, i32s, running
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from farcall.proto.farcall.v1.invocation_service_pb2 import Call, StreamInvokeRequest
from farcall.proto.farcall.v1.server_service_pb2 import GetServerInfoRequest
from farcall.server import Server, ServerConfiguration
from farcall.server.listening import ListenError
from farcall.server.server import SERVICES

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(channel, name=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def test_all_services_are_healthy(service):
    assert len(SERVICES) == 10
    for name in ("", *SERVICES):
        assert await health(service.channel, name) == SERVING


async def test_reflection_lists_all_services_and_knows_their_files(service):
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="farcall.v1.InvocationService"),
    ]
    listed, file = [response async for response in stub.ServerReflectionInfo(iter(requests))]

    names = {entry.name for entry in listed.list_services_response.service}
    assert names >= {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert any(b"StreamInvoke" in content for content in file.file_descriptor_response.file_descriptor_proto)


async def test_the_server_tells_about_itself():
    async with running(max_modules=77, default_call_timeout=1.5) as service:
        response = await service.information.GetServerInfo(GetServerInfoRequest())
        info = response.server_info

        assert info.version
        assert info.target.split("-")[0] in ("x86_64", "aarch64")
        assert "bulk-memory" in info.features
        assert abs(info.start_time.seconds - time.time()) < 60
        assert info.limits.max_modules == 77
        assert info.limits.default_call_timeout.ToTimedelta().total_seconds() == 1.5
        assert info.counters.stores_open == 1


async def test_a_module_that_needs_a_feature_that_is_off_is_refused_by_its_name():
    async with running(disabled_features=("multi-value",)) as service:
        response = await service.information.GetServerInfo(GetServerInfoRequest())
        assert "multi-value" not in response.server_info.features
        assert "bulk-memory" in response.server_info.features

        error = await failure(service.upload("(module (func (result i32 i32) unreachable))"))
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert error.reason == "UNSUPPORTED_FEATURE"
        assert "'multi-value', which is switched off" in error.message


def test_only_features_that_exist_can_be_switched_off():
    with pytest.raises(ValueError, match="no feature 'telepathy'"):
        ServerConfiguration(disabled_features=("telepathy",))


async def test_a_port_that_is_taken_is_an_error(service):
    server = Server(ServerConfiguration(address=service.address))
    with pytest.raises(ListenError, match=f"cannot listen on {service.address}: Address already in use"):
        await server.start()
    await server.stop(0)


@pytest.mark.parametrize("address", ["[::1]:0", "localhost:7070", "0.0.0.0:65535", "unix:/tmp/socket"])
def test_addresses_that_are_some(address):
    assert ServerConfiguration(address=address).address == address


@pytest.mark.parametrize(
    "address", ["", "localhost", ":1", "localhost:", "localhost:65536", "::1:7", "h:-1", "h:٣"]
)
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match="address"):
        ServerConfiguration(address=address)


@pytest.mark.parametrize("name", ["max_modules", "max_message_bytes", "default_call_timeout"])
def test_limits_must_be_positive(name):
    with pytest.raises(ValueError, match=name):
        ServerConfiguration(**{name: 0})


# -- Stopping ----------------------------------------------------------------------------------------------------------


async def started(**configuration):
    server = Server(ServerConfiguration(address="127.0.0.1:0", **configuration))
    return server, await server.start()


async def test_running_calls_finish_and_new_ones_are_refused():
    server, address = await started()
    async with grpc.aio.insecure_channel(address) as channel:
        service = Service(server, address, channel)
        guest = await service.instantiate(GUEST)
        call = service.invoke(guest, "sum", [])
        await failure(call)
        other = await service.instantiate(GUEST)
        slow = asyncio.ensure_future(service.invoke(guest, "sum", i32s(1_000_000_000)))
        spinning = asyncio.ensure_future(failure(service.invoke(other, "spin")))
        async with asyncio.timeout(PATIENCE):
            while (await service.counters()).calls_pending < 2 and not slow.done():
                await asyncio.sleep(0.002)

        stopping = asyncio.create_task(server.stop(PATIENCE))
        await asyncio.sleep(0)
        error = await failure(service.invoke(guest, "add"))
        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.reason == "SHUTTING_DOWN"
        assert await health(channel) == NOT_SERVING
        assert await health(channel, SERVICES[0]) == NOT_SERVING

        assert (await slow).results[0].i32 == sum_of(1_000_000_000)
        server.end_grace()
        stopped = await spinning
        assert stopped.code is grpc.StatusCode.UNAVAILABLE
        assert stopped.detail.reason == "the server is shutting down"
        assert [frame.function_name for frame in stopped.detail.frames] == ["spin"]
        await asyncio.wait_for(stopping, PATIENCE)


def sum_of(last):
    """1 + 2 + ... + last, as an i32."""
    return ctypes.c_int32(last * (last + 1) // 2).value


async def test_a_stop_does_not_wait_for_idle_streams():
    server, address = await started()
    async with grpc.aio.insecure_channel(address) as channel:
        service = Service(server, address, channel)
        guest = await service.instantiate(GUEST)
        idle, busy = service.invocations.StreamInvoke(), service.invocations.StreamInvoke()
        for stream in (idle, busy):
            await stream.write(StreamInvokeRequest(call=Call(instance=guest, function="count")))
            assert (await stream.read()).WhichOneof("outcome") == "results"
        slowly = StreamInvokeRequest(correlation_id=2, call=Call(instance=guest, function="count_slowly"))
        gate = service.invoke(guest, "spin")
        await service.pending(1)
        await busy.write(slowly)
        await service.pending(2)

        stopping = asyncio.create_task(server.stop(1000))
        await asyncio.sleep(0)
        gate.cancel()
        assert (await busy.read()).results.values[0].i32 == 10
        for stream in (idle, busy):
            with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
                await stream.read()
            assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, PATIENCE)


async def test_calls_that_wait_when_the_grace_is_over_never_start():
    server, address = await started()
    async with grpc.aio.insecure_channel(address) as channel:
        service = Service(server, address, channel)
        guest = await service.instantiate(GUEST)
        calls = [asyncio.ensure_future(failure(service.invoke(guest, "spin"))) for _ in range(3)]
        await service.pending(3)

        await asyncio.wait_for(server.stop(0.1), PATIENCE)

        errors = await asyncio.gather(*calls)
        assert {error.code for error in errors} == {grpc.StatusCode.UNAVAILABLE}
        assert sorted(len(error.detail.frames) for error in errors) == [0, 0, 1]


PROGRAM = """
import sys
from pathlib import Path
from farcall.server import ServerConfiguration, run
run(
    ServerConfiguration(address="127.0.0.1:0", data_directory=Path(sys.argv[1]), shutdown_grace=float(sys.argv[2])),
    log_format="json",
    on_listening=lambda address: print(address, flush=True),
)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_gracefully(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        address = await asyncio.to_thread(process.stdout.readline)
        async with grpc.aio.insecure_channel(address.strip()) as channel:
            service = Service(None, address, channel)
            guest = await service.instantiate(GUEST)
            slow = asyncio.ensure_future(service.invoke(guest, "sum", i32s(1_000_000_000)))
            async with asyncio.timeout(PATIENCE):
                while not (await service.counters()).calls_pending and not slow.done():
                    await asyncio.sleep(0.002)
            process.send_signal(number)
            assert (await slow).results[0].i32 == sum_of(1_000_000_000)
        _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
        assert process.returncode == 0
        assert '"event": "stopped"' in log
        assert "Traceback" not in log


async def test_a_second_signal_ends_the_grace(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        address = await asyncio.to_thread(process.stdout.readline)
        async with grpc.aio.insecure_channel(address.strip()) as channel:
            service = Service(None, address, channel)
            guest = await service.instantiate(GUEST)
            spinning = asyncio.ensure_future(failure(service.invoke(guest, "spin")))
            await service.pending(1)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            error: Failure = await spinning
            assert error.code is grpc.StatusCode.UNAVAILABLE
        await asyncio.to_thread(process.communicate, timeout=PATIENCE)
        assert process.returncode == 0
