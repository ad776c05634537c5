"""Stores of the asyncio client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from types import TracebackType
from typing import Self

from farcall.client.aio.connection import Connection
from farcall.client.aio.import_session import ImportSession
from farcall.client.aio.instance import Instance
from farcall.client.calls import instances, modules, stores
from farcall.client.calls.imports import Imports, ProvidedImports
from farcall.client.calls.resource_names import instance_resource
from farcall.client.handles import StoreHandle
from farcall.client.types import InstanceInfo, Module, StoreInfo


class Store(StoreHandle):
    """A store on the server: instances live in it, and are linked within it.

    As an asynchronous context manager it is closed at the end, with all its instances.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(name)
        self._connection = connection

    async def instantiate(
        self,
        module: Module | str,
        *,
        name: str = "",
        links: instances.Links | None = None,
        imports: Imports | None = None,
        wasi: instances.Wasi | None = None,
        timeout: float | None = None,
    ) -> Instance:
        """Instantiates a module.

        Args:
            module: the module, or its digest.
            name: the instance's name; the server makes one up for an empty one.
            links: how imports are resolved: `{"env": library}` takes every import from `env` of the
                instance `library`; `{("env", "f"): (library, "g")}` a single one, and goes first.
            imports: functions of this process, `{"env": {"log": print}}`, which the guest's calls are passed to; they
                go before links. What they raise ends the guest with ImportFailedError. While they run they can
                use the instance, for instance read its memory. They are there until the instance is closed by
                this object, or the client.
            wasi: what its imports from WASI are to give it; None where links do.
            timeout: in seconds.

        Raises:
            LinkError: an import cannot be resolved.
            Trap: the start function, or an active segment.
            NotFoundError: no such module, store or linked instance.
            AlreadyExistsError: an open instance of the store has that name.
            ResourceExhaustedError: the store is full.
        """
        call = instances.create_instance(self.resource, module, name, links or {}, wasi)
        if not imports:
            return Instance(self._connection, await self._connection.run(call, timeout))
        if isinstance(module, str) or not module.imports:
            digest = module if isinstance(module, str) else module.digest
            module = await self._connection.run(modules.get_module(digest, False), timeout)
        session = ImportSession(self._connection, call, ProvidedImports(imports, module))
        return Instance(self._connection, await session.instance(timeout), session)

    async def instance(self, name: str, *, timeout: float | None = None) -> Instance:
        """The open instance of that name; NotFoundError where there is none."""
        call = instances.get_instance(instance_resource(self.resource, name))
        return Instance(self._connection, await self._connection.run(call, timeout))

    def instances(self, *, timeout: float | None = None) -> AsyncIterator[InstanceInfo]:
        """The open instances, without their exports; `timeout` is for each page."""
        return self._connection.items(partial(instances.list_instances, self.resource), timeout)

    async def close_instance(self, name: str, *, timeout: float | None = None) -> None:
        """Closes the instance of that name; NotFoundError where there is none."""
        await self._connection.run(instances.close_instance(instance_resource(self.resource, name)), timeout)

    async def info(self, *, timeout: float | None = None) -> StoreInfo:
        """What the server tells about the store; NotFoundError where it is not open."""
        return await self._connection.run(stores.get_store(self.resource), timeout)

    async def close(self, *, timeout: float | None = None) -> None:
        """Stops the guests that run in the store, and closes its instances.

        Raises:
            NotFoundError: the store is not open.
            FailedPreconditionError: it is the store `default`, which stays.
        """
        await self._connection.run(stores.close_store(self.resource), timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
