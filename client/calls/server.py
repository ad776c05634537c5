"""The server: what it tells about itself, and whether it is healthy."""

from __future__ import annotations

from grpc_health.v1 import health_pb2

from farcall.client import messages, types
from farcall.client.calls.call import Call
from farcall.proto.farcall.v1 import server_service_pb2


def get_server_info() -> Call[types.ServerInfo]:
    """Version, features, limits and counters."""
    request = server_service_pb2.GetServerInfoRequest()
    return Call("GetServerInfo", request, lambda response: messages.read_server_info(response.server_info))


def check_health(service: str) -> Call[str]:
    """The serving status's name, for instance `SERVING`; an empty service means the whole server."""
    return Call("Check", health_pb2.HealthCheckRequest(service=service), _read_health, _HEALTH_TIMEOUT)


_HEALTH_TIMEOUT = 5.0
"""Seconds: who asks for health wants an answer soon, or none."""


def _read_health(response: health_pb2.HealthCheckResponse) -> str:
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return name
