"""References between Python and compiled code, for one store.

A funcref is the address of a function record; an externref a handle that stands for a Python object.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any, Protocol

from farcall.engine.abi import layout
from farcall.engine.errors import EngineBug
from farcall.engine.runtime.linked_group import joined
from farcall.engine.runtime.values import value_error
from farcall.engine.structure.types import ReferenceType

if TYPE_CHECKING:
    from farcall.engine.runtime.function import Function
    from farcall.engine.runtime.linked_group import Member


class FunctionSource(Protocol):
    """What the functions of one context come from: an instance's engine, or the host functions."""

    def new_function(self, index: int) -> Function:
        """The function of that index."""


class References:
    """A store's references.

    Host objects get a handle at their first use, the same one as long as the store lives.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: dict[int, int] = {}  # id of the object -> handle; guarded by _lock
        self._objects: list[Any] = [None]  # by handle; guarded by _lock
        self._sources: dict[int, FunctionSource] = {}  # by context address; guarded by _lock

    def add_source(self, context: int, source: FunctionSource) -> None:
        """Functions whose records name `context` come from `source`."""
        with self._lock:
            self._sources[context] = source

    def remove_source(self, context: int) -> None:
        """The context is gone."""
        with self._lock:
            self._sources.pop(context, None)

    def clear(self) -> None:
        """Forget everything: the store is closed."""
        with self._lock:
            self._handles.clear()
            self._objects = [None]
            self._sources.clear()

    def function(self, reference: int) -> Function | None:
        """The function that a funcref refers to, None for null."""
        if reference == 0:
            return None
        context = ctypes.c_uint64.from_address(reference + layout.FUNCTION_RECORD_CONTEXT).value
        index = ctypes.c_uint32.from_address(reference + layout.FUNCTION_RECORD_INDEX).value
        with self._lock:
            source = self._sources.get(context)
        if source is None:
            raise EngineBug("a function reference outlived its instance")
        return source.new_function(index)

    def to_python(self, type: ReferenceType, reference: int) -> Any:
        """The Python value of a reference."""
        if type.heap == "func":
            return self.function(reference)
        with self._lock:
            return self._objects[reference]

    def from_python(
        self, type: ReferenceType, value: Any, keeper: Member | None, position: int | None = None
    ) -> int:
        """The reference for a Python value.

        Parameters:
            keeper: who may keep it: a function's instance joins its group and lives as long. Without one, as in
                a host function that is reached through a table, only host functions and null can be given.
            position: of the argument, for the error.

        Raises:
            ArgumentError: the value is no function of this store where a funcref is wanted.
        """
        if value is None:
            return 0
        if type.heap == "func":
            return self._function_reference(type, value, keeper, position)
        with self._lock:
            handle = self._handles.get(id(value))
            if handle is None:
                handle = self._handles[id(value)] = len(self._objects)
                self._objects.append(value)
            return handle

    def _function_reference(
        self, type: ReferenceType, value: Any, keeper: Member | None, position: int | None
    ) -> int:
        from farcall.engine.runtime.function import Function  # noqa: PLC0415 - functions convert values

        if not isinstance(value, Function) or value.references is not self:
            raise value_error(position, type, value)
        if value.owner is not None:
            if keeper is None or value.owner.closed:
                raise value_error(position, type, value)
            if value.owner.group is not keeper.group:
                with joined([keeper, value.owner]):
                    pass
            keeper.need(value.owner)
        return value.reference
