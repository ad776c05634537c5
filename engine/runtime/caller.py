"""What host functions see of the instance that they were made for, and how they are made when it is instantiated."""

from __future__ import annotations

import ctypes
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from farcall.engine.errors import ClosedError, EngineBug, ExportNotFoundError, RangeError
from farcall.engine.runtime.memory import LARGEST_64, Memory
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.waiter import Waiter
from farcall.engine.structure.types import ExternKind

if TYPE_CHECKING:
    from farcall.engine.runtime.function import Function
    from farcall.engine.runtime.linked_group import LinkedGroup
    from farcall.engine.runtime.linking import Extern
    from farcall.engine.runtime.module_engine import NativeModuleEngine
    from farcall.engine.runtime.store import Store
    from farcall.engine.structure.module import Import

MEMORY = "memory"
"""The export by which host functions find their caller's memory."""

_Whole = ctypes.c_char * LARGEST_64


class Caller:
    """The instance that host functions were made for, as they see it.

    It is there before the instance: until the instance's memories are, its functions cannot be called. It does not keep
    the instance alive.

    Attributes:
        waiter: where host functions that block sleep, so that a request to stop wakes them.
    """

    def __init__(self, store: Store) -> None:
        self._store = weakref.ref(store)
        self.waiter = Waiter(self._group)
        self._engine: Callable[[], NativeModuleEngine | None] = _none
        self._closing: list[Callable[[], None]] = []
        self._view = memoryview(b"")
        self._size = self._no_size = ctypes.c_uint64(0)

    def attach(self, engine: NativeModuleEngine) -> None:
        """The instance has memories now, and its functions may be called."""
        self._engine = weakref.ref(engine)
        engine.at_release.append(self._close)

    def _group(self) -> LinkedGroup:
        return self._instance().group

    def _instance(self) -> NativeModuleEngine:
        engine = self._engine()
        if engine is None:
            raise ClosedError("the instance that the host function was made for is gone")
        return engine

    @property
    def store(self) -> Store:
        """The instance's store. Raises ClosedError if nobody has it any more."""
        store = self._store()
        if store is None:
            raise ClosedError("the store of the instance that the host function was made for is gone")
        return store

    @property
    def name(self) -> str:
        """The instance's name."""
        return self._instance().name

    # -- What it exports ---------------------------------------------------------------------------------------------

    def _export(self, name: str, kind: ExternKind) -> int:
        engine = self._instance()
        if engine.released:
            raise ClosedError(f"{engine.title} is closed")
        for export in engine.module.exports:
            if export.name == name and export.kind is kind:
                return export.index
        raise ExportNotFoundError(
            f"{engine.title} exports no {kind.name.lower()} named {name!r}, which a host function that it calls needs"
        )

    def function(self, name: str) -> Function:
        """The function that the instance exports by that name. Raises ExportNotFoundError or ClosedError."""
        return self._instance().new_function(self._export(name, ExternKind.FUNCTION))

    def table(self, name: str) -> Table:
        """The table that the instance exports by that name. Raises ExportNotFoundError or ClosedError."""
        return self._instance().tables[self._export(name, ExternKind.TABLE)]

    @property
    def memory(self) -> Memory:
        """The memory that the instance exports as "memory". Raises ExportNotFoundError."""
        return self._instance().memories[self._export(MEMORY, ExternKind.MEMORY)]

    def view(self, offset: int, length: int) -> memoryview:
        """Bytes of the caller's memory, to be read and written in place.

        It must not be used after the host function has returned: what lies there then may be anybody's.

        Raises:
            RangeError: the range leaves the memory.
            ExportNotFoundError: the instance exports no memory named "memory".
        """
        whole = self.whole_memory()
        if offset < 0 or length < 0 or offset + length > len(whole):
            end = offset + length
            raise RangeError(f"bytes {offset} to {end} lie outside of a memory of {len(whole)} bytes")
        return whole[offset : offset + length]

    def whole_memory(self) -> memoryview:
        """The whole of the caller's memory, with its present size. To be used as `view` is."""
        size = self._size.value
        if len(self._view) != size or not size:
            self._view = self._look(size)
        return self._view

    def _look(self, size: int) -> memoryview:
        memory = self.memory
        if self._size is self._no_size:
            self._size = memory.size_cell
            size = self._size.value
        return memoryview(_Whole.from_address(memory.base)).cast("B")[:size]

    # -- Its end -----------------------------------------------------------------------------------------------------

    def at_close(self, close: Callable[[], None]) -> None:
        """Call `close` when the instance is released, or was never made."""
        self._closing.append(close)

    def _close(self) -> None:
        self._view, self._size = memoryview(b""), self._no_size
        self.waiter.close()
        closing, self._closing = self._closing, []
        for close in closing:
            close()

    def abandon(self) -> None:
        """The instance was not made."""
        self._close()


class ImportProvider(ABC):
    """What makes imports for one instance at a time, so that they know who calls them.

    It stands among the imports of `Store.instantiate` under the name of an import module, as an instance does.
    """

    @abstractmethod
    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """The extern for an import, or None where it has none of that name.

        Parameters:
            caller: stands for the instance that is being made.
        """


def _none() -> None:
    raise EngineBug("a host function was called before its caller's memories were there")
