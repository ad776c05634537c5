"""ImportService: instances whose imports are functions of a client's."""

from __future__ import annotations

import asyncio
from typing import Any

from farcall.engine import Module
from farcall.proto.farcall.v1 import import_service_pb2 as messages
from farcall.proto.farcall.v1 import import_service_pb2_grpc
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import bad_request
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.call_site import CallSite
from farcall.server.execution.executor import Executor
from farcall.server.imports.session import ImportSession, provided_imports
from farcall.server.instantiator import Instantiator
from farcall.server.resource_names import parse_store_name
from farcall.server.services.instance_service import full_message
from farcall.server.store_registry import StoreRecord, StoreRegistry


class ImportService(import_service_pb2_grpc.ImportServiceServicer):
    """See import_service.proto."""

    def __init__(
        self,
        registry: StoreRegistry,
        instantiator: Instantiator,
        executor: Executor,
        limits: TimeLimits,
        sites: dict[str, CallSite[Any]],
    ) -> None:
        """Make the service.

        Parameters:
            sites: where the calls that wait are to be found, by token.
        """
        self._registry = registry
        self._instantiator = instantiator
        self._executor = executor
        self._limits = limits
        self._sites = sites
        self._sessions: dict[ImportSession, asyncio.Task[None] | None] = {}

    async def ProvideImports(  # type: ignore[override]  # noqa: N802 - writes by itself instead of yielding
        self, requests: Any, context: Any
    ) -> None:
        """Instantiate a module, and pass calls on to the client."""
        first = await context.read()
        if not isinstance(first, messages.ProvideImportsRequest):
            raise bad_request("request", "is missing: the stream ended without a message")
        if first.WhichOneof("request") != "provision":
            raise bad_request("request", "must be `provision` in the first message")
        session = ImportSession(context, self._executor, self._sites)
        self._sessions[session] = None
        # Beside each other: a start function may call what the client provides.
        creation = asyncio.create_task(self._create(session, first.provision, context))
        serving = asyncio.create_task(session.serve())
        try:
            await asyncio.wait({creation, serving}, return_when=asyncio.FIRST_COMPLETED)
            if creation.done():
                await creation
            await serving
        finally:
            await _ended(creation, serving)
            session.forget()
            draining = self._sessions.pop(session)
            if draining is not None:
                draining.cancel()

    async def _create(self, session: ImportSession, provision: messages.Provision, context: Any) -> None:
        creation = provision.creation
        if not creation.HasField("instance"):
            raise bad_request("provision.creation.instance", "must be set")
        store = self._registry.store(parse_store_name(creation.parent, "provision.creation.parent"))

        def provide(module: Module, store: StoreRecord, queue: CallQueue) -> dict[Any, Any]:
            return provided_imports(session, provision.functions, module, store, queue)

        record = await self._instantiator.create(
            store, creation.instance_id, creation.instance, lambda: self._limits.seconds(context), provide
        )
        session.created(messages.ProvideImportsResponse(instance=await full_message(record)), record)
        store.when_closed.add(session.store_closed)

    def drain(self) -> None:
        """The server is shutting down: sessions end when nothing is under way on them."""
        for session in self._sessions:
            self._sessions[session] = asyncio.create_task(session.drain())


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel what still runs, and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
