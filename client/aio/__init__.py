"""The asyncio client: the synchronous one's classes and methods, with `await`."""

from farcall.client.aio.client import Client
from farcall.client.aio.instance import Extern, Function, Global, Instance, Memory, Table
from farcall.client.aio.program import Program
from farcall.client.aio.store import Store
from farcall.client.aio.stream import Pending, Stream

__all__ = [
    "Client",
    "Extern",
    "Function",
    "Global",
    "Instance",
    "Memory",
    "Pending",
    "Program",
    "Store",
    "Stream",
    "Table",
]
