"""Imports that the asyncio client provides: answers the calls of guests in tasks of this event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import grpc

from farcall.client import messages
from farcall.client.aio.connection import Connection
from farcall.client.calls import within_call
from farcall.client.calls.call import Call
from farcall.client.calls.imports import ProvidedImports, failed, provision
from farcall.client.errors import DeadlineExceededError, FarcallError, ServerError
from farcall.client.status import error_from_call
from farcall.client.types import InstanceInfo
from farcall.proto.farcall.v1 import import_service_pb2


class ImportSession:
    """A stream over which the server calls this process.

    Each call is a task. Functions may be coroutine functions; others keep the event loop until they return, and so
    cannot wait for requests of their own.
    """

    def __init__(
        self, connection: Connection, creation: Call[InstanceInfo], provided: ProvidedImports
    ) -> None:
        self._address = connection.address
        self._provided = provided
        self._instance: asyncio.Future[InstanceInfo] = asyncio.get_running_loop().create_future()
        self._requests: asyncio.Queue[import_service_pb2.ProvideImportsRequest | None] = asyncio.Queue()
        self._requests.put_nowait(provision(creation, provided))
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._call = connection.endless_stream("ProvideImports", self._sent_requests())
        self._reader = asyncio.create_task(self._read())

    async def instance(self, timeout: float | None) -> InstanceInfo:
        """Waits for the instance, `timeout` seconds at most; raises as an instantiation does."""
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._instance)
        except TimeoutError as error:
            await self.close()
            if isinstance(error, FarcallError):
                raise
            raise DeadlineExceededError("the time for the instantiation ran out") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the session; calls that come from now on, or wait, fail."""
        self._requests.put_nowait(None)
        self._call.cancel()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _sent_requests(self) -> AsyncIterator[import_service_pb2.ProvideImportsRequest]:
        while (request := await self._requests.get()) is not None:
            yield request

    async def _read(self) -> None:
        try:
            async for response in self._call:
                match response.WhichOneof("response"):
                    case "instance":
                        self._instance.set_result(messages.read_instance(response.instance))
                    case "call":
                        call = response.call
                        self._answering[call.call_id] = asyncio.create_task(self._answer(call))
                    case "abandoned_call_id":
                        abandoned = self._answering.get(response.abandoned_call_id)
                        if abandoned is not None:
                            abandoned.cancel()
        except grpc.RpcError as error:
            self._fail(error_from_call(error, self._address))
        except asyncio.CancelledError:
            self._fail(ServerError("the session has been closed"))
            raise
        else:
            self._fail(ServerError("the server ended the stream"))

    async def _answer(self, call: import_service_pb2.ImportCall) -> None:
        within_call.current.set(within_call.WithinCall(call.token, _nothing))
        function, arguments = self._provided.called(call)
        try:
            result = function(*arguments)
            if inspect.isawaitable(result):
                result = await result
            answer = self._provided.returned(call, result)
        except Exception as error:
            answer = failed(call, error)
        finally:
            del self._answering[call.call_id]
        self._requests.put_nowait(answer)

    def _fail(self, error: FarcallError) -> None:
        self._requests.put_nowait(None)  # ends the iterator that gRPC waits for
        for task in tuple(self._answering.values()):
            task.cancel()
        if not self._instance.done():
            self._instance.set_exception(error)
            self._instance.exception()  # where nobody waits any more, asyncio is not to complain


def _nothing() -> None:
    """Other calls are read meanwhile anyway."""
