"""Programs of the asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from farcall.client.aio.connection import Connection
from farcall.client.calls.programs import (
    INPUT_END,
    Output,
    ProgramRequest,
    ProgramResult,
    collected,
    input_pieces,
    input_requests,
    read_response,
)
from farcall.client.errors import CancelledError, FarcallError, ServerError
from farcall.client.status import error_from_call
from farcall.proto.farcall.v1 import program_service_pb2 as messages

StandardInput = bytes | Iterable[bytes] | AsyncIterable[bytes]
"""All of a program's standard input, or what gives one piece after the other, as far as the program reads."""


class Program:
    """A program that runs on the server.

    ::

        async with client.run(module, arguments=["wc", "-l"], stdin=b"one line") as program:
            async for output in program.output():
                print(output.stream, output.data)
            exit_code = await program.wait()

    It runs as far as its output is read: who does not read makes it wait. Leaving the `async with` block stops it.
    """

    def __init__(
        self, connection: Connection, request: ProgramRequest, stdin: StandardInput, timeout: float | None
    ) -> None:
        self._address = connection.address
        self._exit_code: int | None = None
        self._failure: FarcallError | None = None
        self._call: Any = connection.stream("RunProgram", _requests(request, stdin), timeout)

    @property
    def exit_code(self) -> int | None:
        """What the program exited with; None as long as the end has not been read."""
        return self._exit_code

    async def output(self) -> AsyncIterator[Output]:
        """What it writes to standard output and standard error, as it comes; ends with the program.

        Raises:
            Trap: the guest trapped.
            NotFoundError: no such module or host directory.
            LinkError: the module imports what the server does not have.
            DeadlineExceededError: the time ran out.
            FarcallError: it failed otherwise.
        """
        while self._exit_code is None:
            read = await self._next()
            if isinstance(read, Output):
                yield read
            else:
                self._exit_code = read

    async def _next(self) -> Output | int:
        if self._failure is not None:
            raise self._failure
        try:
            response = await self._call.read()
            if isinstance(response, messages.RunProgramResponse):
                return read_response(response)
            self._failure = ServerError("the server ended the stream before the program had ended")
        except grpc.RpcError as error:
            self._failure = error_from_call(error, self._address)
        except asyncio.CancelledError:
            if self._failure is None:  # the task was cancelled, not the call
                raise
        except FarcallError as error:
            self._failure = error
        raise self._failure

    async def wait(self) -> int:
        """Waits for its end, and gives the exit code; what it writes until then is dropped. Raises as `output`."""
        async for _ in self.output():
            pass
        assert self._exit_code is not None
        return self._exit_code

    async def result(self) -> ProgramResult:
        """Waits for its end, and gives all that it has written since. Raises as `output`."""
        outputs = [output async for output in self.output()]
        return collected(outputs, self._exit_code)

    async def stop(self) -> None:
        """Stops it, if it still runs; who reads its output then gets CancelledError."""
        if self._exit_code is None and self._failure is None:
            self._failure = CancelledError("the program was stopped")
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


async def _requests(
    request: ProgramRequest, stdin: StandardInput
) -> AsyncIterator[messages.RunProgramRequest]:
    for message in request.opening():
        yield message
    if isinstance(stdin, AsyncIterable):
        async for data in stdin:
            for message in input_pieces(bytes(data)):
                yield message
        yield INPUT_END
        return
    for message in input_requests(stdin):
        yield message
