"""Makes and closes instances and stores: where registry, module library and execution meet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from farcall.engine import ExportNotFoundError, ImportProvider, MemoryType, Module, Stoppable, Store
from farcall.engine.host.built_in import built_in_imports
from farcall.proto.farcall.v1 import instance_service_pb2 as messages
from farcall.server.errors import StopReason, bad_request, failed_precondition
from farcall.server.execution.call_queue import CallQueue
from farcall.server.execution.call_site import within_call
from farcall.server.execution.executor import Executor
from farcall.server.execution.job import Job
from farcall.server.module_library import ModuleLibrary
from farcall.server.resource_names import parse_module_name
from farcall.server.store_registry import DEFAULT_STORE, InstanceRecord, StoreRecord, StoreRegistry
from farcall.server.wasi.instance_wasi import InstanceWasi
from farcall.server.wasi.mounts import Mounter

_logger = structlog.get_logger(__name__)

Provide = Callable[[Module, StoreRecord, CallQueue], Mapping[Any, Any]]
"""Makes imports, as the engine wants them, for a new instance of a module, in a store, with a queue."""


class Instantiator:
    """Makes and closes instances and stores. Used by the event loop's thread only."""

    def __init__(
        self,
        registry: StoreRegistry,
        library: ModuleLibrary,
        executor: Executor,
        mounter: Mounter,
        *,
        host_modules: Mapping[str, ImportProvider],
        max_output_bytes: int,
    ) -> None:
        """Make one.

        Parameters:
            host_modules: what instances can import without a link, besides what is built in.
            max_output_bytes: what is kept of each output of an instance that has WASI.
        """
        self._registry = registry
        self._library = library
        self._executor = executor
        self._mounter = mounter
        self._host_modules = host_modules
        self._max_output_bytes = max_output_bytes
        self._closing: set[asyncio.Task[None]] = set()

    # -- Making ----------------------------------------------------------------------------------------------------

    async def create(
        self,
        store: StoreRecord,
        instance_id: str,
        wanted: messages.Instance,
        limit: Callable[[], float],
        provide: Provide | None = None,
    ) -> InstanceRecord:
        """Make an instance.

        Parameters:
            limit: tells how many seconds are left for it.
            provide: gives imports that are no other instance's, which go before links.

        Raises:
            RequestError: the id is taken, the module or a linked instance is not there, or it was stopped.
            FarcallError: it cannot be linked, traps, or exceeds a limit.
        """
        module = self._library.record(parse_module_name(wanted.module, "instance.module"))
        providers = self._providers(store, wanted.links)
        instance_id = store.reserve_instance_id(instance_id)
        wasi = None
        try:
            if wanted.HasField("wasi"):
                wasi = await self._wasi(wanted.wasi, store)
            compiled = await self._library.compiled(module)
            system = wasi.system if wasi is not None else None
            imports: dict[Any, Any] = {**built_in_imports(system, self._host_modules)}
            imports |= _imports(wanted.links, providers)
            pending = store.making[instance_id]
            linked = _linked(compiled.module, wanted.links, providers)
            queue = await self._common_queue(linked, pending, limit)
            if provide is not None:
                imports |= provide(compiled.module, store, queue)
            instantiation = store.store.instantiation(compiled, imports, name=instance_id)
            job = Job(lambda _stoppable: instantiation.run(), pending, instantiation)
            instance = await self._executor.run(queue, job, limit)
            record = InstanceRecord(store, instance, module.name, wanted.links, queue, pending)
            record.wasi = wasi
            self._registry.add_instance(record)
        except BaseException:
            if wasi is not None:
                wasi.close()
            raise
        finally:
            store.release_instance_id(instance_id)
        _logger.debug("instance created", instance=record.name, module=record.module_name)
        return record

    async def _wasi(self, wanted: messages.InstanceWasi, store: StoreRecord) -> InstanceWasi:
        """What an instance is given of WASI. Raises RequestError and ExhaustionError."""
        making = asyncio.ensure_future(
            asyncio.to_thread(InstanceWasi, wanted, self._mounter, store.store, self._max_output_bytes)
        )
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_give_back)
            raise

    def _providers(self, store: StoreRecord, links: Sequence[messages.Link]) -> list[InstanceRecord]:
        """The instance that each link names. Raises RequestError that says which link is wrong."""
        providers = []
        seen: set[tuple[str, str | None]] = set()
        for position, link in enumerate(links):
            field = f"instance.links[{position}]"
            record = self._registry.instance(link.instance, f"{field}.instance")
            if record.store is not store:
                raise bad_request(f"{field}.instance", f"must be in {store.name!r}, but is {record.name!r}")
            if link.HasField("export_name") and not link.HasField("import_name"):
                raise bad_request(f"{field}.export_name", "needs import_name: it resolves a single import")
            key = (link.import_module, link.import_name if link.HasField("import_name") else None)
            if key in seen:
                raise bad_request(field, f"resolves {link.import_module!r} a second time")
            seen.add(key)
            providers.append(record)
        return providers

    async def _common_queue(
        self, providers: Iterable[InstanceRecord], pending: deque[None], limit: Callable[[], float]
    ) -> CallQueue:
        """One queue for a new instance and all it is linked to: theirs, merged."""
        queues = list(dict.fromkeys(record.queue for record in providers))
        if not queues:
            return self._executor.new_queue()
        first = queues[0]
        for other in queues[1:]:
            # The hand-over takes its turn in the queue that ends, so that nothing of it runs any more.
            job = Job(_handing_over(other.current, first), pending)
            await self._executor.run(other.current, job, limit)
        return first.current

    # -- Closing ---------------------------------------------------------------------------------------------------

    async def close(self, record: InstanceRecord) -> None:
        """Close an instance: no request finds it any more, its calls are stopped, those of others go on.

        Closing goes on when the caller goes away.
        """
        within_call.set(None)  # what is to be closed cannot be in the middle of a call of its own
        self._registry.remove_instance(record)
        self._executor.stop_all(StopReason.CLOSED, record.pending)
        # The engine's close would stop whatever runs in linked instances: it takes its turn among their calls.
        job: Job[None] = Job(lambda _stoppable: record.instance.close(), record.pending)
        await self._finish(self._closed(record, job))

    async def _closed(self, record: InstanceRecord, job: Job[None]) -> None:
        await self._executor.run(record.queue, job, lambda: float("inf"))
        if record.wasi is not None:
            await asyncio.to_thread(record.wasi.close)

    async def close_store(self, store: StoreRecord) -> None:
        """Close a store: its calls are stopped.

        Raises:
            RequestError: it is the default one.
        """
        if store.store_id == DEFAULT_STORE:
            raise failed_precondition(f"{store.name!r} cannot be closed: it is always there")
        systems = [record.wasi for record in store.instances.values() if record.wasi is not None]
        for pending in self._registry.remove_store(store):
            self._executor.stop_all(StopReason.CLOSED, pending)
        await self._finish(asyncio.to_thread(_close_all, [store.store, *systems]))
        for tell in tuple(store.when_closed):
            tell()
        _logger.info("store closed", store=store.name)

    async def _finish(self, work: Any) -> None:
        """Await work that goes on when the caller goes away."""
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)


