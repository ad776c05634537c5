"""A server that shuts down takes no new calls, and knows when the old ones are done."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from farcall.server.errors import shutting_down
from farcall.server.guards.size import Behaviour


class DrainingGuard:
    """Counts the calls that are being served; refuses new ones once `drain` was called."""

    def __init__(self) -> None:
        self._active = 0
        self._draining = False
        self._idle = asyncio.Event()

    def wrap(self, behaviour: Behaviour) -> Behaviour:
        """The method, counted and refused."""

        async def counted(request: Any, context: Any) -> Any:
            if self._draining:
                raise shutting_down()
            self._active += 1
            try:
                return await behaviour(request, context)
            finally:
                self._active -= 1
                if self._draining and not self._active:
                    self._idle.set()

        return counted

    def drain(self) -> None:
        """Refuse calls from now on."""
        self._draining = True
        if not self._active:
            self._idle.set()

    def end_waiting(self) -> None:
        """Let `idle` return now."""
        self._idle.set()

    async def idle(self, seconds: float) -> bool:
        """Wait until no call is served any more, at most that long; whether it is so."""
        if self._active:
            self._idle.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        return not self._active
