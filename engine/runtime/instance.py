"""Instances, as embedders hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from farcall.engine.errors import ClosedError, ExportNotFoundError
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.linking import Extern
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.module_engine import NativeModuleEngine
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.structure.types import ExternKind

if TYPE_CHECKING:
    from farcall.engine.runtime.store import Store
    from farcall.engine.structure.module import Export, Module


class Exports(Mapping[str, Extern]):
    """What an instance exports, by name: as items, and as attributes where the name is an identifier.

    A mapping's own methods go first: an export that is named `get`, `items`, `keys` or `values` is reached as an item.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance: Instance | None = instance  # None once it is released
        self._name = instance.name
        self._table = instance.export_table
        self._externs: dict[str, Extern] = {}

    def __getitem__(self, name: str) -> Extern:
        instance = self._instance
        if instance is None:
            raise ClosedError(f"instance {self._name!r} is closed")
        extern = self._externs.get(name)
        if extern is None or instance.engine.closed:
            extern = self._externs[name] = instance.export(name)
        return extern

    def let_go(self) -> None:
        """The instance is released: what it exported is not kept any more."""
        self._instance = None
        self._externs.clear()

    def __getattr__(self, name: str) -> Any:  # so that type checkers let it be called, which it usually is
        # Python asks for many dunder names by itself; an export of such a name is reached as an item.
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except ExportNotFoundError as error:
            raise AttributeError(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


class Instance:
    """An instance of a module in a store.

    Attributes:
        name: unique in the store.
        module: what it is an instance of.
        engine: its functions, memories, tables and globals by index.
        exports: what it exports, by name.
    """

    engine: NativeModuleEngine

    def __init__(self, store: Store, name: str, module: Module) -> None:
        self.store = store
        self.name = name
        self.module = module
        self.export_table: dict[str, Export] = {export.name: export for export in self.module.exports}
        self.exports = Exports(self)

    def __repr__(self) -> str:
        return f"<farcall instance {self.name!r}{' (closed)' if self.closed else ''}>"

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.engine.closed

    def export(self, name: str) -> Extern:
        """The export of that name.

        Raises:
            ExportNotFoundError: there is none.
            ClosedError: the instance is closed.
        """
        if self.closed:
            raise ClosedError(f"instance {self.name!r} is closed")
        export = self.export_table.get(name)
        if export is None:
            raise ExportNotFoundError(f"instance {self.name!r} exports no {name!r}")
        try:
            return self._extern(export)
        except LookupError:  # another thread has closed it this moment
            raise ClosedError(f"instance {self.name!r} is closed") from None

    def _extern(self, export: Export) -> Extern:
        match export.kind:
            case ExternKind.FUNCTION:
                return self.engine.new_function(export.index)
            case ExternKind.MEMORY:
                return self.engine.memories[export.index]
            case ExternKind.TABLE:
                return self.engine.tables[export.index]
            case ExternKind.GLOBAL:
                return self.engine.globals[export.index]
            case ExternKind.TAG:
                return self.engine.tags[export.index]

    def function(self, name: str) -> Function:
        """The exported function of that name. Raises ExportNotFoundError or ClosedError."""
        extern = self.exports[name]
        if not isinstance(extern, Function):
            raise self._other_kind(name, "function")
        return extern

    def memory(self, name: str) -> Memory:
        """The exported memory of that name. Raises ExportNotFoundError or ClosedError."""
        extern = self.exports[name]
        if not isinstance(extern, Memory):
            raise self._other_kind(name, "memory")
        return extern

    def table(self, name: str) -> Table:
        """The exported table of that name. Raises ExportNotFoundError or ClosedError."""
        extern = self.exports[name]
        if not isinstance(extern, Table):
            raise self._other_kind(name, "table")
        return extern

    def global_(self, name: str) -> Global:
        """The exported global of that name. Raises ExportNotFoundError or ClosedError."""
        extern = self.exports[name]
        if not isinstance(extern, Global):
            raise self._other_kind(name, "global")
        return extern

    def tag(self, name: str) -> Tag:
        """The exported tag of that name. Raises ExportNotFoundError or ClosedError."""
        extern = self.exports[name]
        if not isinstance(extern, Tag):
            raise self._other_kind(name, "tag")
        return extern

    def _other_kind(self, name: str, wanted: str) -> ExportNotFoundError:
        found = self.export_table[name].kind.name.lower()
        return ExportNotFoundError(f"instance {self.name!r} exports {name!r} as a {found}, not as a {wanted}")

    def close(self) -> None:
        """Close it: calls that run are stopped, later ones raise ClosedError.

        What other instances import from it lives on for them. Closing twice is nothing.
        """
        self.store.close_instance(self)

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
