"""What an engine is, whatever it is made of: the two central types and what listens to calls.

An engine can be a compiler or an interpreter; nothing here knows of machine code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from farcall.engine.structure.module import Module


class FunctionListener(Protocol):
    """Is told of every guest function call of the instances it was given for.

    A call that ends by a tail call is told of as begun only, except to a `TailCallListener`.

    An exception from a listener ends the guest's call, as one from a host function does.
    """

    def before(self, function: FunctionDefinition, arguments: tuple[Any, ...]) -> None:
        """A guest function is about to run with these arguments."""

    def after(self, function: FunctionDefinition, results: tuple[Any, ...]) -> None:
        """It returned these results."""

    def abort(self, function: FunctionDefinition, error: BaseException) -> None:
        """It did not return: it, or what it called, trapped, was stopped, or raised."""


@runtime_checkable
class TailCallListener(FunctionListener, Protocol):
    """A listener that is told of tail calls too."""

    def tail_call(self, function: FunctionDefinition) -> None:
        """Another function takes its place: it will neither return nor be aborted, and it has no results.

        The call of the other, which returns to this one's caller, is told of next.
        """


class FunctionDefinition(Protocol):
    """What listeners are told of a function: its module, index and name."""

    @property
    def module(self) -> Module:
        """The module that defines it."""

    @property
    def index(self) -> int:
        """Its index in the module's function index space."""

    @property
    def name(self) -> str | None:
        """Its name, if the module has one for it."""


class AbstractCompiledModule(ABC):
    """A module with code, and the listeners that it was compiled for."""

    module: Module
    listeners: tuple[FunctionListener, ...]


class ModuleEngine(ABC):
    """The compiled functions of a module, bound to one instance."""

    @abstractmethod
    def done_instantiation(self) -> None:
        """Called at the end of instantiation, when all imports are resolved and segments copied."""

    @abstractmethod
    def new_function(self, index: int) -> Any:
        """A callable for function `index` (imports included)."""

    @abstractmethod
    def resolve_imported_function(
        self, index: int, index_in_imported_module: int, imported_module_engine: ModuleEngine
    ) -> None:
        """Wire imported function `index` to the exporting instance's function; no Python lies on the way of a call."""

    @abstractmethod
    def resolve_imported_memory(
        self, imported_module_engine: ModuleEngine, index: int = 0, index_in_imported_module: int = 0
    ) -> None:
        """Share the exporter's memory as memory `index`: each side sees the other's growth."""

    @abstractmethod
    def lookup_function(self, table: int, type_id: int, table_offset: int) -> tuple[ModuleEngine, int]:
        """The (instance's engine, index) that a `call_indirect` of that type would reach.

        Raises:
            Trap: the trap that it would raise.
        """

    @abstractmethod
    def function_instance_reference(self, func_index: int) -> int:
        """The reference that element segments and `ref.func` store for a function."""


class AbstractEngine(ABC):
    """Compiles modules, keeps their code for all who want it, and binds it to instances."""

    @abstractmethod
    def close(self) -> None:
        """Release every compiled module and its memory; later calls fail with ClosedError."""

    @abstractmethod
    def compile_module(
        self, module: Module, listeners: Sequence[FunctionListener] = (), ensure_termination: bool = False
    ) -> AbstractCompiledModule:
        """Compile a decoded and validated module; the same one twice, also at the same time, costs one compile."""

    @abstractmethod
    def compiled_module_count(self) -> int:
        """How many modules the cache holds in memory."""

    @abstractmethod
    def delete_compiled_module(self, module: Module) -> None:
        """Free the cache's hold on a module; its code goes when its last user does."""

    @abstractmethod
    def new_module_engine(self, module: Module | AbstractCompiledModule, instance: Any) -> ModuleEngine:
        """The compiled functions of `module` bound to `instance`."""
