"""What has been done since the server started."""

from __future__ import annotations

from dataclasses import dataclass

from farcall.engine import HostFailure, TerminatedError, Trap
from farcall.server.errors import CallStoppedError


@dataclass(slots=True)
class CallCounters:
    """Counts calls; those of a batch each. Written by the event loop's thread only."""

    calls: int = 0
    trapped: int = 0
    terminated: int = 0

    def failed(self, error: BaseException) -> None:
        """A call failed."""
        if isinstance(error, Trap | HostFailure):
            self.trapped += 1
        elif isinstance(error, TerminatedError | CallStoppedError):
            self.terminated += 1
