"""References between Python and compiled code, for one store.

A funcref is the address of a function record. A reference of the other hierarchies is an object, an i31, or a handle
that stands for a Python object (`abi.objects` says how they are told apart); guests convert it from `extern` to `any`
and back. In Python, objects are `ObjectReference`s and i31 are `I31`s; where only an i31 is possible, an int will do.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from farcall.engine.abi import layout
from farcall.engine.abi import objects as abi
from farcall.engine.errors import ClosedError, EngineBug, WasmException
from farcall.engine.runtime.exception_arena import python_exception
from farcall.engine.runtime.heap import heap_of
from farcall.engine.runtime.linked_group import joined
from farcall.engine.runtime.object_references import I31, ArrayReference, ObjectReference, StructReference
from farcall.engine.runtime.values import value_error
from farcall.engine.structure.matching import heap_matches
from farcall.engine.structure.types import ReferenceType, ValueType, refers_to

if TYPE_CHECKING:
    from farcall.engine.runtime.function import Function
    from farcall.engine.runtime.host_function import HostFunction
    from farcall.engine.runtime.linked_group import Member
    from farcall.engine.runtime.tag import Tag
    from farcall.engine.runtime.type_registry import TypeRegistry
    from farcall.engine.structure.defined_types import DefinedType


def _of_type(found: DefinedType, wanted: ReferenceType) -> bool:
    """Whether what is of type `found`, and of none below it, is of the type `wanted`."""
    return found is wanted.heap if wanted.exact else heap_matches(found, wanted.heap)


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
        search: given how many handles there are, finds what the store's instances hold, if none of them is in use:
            (handles, funcrefs); None if one is.
        types: the engine's.
    """

    search: Callable[[int], tuple[set[int], set[int]] | None] | None = None

    def __init__(self, types: TypeRegistry) -> None:
        self.types = types
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
        """The Python value of a reference. The turn in the group that it came from is held."""
        if type.top == "func":
            return self.function(reference)
        if reference == 0:
            return None
        if type.top == "exn":
            return python_exception(reference)
        if reference & abi.I31_TAG:
            value = reference >> abi.I31_SHIFT
            return I31(value - (value >> 30 << 31))
        if reference & abi.TAG_MASK == abi.HOST_TAG:
            with self._lock:
                return self._objects[reference >> abi.HOST_SHIFT]
        number = ctypes.c_int32.from_address(
            ctypes.c_uint64.from_address(reference).value + abi.DESCRIPTOR_ID
        ).value
        defined = self.types.type_of(number)
        kind = StructReference if defined.kind == "struct" else ArrayReference
        return kind(heap_of(reference), reference, defined)

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
            if isinstance(value, WasmException) and refers_to(value_type, "exn"):
                self._tag(value).converter.link(value.values, keeper)
                continue
            if isinstance(value, ObjectReference):
                self._link_object(value, keeper)
                continue
            if not self._is_function(value_type, value) or value.owner is None:
                continue
            if value.owner is not keeper or keeper.closed:
                with joined((keeper, value.owner)) as group:
                    group.shares_references = True

    def _link_object(self, value: ObjectReference, keeper: Member) -> None:
        """Link `keeper` with the instances that the object belongs to."""
        if value.heap.closed or value.heap is keeper.group.heap:
            return
        member = value.heap.member()
        if member is not None and member.references is self:
            with joined((keeper, member)):
                pass

    def _take_back(self) -> None:
        """Take back the handles, and let go of the host functions, that nothing holds.

        With the lock held, none can be handed out meanwhile.
        """
        with self._lock:
            found = self.search(len(self._objects)) if self.search is not None else None
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
            self.check(type, value, position)
            return 0
        self.check(type, value, position)
        if type.top == "exn":
            return keeper.group.exception_arena().allocate(value, keeper)
        if type.top != "func":
            return self._data_reference(value, keeper, type)
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
        if not self._belongs(type, value):
            raise value_error(position, type, value)

    def has_tag(self, error: WasmException) -> bool:
        """Whether the exception's tag is one of this store."""
        return getattr(error.tag, "references", None) is self

    @staticmethod
    def _tag(error: WasmException) -> Tag:
        tag: Tag = error.tag  # type: ignore[assignment]
        return tag

    def _belongs(self, type: ReferenceType, value: Any) -> bool:  # noqa: PLR0911 - a case each
        if value is None:
            return type.nullable
        if type.top == "func":
            return self._is_function(type, value) and _of_type(value.definition, type)
        if type.top == "exn":
            return type.heap == "exn" and isinstance(value, WasmException) and self.has_tag(value)
        if type.top == "extern":
            return type.heap == "extern"
        if isinstance(value, ObjectReference):
            return _of_type(value.type, type)
        if isinstance(value, I31):
            return heap_matches("i31", type.heap)
        if type.heap == "i31":
            return isinstance(value, int) and -(1 << 30) <= value < 1 << 30
        return type.heap == "any"  # whatever is the embedder's

    def _data_reference(self, value: Any, keeper: Member, type: ReferenceType) -> int:
        """The reference for what is no function."""
        if isinstance(value, ObjectReference):
            if value.heap.closed:
                raise ClosedError("the object's instance is closed")
            if value.heap is not keeper.group.heap:
                raise ClosedError(f"the object is not of an instance that is linked with {keeper.title}")
            return value.address
        if isinstance(value, I31) or type.heap == "i31":
            return (int(value) << abi.I31_SHIFT | abi.I31_TAG) & 0xFFFFFFFF
        return self._handle(value) << abi.HOST_SHIFT | abi.HOST_TAG

    def _is_function(self, type: ValueType, value: Any) -> bool:
        from farcall.engine.runtime.function import Function  # noqa: PLC0415 - functions convert values

        return (
            isinstance(type, ReferenceType)
            and type.top == "func"
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
