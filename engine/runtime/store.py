"""Stores (section 4.2.3): where instances live, and the unit of tenancy and lifetime."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ClosedError, ExhaustionError, NameTakenError, ReentrancyError
from farcall.engine.runtime.function import HostFunction
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.instantiation import Instantiation
from farcall.engine.runtime.limits import StoreLimits
from farcall.engine.runtime.linked_group import LinkedGroup, Member, acquire_group
from farcall.engine.runtime.linking import Imports
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.references import References
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.types import FunctionType, GlobalType, MemoryType, TableType

if TYPE_CHECKING:
    from farcall.engine.engine import Engine
    from farcall.engine.runtime.compiled_module import CompiledModule
    from farcall.engine.structure.module import Module


class _HostExtern(Member):
    """The owner of a memory, table or global that the embedder made."""

    def __init__(self, store_title: str) -> None:
        super().__init__()
        self._store_title = store_title
        self.extern: Memory | Table | None = None
        self.cell = ctypes.create_string_buffer(32)

    @property
    def title(self) -> str:
        return self._store_title

    def release(self) -> None:
        if self.extern is not None:
            self.extern.release()
        super().release()


class Store:
    """Instances that can be linked with each other, and what they share with the embedder.

    Attributes:
        engine: whose modules are instantiated.
        limits: what may be used.
        references: funcrefs and externrefs of its instances.
    """

    def __init__(self, engine: Engine, *, limits: StoreLimits = StoreLimits()) -> None:  # noqa: B008 - frozen
        self.engine = engine
        self.limits = limits
        self.references = References()
        self._lock = threading.RLock()
        self._instances: dict[str, Instance] = {}  # guarded by _lock
        self._reserved: set[str] = set()  # guarded by _lock
        self._unreleased: set[Member] = set()  # guarded by _lock
        self._numbers = itertools.count(1)
        self.closed = False  # guarded by _lock when written
        engine.add_store(self)

    @property
    def instances(self) -> Mapping[str, Instance]:
        """The open instances, by name, in the order of their making."""
        with self._lock:
            return MappingProxyType(dict(self._instances))

    @property
    def instance_count(self) -> int:
        """How many instances are open."""
        return len(self._instances)

    def instance(self, name: str) -> Instance:
        """The open instance of that name. Raises KeyError."""
        return self._instances[name]

    # -- Making instances ------------------------------------------------------------------------------------------

    def instantiate(
        self,
        module: Module | CompiledModule,
        imports: Imports = MappingProxyType({}),
        *,
        name: str | None = None,
        timeout: float | None = None,
    ) -> Instance:
        """Instantiate a module; one that was not compiled yet is compiled without listeners.

        Parameters:
            imports: by module name an instance or a mapping from names to externs; by (module name, name) an extern,
                which goes before the other two.
            name: unique in the store; made up where none is given.
            timeout: seconds after which it is stopped.

        Raises:
            LinkError: an import is missing or of another type.
            Trap: a segment does not fit, or the start function traps.
            TerminatedError: stopped by the timeout or by closing the store.
            ExhaustionError: a limit is reached.
            NameTakenError: the store has an open instance of that name.
            ClosedError: the store, the engine or an imported instance is closed.
        """
        instantiation = self.instantiation(module, imports, name=name)
        if timeout is None:
            return instantiation.run()
        timer = threading.Timer(timeout, instantiation.terminate, ("the time for instantiation is over",))
        timer.daemon = True
        timer.start()
        try:
            return instantiation.run()
        finally:
            timer.cancel()

    def instantiation(
        self,
        module: Module | CompiledModule,
        imports: Imports = MappingProxyType({}),
        *,
        name: str | None = None,
    ) -> Instantiation:
        """An instantiation that another thread can stop; `run` makes the instance. Parameters as `instantiate`."""
        return Instantiation(self, self.engine.compiled(module), imports, name)

    @contextmanager
    def reserve_name(self, name: str | None) -> Iterator[str]:
        """Hold a name, made up where None is given, while an instance is made.

        Raises:
            NameTakenError: an open instance has it.
            ExhaustionError: the store has as many instances as it may.
            ClosedError: the store is closed.
        """
        with self._lock:
            if self.closed:
                raise ClosedError("the store is closed")
            limit = self.limits.instances
            if limit is not None and len(self._instances) + len(self._reserved) >= limit:
                raise ExhaustionError(f"the store has its limit of {limit} instances; close some first")
            if name is None:
                name = next(
                    made for made in map("instance-{}".format, self._numbers) if not self._taken(made)
                )
            elif self._taken(name):
                raise NameTakenError(f"the store has an instance named {name!r} already")
            self._reserved.add(name)
        try:
            yield name
        finally:
            with self._lock:
                self._reserved.discard(name)

    def _taken(self, name: str) -> bool:
        return name in self._instances or name in self._reserved

    def add(self, instance: Instance) -> None:
        """A new instance is complete."""
        with self._lock:
            if not self.closed:
                self._instances[instance.name] = instance
                return
        self.discard(instance.engine)
        raise ClosedError("the store was closed during instantiation")

    # -- Externs of the embedder --------------------------------------------------------------------------------------

    def host_function(
        self, type: FunctionType, implementation: Callable[..., Any], name: str | None = None
    ) -> HostFunction:
        """A Python function as one that guests can import.

        Parameters:
            type: its parameters and results.
            implementation: gets the arguments as Python values; returns None, a value, or a sequence of several. An
                exception that it raises ends the guest's call, and reaches the caller as it is.
        """
        label = name or getattr(implementation, "__name__", None)
        return HostFunction(type, implementation, label, self.references, self.engine.types.id_of(type))

    def memory(self, type: MemoryType) -> Memory:
        """A memory that instances can import. Raises ExhaustionError."""
        owner = self._own_extern()
        owner.extern = Memory(owner, type, self.limits.memory_bytes)
        return owner.extern

    def table(self, type: TableType) -> Table:
        """A table that instances can import. Raises ExhaustionError."""
        owner = self._own_extern()
        owner.extern = Table(owner, type, self.references, self.limits.table_elements)
        return owner.extern

    def global_(self, type: GlobalType, value: Any) -> Global:
        """A global that instances can import. Raises ArgumentError if the value is not of the type."""
        owner = self._own_extern()
        converter = ValueConverter((type.value,), self.references)
        cell = -(-ctypes.addressof(owner.cell) // 16) * 16
        content = converter.pack((value,), owner)
        ctypes.memmove(cell, content, len(content))
        return Global(owner, type, cell, converter)

    def _own_extern(self) -> _HostExtern:
        with self._lock:
            if self.closed:
                raise ClosedError("the store is closed")
            owner = _HostExtern("the store")
            self._unreleased.add(owner)
            return owner

    # -- Closing ---------------------------------------------------------------------------------------------------

    def close_instance(self, instance: Instance) -> None:
        """Close one instance (`Instance.close`)."""
        with self._lock:
            if self._instances.get(instance.name) is instance:
                del self._instances[instance.name]
            elif instance.closed:
                return
        member = instance.engine
        member.group.stop_calls_into(member, f"instance {instance.name!r} is being closed")
        group = acquire_group(member)
        try:
            _refuse_in_host_function(group)
            self._retire(member)
        finally:
            group.lock.release()

    def discard(self, member: Member) -> None:
        """An instantiation failed: release what it made, unless tables of others hold its functions now."""
        group = acquire_group(member)
        try:
            if group.depth:
                # Guests of the group are active in this thread: the store's end releases it.
                member.closed = True
                with self._lock:
                    self._unreleased.add(member)
            else:
                self._retire(member)
        finally:
            group.lock.release()

    def _retire(self, member: Member) -> None:
        """Close a member, and release what nobody needs any more. The group's lock is held."""
        member.closed = True
        with self._lock:
            self._unreleased.add(member)
        self._release_unneeded(member)

    def _release_unneeded(self, member: Member) -> None:
        """Release a closed member and the closed ones that only it needed; the lock of their group is held."""
        if member.needed_by:
            self._release_circles(member.group)
            return
        below = [other for other in member.needs if other.closed]
        self._release(member)
        for other in below:
            if not other.released:
                self._release_unneeded(other)

    def _release_circles(self, group: LinkedGroup) -> None:
        """Release the group's closed members that no open one needs, directly or through others."""
        needed: set[Member] = set()
        pending = [member for member in group.members if not member.closed]
        while pending:
            member = pending.pop()
            if member not in needed:
                needed.add(member)
                pending.extend(member.needs)
        for member in group.members - needed:
            self._release(member)

    def _release(self, member: Member) -> None:
        member.release()
        with self._lock:
            self._unreleased.discard(member)

    def close(self) -> None:
        """Stop the guests that run, close all instances, give everything back. Closing twice is nothing.

        Raises:
            ReentrancyError: the calling thread is in a host function that one of the guests called.
        """
        with self._lock:
            self.closed = True
            members: set[Member] = {
                instance.engine for instance in self._instances.values()
            } | self._unreleased
        for member in members:
            _close_with_guests(member)
        with self._lock:
            self._instances.clear()
            self._unreleased.clear()
        self.references.clear()
        self.engine.forget_store(self)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_in_host_function(group: LinkedGroup) -> None:
    if group.depth:
        raise ReentrancyError(
            "cannot close what is running: the guest that called this host function uses it"
        )


def _close_with_guests(member: Member) -> None:
    """Stop the guests of the member's group, and release it."""
    while not member.released:
        group = member.group
        with group.closing("the store is being closed"):
            if member.group is not group:
                continue
            _refuse_in_host_function(group)
            member.closed = True
            if not member.released:
                member.release()
