"""The open stores and their instances."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farcall.engine import Engine, ExportNotFoundError, Function, Instance, Store, StoreLimits
from farcall.proto.farcall.v1 import instance_service_pb2, value_pb2
from farcall.server.configuration import WASM_PAGE, ServerConfiguration
from farcall.server.errors import already_exists, export_not_found, limit_reached, not_found
from farcall.server.execution.call_queue import CallQueue
from farcall.server.function_binding import FunctionBinding
from farcall.server.resource_names import (
    check_instance_id,
    check_store_id,
    instance_name,
    parse_instance_name,
    store_name,
)

if TYPE_CHECKING:
    from farcall.server.wasi.instance_wasi import InstanceWasi

DEFAULT_STORE = "default"

_MAX_EXTERNREFS = 100_000
"""Different external references that a store remembers: the engine keeps each as long as the store lives."""


class InstanceRecord:
    """An open instance.

    Attributes:
        name: its resource name.
        store: where it is.
        module_name: resource name of its module.
        links: how its imports were resolved.
        create_time: Unix time.
        instance: the engine's.
        pending: an entry for each job that waits for it or runs in it.
        wasi: what it was given of WASI, if it was asked for.
    """

    def __init__(
        self,
        store: StoreRecord,
        instance: Instance,
        module_name: str,
        links: Sequence[instance_service_pb2.Link],
        queue: CallQueue,
        pending: deque[None],
    ) -> None:
        self.name = instance_name(store.store_id, instance.name)
        self.store = store
        self.instance = instance
        self.module_name = module_name
        self.links = links
        self.create_time = time.time()
        self.pending = pending
        self.wasi: InstanceWasi | None = None
        self._queue = queue
        self._functions: dict[str, FunctionBinding] = {}

    @property
    def queue(self) -> CallQueue:
        """Where its jobs wait, with those of the instances that it is linked to."""
        queue = self._queue = self._queue.current
        return queue

    def function(self, name: str) -> FunctionBinding:
        """The exported function of that name. Raises RequestError if there is none."""
        binding = self._functions.get(name)
        if binding is None:
            try:
                function = self.instance.function(name)
            except ExportNotFoundError:
                raise self.no_export("function", name) from None
            binding = self._functions[name] = FunctionBinding(function, self.store)
        return binding

    def no_export(self, kind: str, name: str) -> Exception:
        """The error for an export that is not there, or of another kind."""
        export = self.instance.export_table.get(name)
        return export_not_found(self.name, kind, name, None if export is None else export.kind.name.lower())


class StoreRecord:
    """An open store; it is the reference table of its instances' values.

    Attributes:
        store_id: last part of its name.
        store: the engine's.
        limits: what may be in it.
        create_time: Unix time.
        instances: the open instances, by id.
        making: the instances that are being made, by id, each with an entry for each job of it.
        when_closed: called when the store has been closed.
    """

    def __init__(self, store_id: str, store: Store, limits: StoreLimits) -> None:
        self.store_id = store_id
        self.store = store
        self.limits = limits
        self.create_time = time.time()
        self.instances: dict[str, InstanceRecord] = {}
        self.making: dict[str, deque[None]] = {}
        self.when_closed: set[Callable[[], None]] = set()
        self._numbers = itertools.count(1)
        self._external: dict[int, int] = {}
        self._by_engine: dict[int, InstanceRecord] = {}

    @property
    def name(self) -> str:
        """Its resource name."""
        return store_name(self.store_id)

    def reserve_instance_id(self, wanted: str) -> str:
        """Reserve an id, made up where `wanted` is empty; `release_instance_id` frees it.

        Raises:
            RequestError: it is taken, or malformed.
        """
        if not wanted:
            made_up = map("instance-{}".format, self._numbers)
            wanted = next(name for name in made_up if not self._taken(name))
        else:
            check_instance_id(wanted)
            if self._taken(wanted):
                raise already_exists("instance", instance_name(self.store_id, wanted))
        self.making[wanted] = deque()
        return wanted

    def _taken(self, instance_id: str) -> bool:
        return instance_id in self.instances or instance_id in self.making

    def release_instance_id(self, instance_id: str) -> None:
        """The instance has been made, or not."""
        del self.making[instance_id]

    def add(self, record: InstanceRecord) -> None:
        """A new instance is complete."""
        self.instances[record.instance.name] = record
        self._by_engine[id(record.instance.engine)] = record

    def remove(self, record: InstanceRecord) -> None:
        """Forget an instance."""
        del self.instances[record.instance.name]
        del self._by_engine[id(record.instance.engine)]

    # -- References ------------------------------------------------------------------------------------------------

    def function(self, reference: value_pb2.FunctionReference) -> Function | None:
        """The function that a message names. Raises LookupError with what is wrong."""
        if not reference.instance and not reference.function:
            return None
        store, _, instance_id = reference.instance.partition("/instances/")
        record = self.instances.get(instance_id) if store == self.name else None
        if record is None:
            raise LookupError(f"{self.name!r} has no instance {reference.instance!r}")
        try:
            return record.instance.function(reference.function)
        except ExportNotFoundError:
            raise LookupError(f"{record.name!r} exports no function {reference.function!r}") from None

    def function_reference(self, function: Function) -> value_pb2.FunctionReference:
        """The message for a function."""
        message = value_pb2.FunctionReference(function=function.name or "", function_index=function.index)
        record = self._by_engine.get(id(function.owner))
        if record is not None:
            message.instance = record.name
        return message

    def external(self, handle: int) -> int:
        """The object for a caller's number, always the same one."""
        known = self._external.get(handle)
        if known is None:
            if len(self._external) >= _MAX_EXTERNREFS:
                raise limit_reached(
                    self.name, f"{self.name!r} has seen {_MAX_EXTERNREFS} different external references"
                )
            # Workers ask, too, for what clients' functions return: the first one's object stays.
            known = self._external.setdefault(handle, handle)
        return known


