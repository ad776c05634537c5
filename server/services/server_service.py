"""ServerService: version, features, limits and counters."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from farcall.engine import Engine
from farcall.proto.farcall.v1 import server_service_pb2 as messages
from farcall.proto.farcall.v1 import server_service_pb2_grpc
from farcall.server.configuration import ServerConfiguration
from farcall.server.messages.modules import timestamp
from farcall.server.messages.statistics import compilation_message

_Context = grpc.aio.ServicerContext[Any, Any]


class ServerService(server_service_pb2_grpc.ServerServiceServicer):
    """See server_service.proto."""

    def __init__(
        self,
        engine: Engine,
        configuration: ServerConfiguration,
        count: Callable[[], messages.ServerCounters],
    ) -> None:
        """Make the service.

        Parameters:
            count: reads the counters.
        """
        self._engine = engine
        self._configuration = configuration
        self._count = count
        self._start_time = time.time()
        self._version = metadata.version("farcall")

    async def GetServerInfo(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetServerInfoRequest, context: _Context
    ) -> messages.GetServerInfoResponse:
        """Tell about the server."""
        return messages.GetServerInfoResponse(
            server_info=messages.ServerInfo(
                version=self._version,
                target=self._engine.target,
                features=self._engine.features,
                start_time=timestamp(self._start_time),
                limits=self._limits(),
                counters=self._count(),
                compilation=compilation_message(self._engine.statistics().compilation),
            )
        )

    def _limits(self) -> messages.ServerLimits:
        configuration = self._configuration
        return messages.ServerLimits(
            max_message_bytes=configuration.max_message_bytes,
            max_module_bytes=configuration.max_module_bytes,
            max_modules=configuration.max_modules,
            max_stores=configuration.max_stores,
            max_pending_calls_per_instance=configuration.max_pending_calls_per_instance,
            default_call_timeout=_duration(configuration.default_call_timeout),
            max_call_timeout=_duration(configuration.max_call_timeout),
            max_programs=configuration.max_programs,
            max_program_timeout=_duration(configuration.max_program_timeout),
            max_mounted_bytes=configuration.max_mounted_bytes,
            host_directories=sorted(directory.name for directory in configuration.allowed_directories),
            host_modules=sorted(configuration.host_modules),
        )


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
