"""How both clients connect: address, credentials, message sizes, and which calls gRPC repeats by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from farcall.client.address import DEFAULT_PORT
from farcall.proto.farcall.v1 import (
    global_service_pb2_grpc,
    import_service_pb2_grpc,
    instance_service_pb2_grpc,
    invocation_service_pb2_grpc,
    memory_service_pb2_grpc,
    module_service_pb2_grpc,
    program_service_pb2_grpc,
    server_service_pb2_grpc,
    store_service_pb2_grpc,
    table_service_pb2_grpc,
)

_MAX_RECEIVED_MESSAGE_BYTES = 256 << 20
RETRIED_METHODS = {
    "farcall.v1.ModuleService": ("CompileModule", "GetModule", "ListModules", "InspectFunction"),
    "farcall.v1.StoreService": ("CreateStore", "GetStore", "ListStores"),
    "farcall.v1.InstanceService": ("CreateInstance", "GetInstance", "ListInstances"),
    "farcall.v1.MemoryService": ("GetMemory", "ReadMemory"),
    "farcall.v1.GlobalService": ("GetGlobal",),
    "farcall.v1.TableService": ("GetTable", "LookupElement"),
    "farcall.v1.ServerService": ("GetServerInfo",),
}
"""What is safe to repeat: reads, and creations, as their requests carry a request id; uploads, too (a module's
name is its content), see `repeating`. A call that may have run is never repeated, nor is a write, close or deletion."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when gRPC repeats a safe call that found the server unavailable.

    With these defaults a server may be away for about three seconds. gRPC varies every wait by up to 20 %.

    Attributes:
        attempts: how many in all, the first included; gRPC makes at most 5. 1 switches repeating off.
        first_wait: seconds before the second attempt; every further wait is twice as long.
        longest_wait: in seconds.
    """

    attempts: int = 5
    first_wait: float = 0.2
    longest_wait: float = 2.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypts the connection.

    Attributes:
        root_certificates: PEM file of the authorities that are trusted; None for gRPC's own list.
        certificate: PEM file of this client's certificate, where the server asks for one.
        private_key: PEM file of its key.
        server_name: the name to expect in the server's certificate, where it is not the address's.
    """

    root_certificates: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """These as gRPC wants them; OSError where a file cannot be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=_content(self.root_certificates),
            private_key=_content(self.private_key),
            certificate_chain=_content(self.certificate),
        )


def _content(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def channel_options(retries: Retries, tls: Tls | None) -> list[tuple[str, int | str]]:
    """The channel's arguments for gRPC."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", -1),  # the server's limit decides, and its error names it
        ("grpc.max_receive_message_length", _MAX_RECEIVED_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps(service_config(retries))),
        # A server whose machine is gone sends no farewell: ask whether it is there, while calls wait for it.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # gRPC waits a second before it connects anew; a server that comes up late is to be found at once.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def open_channel(address: str, tls: Tls | None, retries: Retries) -> grpc.Channel:
    """A channel of gRPC's synchronous kind; OSError where a certificate's file cannot be read."""
    options = channel_options(retries, tls)
    if tls is None:
        return grpc.insecure_channel(target(address), options)
    return grpc.secure_channel(target(address), tls.credentials(), options)


def open_aio_channel(address: str, tls: Tls | None, retries: Retries) -> grpc.aio.Channel:
    """A channel of gRPC's asyncio kind; OSError where a certificate's file cannot be read."""
    options = channel_options(retries, tls)
    if tls is None:
        return grpc.aio.insecure_channel(target(address), options)
    return grpc.aio.secure_channel(target(address), tls.credentials(), options)


def target(address: str) -> str:
    """The address with farcall's port where it is a bare host name, for which gRPC would take that of HTTPS."""
    return address if ":" in address or "/" in address else f"{address}:{DEFAULT_PORT}"


def service_config(retries: Retries) -> dict[str, object]:
    """The service config that has gRPC repeat exactly the methods in `RETRIED_METHODS`."""
    if retries.attempts <= 1:
        return {}
    names = [
        {"service": service, "method": method}
        for service, methods in RETRIED_METHODS.items()
        for method in methods
    ]
    policy = {
        "maxAttempts": min(retries.attempts, 5),
        "initialBackoff": f"{retries.first_wait:.3f}s",
        "maxBackoff": f"{retries.longest_wait:.3f}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": names, "retryPolicy": policy}]}


_STUBS: tuple[Callable[[Any], object], ...] = (
    module_service_pb2_grpc.ModuleServiceStub,
    store_service_pb2_grpc.StoreServiceStub,
    instance_service_pb2_grpc.InstanceServiceStub,
    invocation_service_pb2_grpc.InvocationServiceStub,
    memory_service_pb2_grpc.MemoryServiceStub,
    global_service_pb2_grpc.GlobalServiceStub,
    table_service_pb2_grpc.TableServiceStub,
    import_service_pb2_grpc.ImportServiceStub,
    program_service_pb2_grpc.ProgramServiceStub,
    server_service_pb2_grpc.ServerServiceStub,
    health_pb2_grpc.HealthStub,
)


def methods(channel: grpc.Channel | grpc.aio.Channel) -> dict[str, Callable[..., Any]]:
    """The callable for every method, by the method's name (no two services have methods of one name)."""
    return {name: method for stub in _STUBS for name, method in vars(stub(channel)).items()}
