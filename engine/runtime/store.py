"""Stores (section 4.2.3): where instances live, and the unit of tenancy and lifetime."""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ClosedError, ExhaustionError, NameTakenError, ReentrancyError
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.heap import Roots
from farcall.engine.runtime.host_function import DirectHostFunction, HostFunction
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.instantiation import Instantiation
from farcall.engine.runtime.limits import StoreLimits
from farcall.engine.runtime.linked_group import LinkedGroup, Member, acquire_group
from farcall.engine.runtime.linking import Imports
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.memory_budget import MemoryBudget
from farcall.engine.runtime.reachability import held, unneeded
from farcall.engine.runtime.references import References
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.defined_types import define_function
from farcall.engine.structure.types import (
    FunctionType,
    GlobalType,
    MemoryType,
    TableType,
    TagType,
    refers_to,
)

if TYPE_CHECKING:
    from farcall.engine.engine import Engine
    from farcall.engine.runtime.compiled_module import CompiledModule
    from farcall.engine.structure.module import Module


_OPEN_FOR_EACH_CLOSED = 64
"""How many open members a linked group has at most for each closed one before it is searched for what is unneeded.

The search visits all of them, so its cost is spread over as many closings.
"""


class _HostExtern(Member):
    """The owner of a memory, table or global that the embedder made."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.extern: Memory | Table | Global | Tag | None = None
        self.cell = ctypes.create_string_buffer(32)

    @property
    def title(self) -> str:
        return "the store"

    def held_references(self, top: str) -> set[int]:
        extern = self.extern
        if isinstance(extern, Table) and extern.declared_type.element.top == top:
            return set(extern.held_references())
        if isinstance(extern, Global) and refers_to(extern.type.value, top):
            return {ctypes.c_uint64.from_address(extern.cell).value}
        return set()

    def roots(self) -> Roots:
        extern = self.extern
        if isinstance(extern, Table):
            return extern.roots()
        return extern.roots() if isinstance(extern, Global) else []

    def release(self) -> None:
        if isinstance(self.extern, Memory | Table):
            self.extern.release()
        super().release()


class Store:
    """Instances that can be linked with each other, and what they share with the embedder.

    Attributes:
        engine: whose modules are instantiated.
        limits: what may be used.
        references: funcrefs and externrefs of its instances.
        memory_budget: what its memories take their bytes from.
    """

    def __init__(self, engine: Engine, *, limits: StoreLimits = StoreLimits()) -> None:  # noqa: B008 - frozen
        self.engine = engine
        self.limits = limits
        self.references = References(engine.types)
        self.memory_budget = MemoryBudget(limits.total_memory_bytes, engine.memory_budget)
        self._lock = threading.RLock()
        self._instances: dict[str, Instance] = {}  # guarded by _lock
        self._reserved: set[str] = set()  # guarded by _lock
        self._members: set[Member] = set()  # all that is not released; guarded by _lock
        self._numbers = itertools.count(1)
        self.closed = False  # guarded by _lock when written
        # Not the method itself: a store that is dropped is to be gone at once, not when the collector finds its circle.
        itself = weakref.ref(self)
        self.references.search = lambda count: (
            None if (store := itself()) is None else held(store.members, count)
        )
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
        with self._lock:
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
            Trap: a segment does not fit, or the start function or `_initialize` traps.
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

    def members(self) -> set[Member]:
        """All that has not been released: open, being made, or closed and needed."""
        with self._lock:
            return set(self._members)

    def adopt(self, member: Member) -> None:
        """Something new that is released with the store, if not before.

        Raises:
            ClosedError: the store is closed; what was to be adopted has been released.
        """
        with self._lock:
            if not self.closed:
                self._members.add(member)
                return
        Member.release(member)
        raise ClosedError("the store is closed")

    def add(self, instance: Instance) -> None:
        """A new instance is complete. Raises ClosedError if the store was closed meanwhile."""
        with self._lock:
            if self.closed:
                raise ClosedError("the store was closed during instantiation")
            self._instances[instance.name] = instance

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
        type_id = self.engine.types.keep(type)
        return HostFunction(implementation, label, self.references, type_id)

    def direct_host_function(
        self, type: FunctionType, implementation: Callable[..., int | None], name: str | None = None
    ) -> HostFunction:
        """A Python function for what guests call often: on integers, which it gets and returns as they are.

        Parameters:
            type: its parameters and results: integers, twelve parameters and one result at most.
            implementation: gets unsigned ints and returns an int, of which the bits of the result count, or None for 0.
                Whatever exception it raises ends the guest's call: a `WasmException` too, unlike with `host_function`.

        Raises:
            ValueError: the type has anything but integers, or too many.
        """
        label = name or getattr(implementation, "__name__", None)
        return DirectHostFunction(implementation, label, self.references, self.engine.types.keep(type))

    def memory(self, type: MemoryType) -> Memory:
        """A memory that instances can import; a shared one needs a maximum (ValueError). Raises ExhaustionError."""
        if type.shared and type.limits.maximum is None:
            raise ValueError("a shared memory must have a maximum")
        owner = self._own_extern()
        try:
            owner.extern = memory = Memory(owner, type, self.memory_budget, self.limits.memory_bytes)
        except BaseException:
            self.discard(owner)
            raise
        return memory

    def table(self, type: TableType) -> Table:
        """A table that instances can import. Raises ExhaustionError."""
        owner = self._own_extern()
        try:
            owner.extern = table = Table(
                owner, type, self.references, self.memory_budget, self.limits.table_elements
            )
        except BaseException:
            self.discard(owner)
            raise
        return table

    def global_(self, type: GlobalType, value: Any) -> Global:
        """A global that instances can import. Raises ArgumentError if the value is not of the type."""
        owner = self._own_extern()
        converter = ValueConverter((type.value,), self.references)
        cell = -(-ctypes.addressof(owner.cell) // 16) * 16
        owner.extern = global_ = Global(owner, type, cell, converter)
        try:
            global_.initialize(value)
        except BaseException:
            self.discard(owner)
            raise
        return global_

    def tag(self, type: TagType, name: str | None = None) -> Tag:
        """A tag that instances can import, so that guests and host functions throw and catch its exceptions.

        Parameters:
            name: for messages.
        """
        owner = self._own_extern()
        owner.extern = tag = Tag(owner, define_function(type.type), self.references, name)
        return tag

    def _own_extern(self) -> _HostExtern:
        owner = _HostExtern(self.references)
        self.adopt(owner)
        return owner

    # -- Closing ---------------------------------------------------------------------------------------------------

    def close_instance(self, instance: Instance) -> None:
        """Close one instance (`Instance.close`)."""
        member = instance.engine
        _refuse_in_host_function(member)
        with self._lock:
            member.closed = True  # new calls are refused from now on
            if self._instances.get(instance.name) is instance:
                del self._instances[instance.name]
        reason = f"instance {instance.name!r} is being closed"
        while not member.released:
            group = member.group
            with group.stopping(reason, member):
                if member.group is group:
                    self._release_unneeded(group, member)
                    return

    def discard(self, member: Member) -> None:
        """An instantiation failed: release what it made, unless tables of others hold its functions now."""
        member.closed = True
        group = acquire_group(member)
        try:
            # With guests of the group active in this thread, functions of this one may be in their frames: a later
            # closing in the group, or the store's, releases it.
            if not member.released and not (group.targets and group.shares_references):
                self._release_unneeded(group, member)
        finally:
            group.lock.release()

    def _release_unneeded(self, group: LinkedGroup, member: Member) -> None:
        """Release a closed member, if nothing needs it, and what only it needed. The group's lock is held."""
        if not group.shares_references:
            self._release_downwards(member)
            return
        closed = sum(member.closed for member in group.members)
        if closed * _OPEN_FOR_EACH_CLOSED >= len(group.members):
            for each in unneeded(group):
                self._release(each)

    def _release_downwards(self, member: Member) -> None:
        """Release a closed member that nothing needs, and the closed ones below that only it needed."""
        pending = [member]
        while pending:
            member = pending.pop()
            if member.closed and not member.released and not member.needed_by:
                pending.extend(member.needs)
                self._release(member)

    def _release(self, member: Member) -> None:
        member.release()
        with self._lock:
            self._members.discard(member)

    def check_closable(self) -> None:
        """Raise ReentrancyError if the calling thread is in a host function that one of the store's guests called."""
        for member in self.members():
            _refuse_in_host_function(member)

    def close(self) -> None:
        """Stop the guests that run, close all instances, give everything back. Closing twice is nothing.

        Raises:
            ReentrancyError: the calling thread is in a host function that one of the guests called; nothing changes.
        """
        self.check_closable()
        with self._lock:
            self.closed = True
            members = list(self._members)
            # All at once, before any is released: no call of one may find another gone.
            for member in members:
                member.closed = True
            self._instances.clear()
        for member in members:
            self._close_group(member)
        self.references.clear()
        self.engine.forget_store(self)

    def _close_group(self, member: Member) -> None:
        """Stop the guests of the member's group, and release all of it."""
        while not member.released:
            group = member.group
            with group.stopping("the store is being closed"):
                if member.group is group:
                    for each in list(group.members):
                        each.closed = True
                        self._release(each)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_in_host_function(member: Member) -> None:
    """Raise ReentrancyError if guests of the member's group are active in this thread."""
    lock = member.group.lock
    if lock.acquire(blocking=False):
        try:
            if member.group.targets:
                raise ReentrancyError(
                    "cannot close what is running: the guest that called this host function uses it"
                )
        finally:
            lock.release()
