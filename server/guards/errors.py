"""Errors become statuses with details."""

from __future__ import annotations

from typing import Any

from farcall.server.guards.size import Behaviour
from farcall.server.status import GRPC_CODES, status_of, trailing_metadata


class ErrorGuard:
    """Tells callers what methods raise, as `status.status_of` has it."""

    def wrap(self, behaviour: Behaviour) -> Behaviour:
        """The method; what it raises ends the call with a status."""

        async def told(request: Any, context: Any) -> Any:
            try:
                return await behaviour(request, context)
            except Exception as error:
                status = status_of(error)
            return await context.abort(GRPC_CODES[status.code], status.message, trailing_metadata(status))

        return told
