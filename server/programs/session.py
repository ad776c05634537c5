"""One `RunProgram`: a program, its input as it comes, its output as it is written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc

from farcall.proto.farcall.v1 import program_service_pb2 as messages
from farcall.server.errors import RequestError, bad_request, limit_reached, upload_stalled
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import Job
from farcall.server.programs.input import ProgramInput
from farcall.server.programs.output import ProgramOutput
from farcall.server.programs.runner import Preparer, Program
from farcall.server.status import status_of
from farcall.server.wasi.archives import ArchiveCollector

_Context = grpc.aio.ServicerContext[messages.RunProgramRequest, messages.RunProgramResponse]


class ProgramSession:
    """The state of one stream. Used by the event loop's thread only.

    Attributes:
        standard_input: what has come for the program and it has not read.
        output: what it has written and is not sent.
    """

    def __init__(
        self,
        context: _Context,
        preparer: Preparer,
        executor: Executor,
        *,
        idle_timeout: float,
        timeout: float,
        guest_ended: Callable[[ProgramSession], object],
    ) -> None:
        """Make the state of a stream.

        Parameters:
            executor: of programs.
            idle_timeout: seconds that an archive may wait for its next bytes.
            timeout: seconds that the program may run.
            guest_ended: is called when the program has ended; what it has written may still have to be sent.
        """
        self._context = context
        self._preparer = preparer
        self._executor = executor
        self._idle_timeout = idle_timeout
        self._timeout = timeout
        self._guest_ended = guest_ended
        self._given_up = False
        loop = asyncio.get_running_loop()
        self.standard_input, self.output = ProgramInput(loop), ProgramOutput(loop)

    async def run(self) -> None:
        """Serve the stream to its end, telling of errors in its last message."""
        response = messages.RunProgramResponse()
        try:
            response.exit_code = await self._run(await self._prepared())
        except Exception as error:
            response.error.CopyFrom(status_of(error))
        await self._context.write(response)

    def give_up(self) -> None:
        """The program has ended, and its client does not read: do not keep what it has written any longer."""
        self._given_up = True
        self.output.discard()

    async def refuse(self, error: RequestError) -> None:
        """Tell of an error instead."""
        await self._context.write(messages.RunProgramResponse(error=status_of(error)))

    async def _read(self) -> messages.RunProgramRequest | None:
        """The next request; None if the caller sends no more."""
        request = await self._context.read()
        return request if isinstance(request, messages.RunProgramRequest) else None  # else grpc.aio.EOF

    async def _prepared(self) -> Program:
        """The program that the first requests describe. Raises RequestError."""
        first = await self._read()
        if first is None:
            raise bad_request("request", "is missing: the stream ended without a message")
        if first.WhichOneof("request") != "program":
            raise bad_request("request", "must be `program` in the first message")
        archives = self._preparer.check(first.program)
        await self._collect(archives)
        return await self._preparer.prepare(first.program, archives)

    async def _collect(self, archives: ArchiveCollector) -> None:
        while archives.missing is not None:
            try:
                async with asyncio.timeout(self._idle_timeout):
                    request = await self._read()
            except TimeoutError:
                raise upload_stalled(self._idle_timeout) from None
            if request is None:
                archives.check_complete("archive_data")
            elif request.WhichOneof("request") != "archive_data":
                raise bad_request("request", "must be `archive_data` until all archives are complete")
            else:
                archives.add(request.archive_data.mount_index, request.archive_data.data, "archive_data")

    async def _run(self, program: Program) -> int:
        """Run the program; its exit code. Raises what the engine raises, and CallStoppedError."""
        pending: deque[None] = deque()
        standard_input, output = self.standard_input, self.output
        job: Job[int] = Job(lambda _stoppable: program.run(standard_input, output), pending, program)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._execute(job, output)),
            asyncio.create_task(self._send(output)),
            asyncio.create_task(self._feed(standard_input)),
        ]
        execution, sending, feeding = tasks
        try:
            while not execution.done():
                running = [task for task in tasks if not task.done()]
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if feeding.done():
                    feeding.result()
                if sending.done():
                    sending.result()
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            for task in (execution, feeding):
                task.cancel()
            # What was written goes out in any case: gRPC lets nothing be written while a write is under way.
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._given_up:
            raise limit_reached(
                "server", "the output of a program that has ended was not kept, as it was not read"
            )
        return execution.result() or 0

    async def _execute(self, job: Job[int], output: ProgramOutput) -> int:
        try:
            return await self._executor.run(
                self._executor.new_queue(), job, lambda: self._timeout, float("inf")
            )
        finally:
            output.close()
            self._guest_ended(self)

    async def _send(self, output: ProgramOutput) -> None:
        while (taken := await output.take()) is not None:
            channel, data = taken
            response = messages.RunProgramResponse()
            setattr(response, channel.value, data)
            await self._context.write(response)

    async def _feed(self, standard_input: ProgramInput) -> None:
        """Pass standard input on. Raises RequestError for a message that is none."""
        try:
            while (request := await self._read()) is not None:
                match request.WhichOneof("request"):
                    case "standard_input":
                        await standard_input.write(request.standard_input)
                    case "standard_input_end":
                        return
                    case _:
                        raise bad_request("request", "must be `standard_input` or `standard_input_end`")
        finally:
            standard_input.end()
