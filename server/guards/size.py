"""Answers that do not fit in a message are refused by the server, which can say so in its errors' form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from farcall.server.errors import RequestError, limit_reached

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""An asyncio method: from request (or requests) and context to a response (or None, if it writes by itself)."""


def serialising(behaviour: Behaviour, serializer: Callable[[Any], bytes], limit: int) -> Behaviour:
    """A method that gives one answer, as bytes: gRPC would make the bytes, too, but end the call without our details.

    The method raises RequestError where the answer is larger than `limit` bytes.
    """

    async def measured(request: Any, context: Any) -> bytes:
        answer = serializer(await behaviour(request, context))
        if len(answer) > limit:
            raise answer_too_large(len(answer), limit)
        return answer

    return measured


def answer_too_large(size: int, limit: int) -> RequestError:
    """What was asked for has been done, but the answer cannot be sent."""
    return limit_reached(
        "message", f"the answer has {size} bytes, a message at most {limit}; ask for less at a time"
    )
