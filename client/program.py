"""Programs of the synchronous client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import Self

import grpc

from farcall.client.calls.programs import (
    Output,
    ProgramRequest,
    ProgramResult,
    collected,
    input_requests,
    read_response,
)
from farcall.client.connection import Connection
from farcall.client.errors import CancelledError, FarcallError, ServerError
from farcall.client.status import error_from_call

StandardInput = bytes | Iterable[bytes]
"""All of a program's standard input, or what gives one piece after the other, as far as the program reads."""


class Program:
    """A program that runs on the server.

    ::

        with client.run(module, arguments=["wc", "-l"], stdin=b"one line") as program:
            for output in program.output():
                print(output.stream, output.data)
            exit_code = program.wait()

    It runs as far as its output is read: who does not read makes it wait. Leaving the `with` block stops it.
    """

    def __init__(
        self, connection: Connection, request: ProgramRequest, stdin: StandardInput, timeout: float | None
    ) -> None:
        self._address = connection.address
        self._exit_code: int | None = None
        self._failure: FarcallError | None = None
        self._call = connection.stream("RunProgram", chain(request.opening(), input_requests(stdin)), timeout)

    @property
    def exit_code(self) -> int | None:
        """What the program exited with; None as long as the end has not been read."""
        return self._exit_code

    def output(self) -> Iterator[Output]:
        """What it writes to standard output and standard error, as it comes; ends with the program.

        Raises:
            Trap: the guest trapped.
            NotFoundError: no such module or host directory.
            LinkError: the module imports what the server does not have.
            DeadlineExceededError: the time ran out.
            FarcallError: it failed otherwise.
        """
        while self._exit_code is None:
            read = self._next()
            if isinstance(read, Output):
                yield read
            else:
                self._exit_code = read

    def _next(self) -> Output | int:
        if self._failure is not None:
            raise self._failure
        try:
            return read_response(next(self._call))
        except StopIteration:
            self._failure = ServerError("the server ended the stream before the program had ended")
        except grpc.RpcError as error:
            self._failure = error_from_call(error, self._address)
        except FarcallError as error:
            self._failure = error
        raise self._failure

    def wait(self) -> int:
        """Waits for its end, and gives the exit code; what it writes until then is dropped. Raises as `output`."""
        for _ in self.output():
            pass
        assert self._exit_code is not None
        return self._exit_code

    def result(self) -> ProgramResult:
        """Waits for its end, and gives all that it has written since. Raises as `output`."""
        outputs = list(self.output())
        return collected(outputs, self._exit_code)

    def stop(self) -> None:
        """Stops it, if it still runs; who reads its output then gets CancelledError."""
        if self._exit_code is None and self._failure is None:
            self._failure = CancelledError("the program was stopped")
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
