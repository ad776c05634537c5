"""Quotas of stores between messages and what the server holds of them."""

from __future__ import annotations

from farcall.proto.farcall.v1 import store_service_pb2 as messages
from farcall.server.errors import bad_request
from farcall.server.store_registry import Quota


def read_quota(message: messages.StoreQuota, name: str) -> Quota:
    """The quota in a request's field of that name. Raises RequestError."""
    values: dict[str, int | None] = {}
    for field in ("max_instances", "max_memory_pages", "max_table_elements"):
        value = getattr(message, field) if message.HasField(field) else None
        if value is not None and value < 0:
            raise bad_request(f"{name}.{field}", f"must not be negative, but is {value}")
        values[field] = value
    return Quota(**values)
