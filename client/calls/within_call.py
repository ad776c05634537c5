"""Requests that a function makes which a guest has called: the server serves them in the middle of the guest's call."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

METADATA_KEY = "farcall-within-call"


class WithinCall(NamedTuple):
    """The call that is being answered.

    Attributes:
        token: what the server knows it by.
        before_request: to be called before a request is made, for its answer may depend on further calls.
    """

    token: str
    before_request: Callable[[], None]


current: ContextVar[WithinCall | None] = ContextVar("farcall_within_call", default=None)
"""Of the thread's, or task's, context; None outside of functions that guests have called."""


def metadata() -> tuple[tuple[str, str], ...] | None:
    """What a request has to carry that is made now."""
    within = current.get()
    if within is None:
        return None
    within.before_request()
    return ((METADATA_KEY, within.token),)
