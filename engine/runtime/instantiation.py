"""Instantiation (section 4.5.4): imports, allocation, segments, start function; and the initialisation of reactors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farcall.engine.errors import TerminatedError
from farcall.engine.runtime.caller import Caller
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.linked_group import Member, joined
from farcall.engine.runtime.linking import Extern, Imports, resolve
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.module_engine import NativeModuleEngine
from farcall.engine.runtime.stoppable import Stoppable
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.structure.types import ExternKind, FunctionType

if TYPE_CHECKING:
    from farcall.engine.runtime.compiled_module import CompiledModule
    from farcall.engine.runtime.store import Store


class Instantiation(Stoppable):
    """One instantiation, which another thread can stop by `terminate`."""

    def __init__(self, store: Store, compiled: CompiledModule, imports: Imports, name: str | None) -> None:
        super().__init__()
        self._store = store
        self._compiled = compiled
        self._imports = imports
        self._name = name

    def run(self) -> Instance:
        """Instantiate.

        Raises:
            LinkError: an import is missing or of another type.
            Trap: a segment does not fit, or the start function or `_initialize` traps.
            TerminatedError: stopped meanwhile.
            ExhaustionError: a limit is reached.
            NameTakenError: the store has an open instance of that name.
            ClosedError: the store, or an imported instance, is closed.
        """
        store = self._store
        self._check_stop()
        with store.reserve_name(self._name) as name:
            caller = Caller(store)
            try:
                externs = resolve(self._compiled.module, self._imports, store.references, caller)
                instance = Instance(store, name, self._compiled.module)
                engine = store.engine.new_module_engine(self._compiled, instance)
                caller.attach(engine)
                engine.at_release.append(instance.exports.let_go)
            except BaseException:
                caller.abandon()
                raise
            try:
                self._link_and_run(instance, externs)
                store.add(instance)
            except BaseException:
                store.discard(engine)
                raise
        return instance

    def _check_stop(self) -> None:
        if self.reason is not None:
            raise TerminatedError(self.reason)

    def _link_and_run(self, instance: Instance, externs: list[Extern]) -> None:
        engine = instance.engine
        with joined([engine, *_sharers(externs)], self):
            for extern in externs:
                if extern.owner is not None:
                    extern.owner.check_open()  # it was when the import was resolved, but that was outside of the lock
                _wire(engine, extern)
            engine.make_memories_and_tables()
            engine.make_globals()
            engine.make_tags()
            engine.initialize_tables(self._check_stop)
            engine.initialize_memories()
            self._check_stop()
            start = engine.module.start
            if start is not None:
                engine.new_function(start).call((), self)
            engine.done_instantiation()
            initialize = _initialize(instance)
            if initialize is not None:
                engine.new_function(initialize).call((), self)


def _initialize(instance: Instance) -> int | None:
    """The function by which a reactor is initialised, as the application ABI of WASI preview 1 has it.

    A module that has a `_start` as well is a command, and not initialised.
    """
    export = instance.export_table.get("_initialize")
    if export is None or export.kind is not ExternKind.FUNCTION or "_start" in instance.export_table:
        return None
    return export.index if instance.module.function_type(export.index) == FunctionType((), ()) else None


def _sharers(externs: list[Extern]) -> list[Member]:
    """Whose linked groups the new instance joins: all owners but those of copied globals and shared memories."""
    return [
        extern.owner
        for extern in externs
        if extern.owner is not None and (not isinstance(extern, Global | Memory) or extern.links)
    ]


def _wire(engine: NativeModuleEngine, extern: Extern) -> None:
    match extern:
        case Function():
            engine.import_function(extern)
        case Memory():
            engine.import_memory(extern)
        case Table():
            engine.import_table(extern)
        case Global():
            engine.import_global(extern)
        case Tag():
            engine.import_tag(extern)