def _give_back(making: asyncio.Future[InstanceWasi]) -> None:
    """Whoever wanted it is gone."""
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def _close_all(closables: Sequence[Store | InstanceWasi]) -> None:
    for closable in closables:
        closable.close()


def _handing_over(queue: CallQueue, successor: CallQueue) -> Callable[[Stoppable], None]:
    def work(_stoppable: Stoppable) -> None:
        queue.hand_over(successor)

    return work


def _linked(
    module: Module, links: Sequence[messages.Link], providers: Sequence[InstanceRecord]
) -> list[InstanceRecord]:
    """With which instances a new one takes turns: all that give it anything but shared memories."""
    whole: dict[str, InstanceRecord] = {}
    single: dict[tuple[str, str], InstanceRecord] = {}
    for link, record in zip(links, providers, strict=True):
        if link.HasField("import_name"):
            single[link.import_module, link.import_name] = record
        else:
            whole[link.import_module] = record
    linked = []
    for entry in module.imports:
        record_or_none = single.get((entry.module, entry.name)) or whole.get(entry.module)
        if record_or_none is not None and not (isinstance(entry.type, MemoryType) and entry.type.shared):
            linked.append(record_or_none)
    return linked


def _imports(links: Sequence[messages.Link], providers: Sequence[InstanceRecord]) -> dict[Any, Any]:
    """Links as the engine wants its imports. Raises RequestError for an export that is not there."""
    imports: dict[Any, Any] = {}
    for link, record in zip(links, providers, strict=True):
        if not link.HasField("import_name"):
            imports[link.import_module] = record.instance
            continue
        name = link.export_name if link.HasField("export_name") else link.import_name
        try:
            imports[link.import_module, link.import_name] = record.instance.export(name)
        except ExportNotFoundError:
            raise record.no_export("extern", name) from None
    return imports
