"""Host modules: Python functions that guests import by module and name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.linking import Extern
from farcall.engine.structure.module import Import
from farcall.engine.structure.types import ExternKind, FunctionType

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class HostFunctionDefinition:
    """A function of a host module.

    Attributes:
        name: what it is imported as.
        type: its parameters and results.
        implementation: gets the arguments as Python values.
        pass_caller: whether it gets the `Caller` before them.
    """

    name: str
    type: FunctionType
    implementation: Callable[..., Any]
    pass_caller: bool = False


class HostModule(ImportProvider):
    """Python functions under the name of an import module.

    Stands among the imports of any number of instantiations, in any store. Each instance gets functions of its own,
    which know who calls them.

    >>> environment = HostModule("env")
    >>> @environment.function(FunctionType((I32, I32), ()), pass_caller=True)
    ... def log(caller, pointer, length):
    ...     print(caller.memory.read(pointer, length).decode())
    >>> with Engine() as engine, Store(engine) as store:
    ...     store.instantiate(engine.load_module(source), environment.imports)
    """

    def __init__(self, name: str) -> None:
        """Make one without functions.

        Parameters:
            name: of the import module.
        """
        self.name = name
        self._functions: dict[str, HostFunctionDefinition] = {}

    def __repr__(self) -> str:
        return f"<farcall host module {self.name!r}: {', '.join(self._functions)}>"

    @property
    def functions(self) -> Mapping[str, HostFunctionDefinition]:
        """Its functions, by name."""
        return self._functions

    @property
    def imports(self) -> dict[str, HostModule]:
        """What `Store.instantiate` takes, with this module alone."""
        return {self.name: self}

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def define(
        self, name: str, type: FunctionType, implementation: Callable[..., Any], *, pass_caller: bool = False
    ) -> None:
        """Add a function.

        Parameters:
            name: what it is imported as.
            type: its parameters and results.
            implementation: gets the arguments as Python values, and returns None, a value, or a sequence of several. An
                exception that it raises ends the guest's call, and reaches the caller as it is.
            pass_caller: whether it gets the `Caller` before the arguments.

        Raises:
            ValueError: the module has a function of that name.
            TypeError: it cannot be called, or the type is no function type.
        """
        if not isinstance(type, FunctionType):
            raise TypeError(f'the type of "{self.name}" "{name}" should be a FunctionType, not {type!r}')
        if not callable(implementation):
            raise TypeError(f'what implements "{self.name}" "{name}" cannot be called: {implementation!r}')
        if name in self._functions:
            raise ValueError(f'the host module "{self.name}" has a function "{name}" already')
        self._functions[name] = HostFunctionDefinition(name, type, implementation, pass_caller)

    def function(
        self, type: FunctionType, name: str | None = None, *, pass_caller: bool = False
    ) -> Callable[[F], F]:
        """Decorate a Python function that is to be one of the module's.

        Parameters:
            name: what it is imported as; the function's own name where none is given.
            type: as for `define`, as is `pass_caller`.
        """

        def define(implementation: F) -> F:
            self.define(name or implementation.__name__, type, implementation, pass_caller=pass_caller)
            return implementation

        return define

    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """The function for an import; None where the module has none of that name, or no function is wanted."""
        if entry.kind is not ExternKind.FUNCTION:
            return None
        found = self._functions.get(entry.name)
        if found is None:
            return None
        implementation = found.implementation
        if found.pass_caller:
            implementation = partial(implementation, caller)
        return caller.store.host_function(found.type, implementation, entry.name)