@dataclass(frozen=True, slots=True)
class Quota:
    """What a caller wants the limits of a store to be; None is the server's own."""

    max_instances: int | None = None
    max_memory_pages: int | None = None
    max_table_elements: int | None = None


class StoreRegistry:
    """All open stores. Used by the event loop's thread only."""

    def __init__(self, engine: Engine, configuration: ServerConfiguration) -> None:
        self._engine = engine
        self._configuration = configuration
        self._stores: dict[str, StoreRecord] = {}
        self._instances: dict[str, InstanceRecord] = {}
        self._numbers = itertools.count(1)
        self.instances_created = 0
        self.create(DEFAULT_STORE, Quota())

    # -- Stores ----------------------------------------------------------------------------------------------------

    def create(self, store_id: str, quota: Quota) -> StoreRecord:
        """Open a store, with an id that is made up where none is given.

        Raises:
            RequestError: the id is taken or malformed, or there are too many stores.
        """
        if not store_id:
            store_id = next(
                name for name in map("store-{}".format, self._numbers) if name not in self._stores
            )
        check_store_id(store_id)
        if store_id in self._stores:
            raise already_exists("store", store_name(store_id))
        limit = self._configuration.max_stores
        if len(self._stores) >= limit:
            raise limit_reached("server", f"the server has its limit of {limit} stores open; close some")
        limits = self.limits(quota)
        record = self._stores[store_id] = StoreRecord(store_id, Store(self._engine, limits=limits), limits)
        return record

    def limits(self, quota: Quota) -> StoreLimits:
        """What a store with that quota may use."""
        configuration = self._configuration
        return StoreLimits(
            instances=_lesser(quota.max_instances, configuration.max_instances_per_store),
            memory_bytes=configuration.max_memory_pages * WASM_PAGE,
            total_memory_bytes=_lesser(quota.max_memory_pages, configuration.total_memory_pages) * WASM_PAGE,
            table_elements=_lesser(quota.max_table_elements, configuration.max_table_elements),
        )

    def store(self, store_id: str) -> StoreRecord:
        """The open store with that id. Raises RequestError if there is none."""
        record = self._stores.get(store_id)
        if record is None:
            raise not_found("store", store_name(store_id))
        return record

    @property
    def stores(self) -> list[StoreRecord]:
        """All open stores, ordered by name."""
        return [self._stores[store_id] for store_id in sorted(self._stores)]

    def remove_store(self, record: StoreRecord) -> list[deque[None]]:
        """Forget a store and its instances; closing it is the caller's.

        Returns:
            The job counters of its instances, those that are being made included.
        """
        del self._stores[record.store_id]
        instances = list(record.instances.values())
        for instance in instances:
            self.remove_instance(instance)
        return [*(instance.pending for instance in instances), *record.making.values()]

    # -- Instances -------------------------------------------------------------------------------------------------

    def instance(self, name: str, field: str) -> InstanceRecord:
        """The open instance with that resource name.

        Parameters:
            field: which field of the request says so.

        Raises:
            RequestError: the name is malformed, or there is none.
        """
        record = self._instances.get(name)
        if record is None:
            parse_instance_name(name, field)
            raise not_found("instance", name)
        return record

    def add_instance(self, record: InstanceRecord) -> None:
        """A new instance is complete. Raises RequestError if its store was closed meanwhile."""
        if self._stores.get(record.store.store_id) is not record.store:
            raise not_found("store", record.store.name)
        record.store.add(record)
        self._instances[record.name] = record
        self.instances_created += 1

    def remove_instance(self, record: InstanceRecord) -> None:
        """Forget an instance: no request finds it any more."""
        del self._instances[record.name]
        record.store.remove(record)

    @property
    def store_count(self) -> int:
        """Open stores."""
        return len(self._stores)

    @property
    def instance_count(self) -> int:
        """Open instances of all stores."""
        return len(self._instances)

    def __iter__(self) -> Iterator[InstanceRecord]:
        return iter(self._instances.values())


def _lesser(wanted: int | None, most: int) -> int:
    return most if wanted is None else min(wanted, most)
