"""Requests that a client makes while a guest waits for it are served in the middle of the guest's call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farcall.server.execution.call_site import CallSite, within_call
from farcall.server.guards.size import Behaviour

METADATA_KEY = "farcall-within-call"
"""Carries the token of the call."""


class WithinCallGuard:
    """Tells the executor of the call that a request is made within (`execution.call_site`)."""

    def __init__(self, sites: Mapping[str, CallSite[Any]]) -> None:
        """Make the guard.

        Parameters:
            sites: the calls that wait, by token.
        """
        self._sites = sites

    def wrap(self, behaviour: Behaviour) -> Behaviour:
        """The method; where no guest waits for a client, nothing is looked at."""
        sites = self._sites

        async def placed(request: Any, context: Any) -> Any:
            if sites:
                for key, token in context.invocation_metadata() or ():
                    if key == METADATA_KEY:
                        # The call may have ended; then the request waits for its turn, as any other.
                        within_call.set(sites.get(token))
            return await behaviour(request, context)

        return placed
