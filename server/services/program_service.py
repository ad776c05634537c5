"""ProgramService: runs programs."""

from __future__ import annotations

from typing import Any

from farcall.proto.farcall.v1 import program_service_pb2_grpc
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import limit_reached
from farcall.server.execution.executor import Executor
from farcall.server.programs.runner import Preparer
from farcall.server.programs.session import ProgramSession


class ProgramService(program_service_pb2_grpc.ProgramServiceServicer):
    """See program_service.proto.

    Attributes:
        sessions: of programs that run, or whose archives are on their way.
        undelivered: of programs that have ended, and whose output is not all sent; the oldest first.
        started: programs since the server started.
    """

    def __init__(
        self,
        preparer: Preparer,
        executor: Executor,
        limits: TimeLimits,
        *,
        max_programs: int,
        idle_timeout: float,
    ) -> None:
        """Make the service.

        Parameters:
            executor: of programs: each occupies a thread as long as it runs.
            idle_timeout: seconds that an archive may wait for its next bytes.
        """
        self._preparer = preparer
        self._executor = executor
        self._limits = limits
        self._max_programs = max_programs
        self._idle_timeout = idle_timeout
        self.sessions: set[ProgramSession] = set()
        self.undelivered: dict[ProgramSession, None] = {}
        self.started = 0

    @property
    def running(self) -> int:
        """How many programs run, or have their archives on the way."""
        return len(self.sessions)

    async def RunProgram(  # type: ignore[override]  # noqa: N802 - writes by itself instead of yielding
        self, requests: Any, context: Any
    ) -> None:
        """Run a program."""
        session = ProgramSession(
            context,
            self._preparer,
            self._executor,
            idle_timeout=self._idle_timeout,
            timeout=self._limits.seconds(context),
            guest_ended=self._guest_ended,
        )
        if self.running >= self._max_programs:
            await session.refuse(
                limit_reached("server", f"{self.running} programs run, which is the limit; try again later")
            )
            return
        self._give_up_oldest()
        self.sessions.add(session)
        self.started += 1
        try:
            await session.run()
        finally:
            self.sessions.discard(session)
            self.undelivered.pop(session, None)

    def _guest_ended(self, session: ProgramSession) -> None:
        """It takes no program's place any more, even if its client takes its time to read."""
        self.sessions.discard(session)
        self.undelivered[session] = None

    def _give_up_oldest(self) -> None:
        """Of clients that never read, as many may keep output in memory as there may be programs."""
        while len(self.undelivered) > self._max_programs:
            oldest = next(iter(self.undelivered))
            del self.undelivered[oldest]
            oldest.give_up()
