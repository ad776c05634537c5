"""References between Python and compiled code, for one store.

A funcref is the address of a function record; an externref a handle that stands for a Python object.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from farcall.engine.abi import layout
from farcall.engine.errors import ClosedError, EngineBug, WasmException
from farcall.engine.runtime.exception_arena import python_exception
from farcall.engine.runtime.linked_group import joined
from farcall.engine.runtime.values import value_error
from farcall.engine.structure.types import EXNREF, ReferenceType, ValueType

if TYPE_CHECKING:
    from farcall.engine.runtime.function import Function, HostFunction
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.tag import Tag


_FIRST_SEARCH = 1024
"""Handles and stored host functions that a store may have before it is searched for those that it still needs."""


class FunctionSource(Protocol):
    """What the functions of one context come from: an instance's engine."""

    def new_function(self, index: int) -> Function:
        """The function of that index."""


class References:
    """A store's references.

    A host object gets a handle at its first use and keeps it as long as a table or global holds it; whenever the
    handles have become twice as many as were needed last, those that nothing holds are taken back.

    Attributes:
        search: finds what the store's instances hold, if none of them is in use: (handles, funcrefs); None if one is.
    """

    search: Callable[[], tuple[set[int], set[int]] | None] | None = None

    def __init__(self) -> None:
        # Reentrant: the garbage collector may run whatever it likes in the middle of what this guards.
        self._lock = threading.RLock()
        self._handles: dict[int, int] = {}  # id of the object -> handle; guarded by _lock
        self._objects: list[Any] = [None]  # by handle; guarded by _lock
        self._free: list[int] = []  # handles to be used again; guarded by _lock
        self._search_at = _FIRST_SEARCH  # how many are too many; guarded by _lock
        self._sources: dict[int, FunctionSource] = {}  # by context address; guarded by _lock
        # Host functions live as long as somebody can reach them. Importers refer to those that they import; of one
        # that was stored as a value nobody knows for how long.
        self._host_functions: weakref.WeakValueDictionary[int, HostFunction] = weakref.WeakValueDictionary()
        self._stored: set[HostFunction] = set()  # guarded by _lock

    def add_source(self, context: int, source: FunctionSource) -> None:
        """Functions whose records name `context` come from `source`."""
        with self._lock:
            self._sources[context] = source

    def remove_source(self, context: int) -> None:
        """The context is gone."""
        with self._lock:
            self._sources.pop(context, None)

    def add_host_function(self, function: HostFunction) -> None:
        """Records may name the context of this host function."""
        with self._lock:
            self._host_functions[function.context] = function

    def clear(self) -> None:
        """Forget everything: the store is closed."""
        with self._lock:
            self._handles.clear()
            self._objects = [None]
            self._free.clear()
            self._sources.clear()
            self._stored.clear()

    def source(self, context: int) -> FunctionSource:
        """What the functions of a context come from."""
        with self._lock:
            source = self._sources.get(context)
        if source is None:
            raise EngineBug("a function reference outlived its instance")
        return source

    def function(self, reference: int) -> Function | None:
        """The function that a funcref refers to, None for null."""
        if reference == 0:
            return None
        context = ctypes.c_uint64.from_address(reference + layout.FUNCTION_RECORD_CONTEXT).value
        index = ctypes.c_uint32.from_address(reference + layout.FUNCTION_RECORD_INDEX).value
        host_function = self._host_functions.get(context)
        return self.source(context).new_function(index) if host_function is None else host_function

    def to_python(self, type: ReferenceType, reference: int) -> Any:
        """The Python value of a reference."""
        if type.heap == "func":
            return self.function(reference)
        if type.heap == "exn":
            return python_exception(reference) if reference else None
        with self._lock:
            return self._objects[reference]

    def link(self, types: Sequence[ValueType], values: Sequence[Any], keeper: Member) -> None:
        """Link `keeper` with the instances whose functions are among the values, so that it can be given them.

        To be done before the keeper's turn is taken: it may wait for the turns of the others.

        Raises:
            ClosedError: one of them is closed.
            ReentrancyError: guests of both are active in this thread.
        """
        if len(self._handles) + len(self._stored) > self._search_at:
            self._take_back()
        for value_type, value in zip(types, values, strict=False):
            if isinstance(value, WasmException) and value_type is EXNREF:
                self._tag(value).converter.link(value.values, keeper)
            if not self._is_function(value_type, value) or value.owner is None:
                continue
            if value.owner is not keeper or keeper.closed:
                with joined((keeper, value.owner)) as group:
                    group.shares_references = True

    def _take_back(self) -> None:
        """Take back the handles, and let go of the host functions, that nothing holds.

        With the lock held, none can be handed out meanwhile.
        """
        with self._lock:
            found = self.search() if self.search is not None else None
            if found is not None:
                handles, functions = found
                for handle, value in enumerate(self._objects):
                    if value is not None and handle not in handles:
                        del self._handles[id(value)]
                        self._objects[handle] = None
                        self._free.append(handle)
                self._stored = {function for function in self._stored if function.reference in functions}
            # After a search in vain, which an instance in use is a reason for, the next one is not at once.
            self._search_at = max(_FIRST_SEARCH, 2 * (len(self._handles) + len(self._stored)))

    def from_python(
        self, type: ReferenceType, value: Any, keeper: Member, position: int | None = None
    ) -> int:
        """The reference for a Python value. The turn of `keeper` is held.

        Parameters:
            keeper: a member of the group in which it is stored; `link` has joined the value's instance to it.
            position: of the argument, for the error.

        Raises:
            ArgumentError: the value is no function of this store where a funcref is wanted.
            ClosedError: the function's instance has been closed.
        """
        if value is None:
            return 0
        if type.heap == "exn":
            self.check(type, value, position)
            return keeper.group.exception_arena().allocate(value, keeper)
        if type.heap != "func":
            return self._handle(value)
        if not self._is_function(type, value):
            raise value_error(position, type, value)
        if value.owner is None:
            with self._lock:
                self._stored.add(value)
        else:
            value.owner.check_open()
            if value.owner.group is not keeper.group:
                raise ClosedError(f"{value.owner.title} is not linked with {keeper.title}")
        reference: int = value.reference
        return reference

    def check(self, type: ReferenceType, value: Any, position: int | None) -> None:
        """Raise ArgumentError if the value is not of the type."""
        if value is None:
            return
        if type.heap == "func" and not self._is_function(type, value):
            raise value_error(position, type, value)
        if type.heap == "exn" and not (isinstance(value, WasmException) and self.has_tag(value)):
            raise value_error(position, type, value)

    def has_tag(self, error: WasmException) -> bool:
        """Whether the exception's tag is one of this store."""
        return getattr(error.tag, "references", None) is self

    @staticmethod
    def _tag(error: WasmException) -> Tag:
        tag: Tag = error.tag  # type: ignore[assignment]
        return tag

    def _is_function(self, type: ValueType, value: Any) -> bool:
        from farcall.engine.runtime.function import Function  # noqa: PLC0415 - functions convert values

        return (
            isinstance(type, ReferenceType)
            and type.heap == "func"
            and isinstance(value, Function)
            and value.references is self
        )

    def _handle(self, value: Any) -> int:
        with self._lock:
            handle = self._handles.get(id(value))
            if handle is None:
                if self._free:
                    handle = self._free.pop()
                    self._objects[handle] = value
                else:
                    handle = len(self._objects)
                    self._objects.append(value)
                self._handles[id(value)] = handle
            return handle
