"""Answers that are remembered for repeated requests (AIP-155)."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from farcall.server.errors import bad_request

R = TypeVar("R", bound=Message)


_LIMIT_BYTES = 64 << 20
"""Of the remembered answers of a method together."""


@dataclass(slots=True, eq=False)
class _Answer(Generic[R]):
    """An answer to the request with that digest; its size is known once it is there."""

    request: bytes
    future: asyncio.Future[R]
    size: int = 0


class RememberedAnswers(Generic[R]):
    """The answers of one method, by request id; the oldest are forgotten first.

    Only successes are remembered: a request that failed can be repeated.
    """

    def __init__(self, limit: int, limit_bytes: int = _LIMIT_BYTES) -> None:
        """Make a memory.

        Parameters:
            limit: how many answers are kept.
            limit_bytes: how large they may be together; an instance's answer lists all its exports.
        """
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, _Answer[R]] = OrderedDict()

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
        content = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        while (known := self._answers.get(key)) is not None:
            if known.request != content:
                raise bad_request("request_id", "was used for another request")
            try:
                return await asyncio.shield(known.future)
            except asyncio.CancelledError:
                if not known.future.cancelled():
                    raise  # this caller went away, not the one who was first
        return await self._first(key, content, make)

    async def _first(self, key: str, content: bytes, make: Callable[[], Awaitable[R]]) -> R:
        answer: _Answer[R] = _Answer(content, asyncio.get_running_loop().create_future())
        self._answers[key] = answer
        self._forget_oldest()
        try:
            result = await make()
        except BaseException as error:
            if self._answers.get(key) is answer:
                del self._answers[key]
            if isinstance(error, Exception):
                answer.future.set_exception(error)
                answer.future.exception()  # nobody has to wait for it
            else:
                answer.future.cancel()
            raise
        answer.future.set_result(result)
        if self._answers.get(key) is answer:
            answer.size = result.ByteSize()
            self._bytes += answer.size
            self._forget_oldest()
        return result

    def _forget_oldest(self) -> None:
        while len(self._answers) > self._limit or self._bytes > self._limit_bytes:
            _, forgotten = self._answers.popitem(last=False)
            self._bytes -= forgotten.size
