"""InvocationService: calls of functions, one, many in a message, many on a stream."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.proto.farcall.v1 import invocation_service_pb2_grpc
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import bad_request
from farcall.server.invocation_stream import InvocationStream
from farcall.server.invoker import Invoker

_Context = grpc.aio.ServicerContext[Any, Any]


class InvocationService(invocation_service_pb2_grpc.InvocationServiceServicer):
    """See invocation_service.proto."""

    def __init__(self, invoker: Invoker, limits: TimeLimits) -> None:
        self._invoker = invoker
        self._limits = limits
        self._streams: set[InvocationStream] = set()

    async def Invoke(  # noqa: N802 - the name of the method in the API
        self, request: messages.InvokeRequest, context: _Context
    ) -> messages.InvokeResponse:
        """Call one function."""
        invoker = self._invoker
        call = invoker.prepare(request.instance, request.function, request.arguments)
        results = invoker.call_at_once(call)
        if results is None:
            results = await invoker.call(call, lambda: self._limits.seconds(context))
        response = messages.InvokeResponse()
        call.binding.write_results(results, response.results)
        return response

    async def BatchInvoke(  # noqa: N802 - the name of the method in the API
        self, request: messages.BatchInvokeRequest, context: _Context
    ) -> messages.BatchInvokeResponse:
        """Make many calls."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.seconds(context)

        def limit() -> float:
            return end - loop.time()

        match request.WhichOneof("calls"):
            case "columns":
                return messages.BatchInvokeResponse(
                    columns=await self._invoker.call_columns(request.columns, limit)
                )
            case "list":
                return messages.BatchInvokeResponse(
                    list=await self._invoker.call_list(request.list.calls, limit)
                )
            case _:
                raise bad_request("calls", "must be set: `list` or `columns`")

    async def StreamInvoke(  # type: ignore[override]  # noqa: N802 - writes by itself instead of yielding
        self, requests: Any, context: _Context
    ) -> None:
        """Make calls as they come in."""
        stream = InvocationStream(context, self._invoker, self._limits, self._streams)
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    def drain(self) -> None:
        """The server is shutting down: streams end when nothing is under way on them."""
        for stream in tuple(self._streams):
            stream.drain()
