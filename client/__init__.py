"""Clients of farcall: call WebAssembly functions that run on a server.

::

    from farcall.client import Client

    with Client("localhost:7070") as client:
        module = client.upload("adder.wasm")
        with client.store().instantiate(module) as instance:
            print(instance.exports.add(1, 2))

`AsyncClient` is the same for asyncio. Errors are those of `farcall.client.errors`, drawn there as a tree.
"""

from farcall.client.aio import Client as AsyncClient
from farcall.client.channel import DEFAULT_ADDRESS, Retries, Tls
from farcall.client.client import Client
from farcall.client.errors import (
    AccessError,
    AlreadyExistsError,
    ArgumentError,
    CancelledError,
    ClosedError,
    DeadlineExceededError,
    ExportNotFoundError,
    FailedPreconditionError,
    FarcallError,
    Frame,
    InvalidModuleError,
    InvalidRequestError,
    LinkError,
    NotFoundError,
    RangeError,
    ResourceExhaustedError,
    ServerError,
    Trap,
    UnavailableError,
)
from farcall.client.instance import Extern, Function, Global, Instance, Memory, Table
from farcall.client.store import Store
from farcall.client.stream import Pending, Stream
from farcall.client.types import (
    CustomSection,
    Export,
    ExternType,
    FunctionReference,
    FunctionType,
    GlobalType,
    Import,
    InstanceInfo,
    Limits,
    Link,
    MemoryType,
    Module,
    Section,
    ServerInfo,
    ServerLimits,
    StoreInfo,
    TableType,
    UploadedModule,
    Value,
    ValueType,
)

__all__ = [
    "DEFAULT_ADDRESS",
    "AccessError",
    "AlreadyExistsError",
    "ArgumentError",
    "AsyncClient",
    "CancelledError",
    "Client",
    "ClosedError",
    "CustomSection",
    "DeadlineExceededError",
    "Export",
    "ExportNotFoundError",
    "Extern",
    "ExternType",
    "FailedPreconditionError",
    "FarcallError",
    "Frame",
    "Function",
    "FunctionReference",
    "FunctionType",
    "Global",
    "GlobalType",
    "Import",
    "Instance",
    "InstanceInfo",
    "InvalidModuleError",
    "InvalidRequestError",
    "Limits",
    "Link",
    "LinkError",
    "Memory",
    "MemoryType",
    "Module",
    "NotFoundError",
    "Pending",
    "RangeError",
    "ResourceExhaustedError",
    "Retries",
    "Section",
    "ServerError",
    "ServerInfo",
    "ServerLimits",
    "Store",
    "StoreInfo",
    "Stream",
    "Table",
    "TableType",
    "Tls",
    "Trap",
    "UnavailableError",
    "UploadedModule",
    "Value",
    "ValueType",
]
