"""A request and how to read its answer, as a value."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T_co = TypeVar("T_co", covariant=True)

CONTROL_TIMEOUT = 30.0
"""Seconds that a request waits which runs no guest code, where nobody said otherwise."""

PAGE_SIZE = 1000
"""Items that a page of a list is asked to have: the most that servers give."""


class Call(NamedTuple, Generic[T_co]):
    """One request.

    Attributes:
        method: the method's name.
        request: what to send: a message, or messages that can be gone through again.
        read: reads the answer.
        default_timeout: seconds to wait where nobody said otherwise; None for as long as it takes.
        streams_requests: whether `request` is several messages; such a call is repeated while the server is away.
    """

    method: str
    request: Any
    read: Callable[[Any], T_co]
    default_timeout: float | None = CONTROL_TIMEOUT
    streams_requests: bool = False


class Page(NamedTuple, Generic[T_co]):
    """One page of a list, and the token of the next; empty on the last page."""

    items: list[T_co]
    next_page_token: str


def read_nothing(_: object) -> None:
    """Reads an answer that says nothing but that it has been done."""


class Deadline:
    """When several requests that are one operation must be done together."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def remaining(self) -> float | None:
        """Seconds left, never below 0; None where there is no end."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())
