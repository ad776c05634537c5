"""Imports that the synchronous client provides: answers the calls of guests in threads of this process."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from contextvars import Context
from typing import Any

import grpc

from farcall.client import messages
from farcall.client.calls import within_call
from farcall.client.calls.call import Call
from farcall.client.calls.imports import ProvidedImports, failed, provision
from farcall.client.connection import Connection
from farcall.client.errors import CancelledError, DeadlineExceededError, FarcallError, ServerError
from farcall.client.status import error_from_call
from farcall.client.types import InstanceInfo
from farcall.proto.farcall.v1 import import_service_pb2


class ImportSession:
    """A stream over which the server calls this process.

    One thread reads calls, and makes them itself. Where a function makes requests of its own, which may lead to further
    calls before they are answered, another thread reads on.
    """

    def __init__(
        self, connection: Connection, creation: Call[InstanceInfo], provided: ProvidedImports
    ) -> None:
        self._address = connection.address
        self._provided = provided
        self._instance: Future[InstanceInfo] = Future()
        self._requests: queue.SimpleQueue[import_service_pb2.ProvideImportsRequest | None] = (
            queue.SimpleQueue()
        )
        self._requests.put(provision(creation, provided))
        self._ended = False
        self._call = connection.endless_stream("ProvideImports", iter(self._requests.get, None))
        self._read_in_another_thread()

    def instance(self, timeout: float | None) -> InstanceInfo:
        """Waits for the instance, `timeout` seconds at most; raises as an instantiation does."""
        try:
            return self._instance.result(timeout)
        except TimeoutError as error:
            self.close()
            if isinstance(error, FarcallError):
                raise
            raise DeadlineExceededError("the time for the instantiation ran out") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the session; calls that come from now on, or wait, fail."""
        self._ended = True
        self._requests.put(None)
        self._call.cancel()

    # -- In threads ------------------------------------------------------------------------------------------------

    def _read_in_another_thread(self) -> None:
        threading.Thread(target=self._read, name="farcall-imports", daemon=True).start()

    def _read(self) -> None:
        """Reads calls and makes them, until the stream ends or another thread reads."""
        try:
            for response in self._call:
                if response.WhichOneof("response") == "instance":
                    self._instance.set_result(messages.read_instance(response.instance))
                elif response.WhichOneof("response") == "call" and self._make(response.call):
                    return
        except grpc.RpcError as error:
            self._fail(error_from_call(error, self._address))
        else:
            self._fail(ServerError("the server ended the stream"))

    def _make(self, call: import_service_pb2.ImportCall) -> bool:
        """Makes a call, and answers it; whether another thread reads now."""
        reader = _Reader(self._read_in_another_thread)
        function, arguments = self._provided.called(call)

        def answer() -> import_service_pb2.ProvideImportsRequest:
            within_call.current.set(within_call.WithinCall(call.token, reader.hand_over))
            try:
                result = function(*arguments)
            except Exception as error:
                return failed(call, error)
            return self._provided.returned(call, result)

        self._requests.put(Context().run(answer))
        return reader.handed_over

    def _fail(self, error: FarcallError) -> None:
        self._requests.put(None)  # ends gRPC's thread that waits for requests
        if not self._instance.done():
            self._instance.set_exception(
                CancelledError("the instantiation was cancelled") if self._ended else error
            )


class _Reader:
    """That a thread reads, until it hands that over, once."""

    def __init__(self, start_another: Any) -> None:
        self._start_another = start_another
        self._lock = threading.Lock()
        self.handed_over = False

    def hand_over(self) -> None:
        """Lets another thread read from now on."""
        with self._lock:
            if self.handed_over:
                return
            self.handed_over = True
        self._start_another()
