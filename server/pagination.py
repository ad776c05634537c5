"""Pages of lists (AIP-158)."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from farcall.server.errors import bad_request

T = TypeVar("T")

_DEFAULT_SIZE = 50
_MAXIMUM_SIZE = 1000


def page(entries: Sequence[T], name: Callable[[T], str], size: int, token: str) -> tuple[Sequence[T], str]:
    """A page of entries that are ordered by name, and the token of the next one (empty: there is none).

    A token holds the last name of the page before, so that entries which come and go meanwhile shift nothing.

    Raises:
        RequestError: the size is negative, or the token is none.
    """
    if size < 0:
        raise bad_request("page_size", f"must not be negative, but is {size}")
    size = min(size or _DEFAULT_SIZE, _MAXIMUM_SIZE)
    start = bisect_right(entries, _decode(token), key=name) if token else 0
    chosen = entries[start : start + size]
    more = start + size < len(entries)
    return chosen, _encode(name(chosen[-1])) if more else ""


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise bad_request("page_token", "is not a token that this method returned") from None
