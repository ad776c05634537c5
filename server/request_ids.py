"""Answers that are remembered for repeated requests (AIP-155)."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from farcall.server.errors import bad_request

R = TypeVar("R", bound=Message)


class RememberedAnswers(Generic[R]):
    """The answers of one method, by request id; the oldest are forgotten first.

    Only successes are remembered: a request that failed can be repeated.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, tuple[bytes, asyncio.Future[R]]] = OrderedDict()

    async def answer(self, request_id: str, request: Message, make: Callable[[], Awaitable[R]]) -> R:
        """The first answer to a request with that id, or a new one.

        Parameters:
            make: does what is asked for. Repetitions that come meanwhile wait for it.

        Raises:
            RequestError: the id is no UUID, or another request had it.
            Exception: what `make` raises.
        """
        if not request_id:
            return await make()
        try:
            key = str(uuid.UUID(request_id))
        except ValueError:
            raise bad_request("request_id", f"must be a UUID, but is {request_id[:100]!r}") from None
        content = request.SerializeToString(deterministic=True)
        while (known := self._answers.get(key)) is not None:
            first, answer = known
            if first != content:
                raise bad_request("request_id", "was used for another request")
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                if not answer.cancelled():
                    raise  # this caller went away, not the one who was first
        return await self._first(key, content, make)

    async def _first(self, key: str, content: bytes, make: Callable[[], Awaitable[R]]) -> R:
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._answers[key] = (content, answer)
        while len(self._answers) > self._limit:
            self._answers.popitem(last=False)
        try:
            result = await make()
        except BaseException as error:
            if self._answers.get(key, (None, None))[1] is answer:
                del self._answers[key]
            if isinstance(error, Exception):
                answer.set_exception(error)
                answer.exception()  # nobody has to wait for it
            else:
                answer.cancel()
            raise
        answer.set_result(result)
        return result
