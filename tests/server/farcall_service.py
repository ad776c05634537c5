"""A server in the test's own event loop, and raw stubs for all its services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as rpc_details
from google.rpc.status_pb2 import Status
from wasmtime import wat2wasm

from farcall.proto.farcall.v1 import (
    error_details_pb2,
    global_service_pb2_grpc,
    instance_service_pb2,
    instance_service_pb2_grpc,
    invocation_service_pb2,
    invocation_service_pb2_grpc,
    memory_service_pb2_grpc,
    module_service_pb2,
    module_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
    store_service_pb2_grpc,
    table_service_pb2_grpc,
    value_pb2,
)
from farcall.server import Server, ServerConfiguration

DEFAULT = "stores/default"

PATIENCE = 60.0
"""Seconds after which what was waited for does not come any more, however busy the machine is."""

GUEST = """
(module $guest
  (memory (export "memory") 1 4)
  (global (export "counter") (mut i32) (i32.const 7))
  (global (export "constant") i64 (i64.const -9))
  (global (export "half") (mut f32) (f32.const 0.5))
  (table (export "table") 4 funcref)
  (table (export "things") 2 externref)
  (elem (i32.const 1) $add)
  (func $add (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    local.get 3 local.get 2 local.get 1 local.get 0)
  (func (export "echo_f32") (param f32) (result f32) local.get 0)
  (func (export "echo_externref") (param externref) (result externref) local.get 0)
  (func (export "echo_funcref") (param funcref) (result funcref) local.get 0)
  (func (export "nothing"))
  (func $sum (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    local.get 1)
  (func (export "divide") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s)
  (func $inner unreachable)
  (func (export "trap") call $inner)
  (func (export "recurse") (result i32) (i32.add (i32.const 1) (call $recursion)))
  (func $recursion (result i32) (i32.add (i32.const 1) (call $recursion)))
  (func (export "spin") (loop $again (br $again)))
  (func (export "count") (result i32)
    (global.set 0 (i32.add (global.get 0) (i32.const 1))) global.get 0)
  (func (export "count_slowly") (result i32)
    (drop (call $sum (i32.const 3000000)))
    (global.set 0 (i32.add (global.get 0) (i32.const 1))) global.get 0)
)
"""


def value(**kind: Any) -> value_pb2.Value:
    """A Value."""
    return value_pb2.Value(**kind)


def i32s(*numbers: int) -> list[value_pb2.Value]:
    """Values of type i32."""
    return [value(i32=number) for number in numbers]


class Failure:
    """What a call failed with: gRPC code, message, ErrorInfo, and the typed detail, if there is one."""

    def __init__(self, status: Status) -> None:
        self.code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
        self.message = status.message
        details = [_unpacked(entry) for entry in status.details]
        self.info = details[0]
        assert isinstance(self.info, rpc_details.ErrorInfo)
        assert self.info.domain == "farcall.dev"
        assert len(details) <= 2
        self.detail = details[1] if len(details) == 2 else None

    @property
    def reason(self) -> str:
        return self.info.reason


_DETAILS = [
    rpc_details.ErrorInfo,
    rpc_details.BadRequest,
    rpc_details.ResourceInfo,
    rpc_details.QuotaFailure,
    *(
        getattr(error_details_pb2, name)
        for name in (
            "ArgumentFailure", "ImportFailure", "InvalidModule", "LinkFailure", "ProgramExit", "RangeFailure",
            "Termination", "Trap", "UncaughtException", "UploadMismatch"
        )
    ),
]  # fmt: skip


def _unpacked(entry: Any) -> Any:
    for detail in _DETAILS:
        if entry.Is(detail.DESCRIPTOR):
            message = detail()
            entry.Unpack(message)
            return message
    raise AssertionError(f"an unknown detail: {entry.type_url}")


async def failure(call: Any) -> Failure:
    """What awaiting `call` fails with; the server must have told it, not gRPC."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = raised.value
    metadata = dict(error.trailing_metadata())
    assert "grpc-status-details-bin" in metadata, error
    status = Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    return Failure(status)


class Service:
    """A running server and stubs for it."""

    def __init__(self, server: Server, address: str, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.address = address
        self.channel = channel
        self.modules = module_service_pb2_grpc.ModuleServiceStub(channel)
        self.stores = store_service_pb2_grpc.StoreServiceStub(channel)
        self.instances = instance_service_pb2_grpc.InstanceServiceStub(channel)
        self.invocations = invocation_service_pb2_grpc.InvocationServiceStub(channel)
        self.memories = memory_service_pb2_grpc.MemoryServiceStub(channel)
        self.globals = global_service_pb2_grpc.GlobalServiceStub(channel)
        self.tables = table_service_pb2_grpc.TableServiceStub(channel)
        self.information = server_service_pb2_grpc.ServerServiceStub(channel)

    async def upload(self, source: bytes | str) -> module_service_pb2.UploadModuleResponse:
        """Upload a module, in one piece."""
        data = source if isinstance(source, bytes) else bytes(wat2wasm(source))
        return await self.modules.UploadModule(iter([module_service_pb2.UploadModuleRequest(data=data)]))

    async def instantiate(
        self,
        source: bytes | str = GUEST,
        name: str = "",
        links: list[instance_service_pb2.Link] | None = None,
        store: str = DEFAULT,
        **request: Any,
    ) -> str:
        """Upload and instantiate a module; the instance's resource name."""
        module = (await self.upload(source)).module.name
        response = await self.instances.CreateInstance(
            instance_service_pb2.CreateInstanceRequest(
                parent=store,
                instance_id=name,
                instance=instance_service_pb2.Instance(module=module, links=links or []),
                **request,
            )
        )
        return response.instance.name

    def invoke(
        self, instance: str, function: str, arguments: list[value_pb2.Value] | None = None, **options: Any
    ) -> Any:
        """Start a unary call."""
        request = invocation_service_pb2.InvokeRequest(
            instance=instance, function=function, arguments=arguments or []
        )
        return self.invocations.Invoke(request, **options)

    async def call(self, instance: str, function: str, *arguments: int) -> Any:
        """Call a function of i32 parameters; its one result's value."""
        response = await self.invoke(instance, function, i32s(*arguments))
        (result,) = response.results
        return getattr(result, result.WhichOneof("kind"))

    async def counters(self) -> server_service_pb2.ServerCounters:
        """The server's counters."""
        response = await self.information.GetServerInfo(server_service_pb2.GetServerInfoRequest())
        return response.server_info.counters

    async def pending(self, count: int) -> None:
        """Wait until so many calls are pending."""
        async with asyncio.timeout(PATIENCE):
            while (await self.counters()).calls_pending != count:
                await asyncio.sleep(0.002)

    @contextlib.asynccontextmanager
    async def held_up(self, instance: str) -> AsyncIterator[None]:
        """Inside the block, an endless call keeps all other calls into the instance waiting."""
        endless = self.invoke(instance, "spin")
        try:
            await self.pending(1)
            yield
        finally:
            endless.cancel()


@contextlib.asynccontextmanager
async def running(**configuration: Any) -> AsyncIterator[Service]:
    """A server on a free loopback port that is stopped at the end."""
    server = Server(ServerConfiguration(**{"address": "127.0.0.1:0", **configuration}))
    address = await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Service(server, address, channel)
    finally:
        await server.stop(0)
