"""The synchronous client's connection: sends requests and waits for the answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import grpc
import tenacity

from farcall.client.calls import within_call
from farcall.client.calls.call import Call, Deadline, Page
from farcall.client.channel import Retries, Tls, methods, open_channel
from farcall.client.errors import ClosedError
from farcall.client.repeating import policy
from farcall.client.status import error_from_call

T = TypeVar("T")


class Connection:
    """A channel to a server; threads may share it.

    Attributes:
        address: the server's.
    """

    def __init__(self, address: str, timeout: float | None, tls: Tls | None, retries: Retries) -> None:
        self.address = address
        self._timeout = timeout
        self._retries = retries
        self._closed = False
        self._channel = open_channel(address, tls, retries)
        self._methods = methods(self._channel)

    def run(self, call: Call[T], timeout: float | None = None) -> T:
        """Sends a request and reads the answer; the errors of `farcall.client.errors`.

        Args:
            call: what to send, and how to read the answer.
            timeout: in seconds; None for the client's, else the call's own.
        """
        if timeout is None:
            timeout = self._timeout if self._timeout is not None else call.default_timeout
        try:
            if call.streams_requests:
                response = self._repeat(call, Deadline(timeout))
            else:
                response = self._methods[call.method](
                    call.request, timeout=timeout, metadata=within_call.metadata()
                )
        except grpc.RpcError as error:
            raise error_from_call(error, self.address) from None
        except ValueError:
            self._raise_if_closed()
            raise
        return call.read(response)

    def _repeat(self, call: Call[T], deadline: Deadline) -> Any:
        send = self._methods[call.method]
        attempts = tenacity.Retrying(**policy(self._retries))
        return attempts(lambda: send(iter(call.request), timeout=deadline.remaining()))

    def items(self, list_page: Callable[[str], Call[Page[T]]], timeout: float | None) -> Iterator[T]:
        """The items of all pages of a list, each page asked for when it is needed."""
        token = ""
        while True:
            page = self.run(list_page(token), timeout)
            yield from page.items
            token = page.next_page_token
            if not token:
                return

    def watch(self, call: Call[T], timeout: float | None = None) -> Generator[T, None, None]:
        """Sends a request and reads its answers as they come; errors and `timeout` as for `run`."""
        if timeout is None:
            timeout = self._timeout if self._timeout is not None else call.default_timeout
        try:
            answers = self._methods[call.method](call.request, timeout=timeout)
            try:
                yield from map(call.read, answers)
            finally:
                answers.cancel()  # whoever leaves early waits no longer
        except grpc.RpcError as error:
            raise error_from_call(error, self.address) from None
        except ValueError:
            self._raise_if_closed()
            raise

    def stream(self, method: str, requests: Iterator[object], timeout: float | None) -> Any:
        """Begins a bidirectional stream; gives gRPC's call, an iterator of the answers."""
        return self.endless_stream(method, requests, timeout if timeout is not None else self._timeout)

    def endless_stream(self, method: str, requests: Iterator[object], timeout: float | None = None) -> Any:
        """The same, but that the client's own timeout does not hold."""
        try:
            return self._methods[method](requests, timeout=timeout, metadata=within_call.metadata())
        except ValueError:
            self._raise_if_closed()
            raise

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("the client has been closed") from None

    def close(self) -> None:
        """Ends what is under way; later requests raise ClosedError."""
        self._closed = True
        self._channel.close()
