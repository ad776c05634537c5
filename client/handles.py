"""What the handles of both clients have in common: what they name, without any waiting."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

from farcall.client.calls.invocations import FunctionCalls
from farcall.client.calls.resource_names import store_resource
from farcall.client.errors import ExportNotFoundError
from farcall.client.types import (
    ExternType,
    FunctionReference,
    FunctionType,
    GlobalType,
    InstanceInfo,
    MemoryType,
    TableType,
    TagType,
)

ExternT = TypeVar("ExternT")

_KINDS: dict[type[ExternType], str] = {
    FunctionType: "function",
    MemoryType: "memory",
    TableType: "table",
    GlobalType: "global",
    TagType: "tag",
}


class StoreHandle:
    """Names a store.

    Attributes:
        resource: its resource name, `stores/{store}`.
    """

    def __init__(self, name: str) -> None:
        self.resource = store_resource(name)

    @property
    def name(self) -> str:
        """Its own name."""
        return self.resource.removeprefix("stores/")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.resource}>"


class InstanceHandle:
    """Names an instance, and knows what the server told about it.

    Attributes:
        information: what the server told when the handle was made.
        resource: its resource name, `stores/{store}/instances/{instance}`.
    """

    def __init__(self, information: InstanceInfo) -> None:
        self.information = information
        self.resource = f"stores/{information.store}/instances/{information.name}"

    @property
    def name(self) -> str:
        """Its own name in its store."""
        return self.information.name

    @property
    def module(self) -> str:
        """The digest of its module."""
        return self.information.module

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.resource} of module {self.module[:12]}>"


class ExternHandle:
    """Names something that an instance exports.

    Attributes:
        instance_resource: the instance's resource name.
        name: the export's.
    """

    type: ExternType

    def __init__(self, instance_resource: str, name: str) -> None:
        self.instance_resource = instance_resource
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self.instance_resource}: {self.type}>"


class FunctionHandle(ExternHandle):
    """Names a function.

    Attributes:
        type: its type.
        calls: builds the requests that call it.
    """

    def __init__(self, instance_resource: str, name: str, type_: FunctionType) -> None:
        super().__init__(instance_resource, name)
        self.type: FunctionType = type_
        self.calls = FunctionCalls(instance_resource, name, type_)

    @property
    def reference(self) -> FunctionReference:
        """What stands for it where a funcref is wanted."""
        return FunctionReference(self.instance_resource, self.name)


def function_of(function: FunctionHandle | str, exports: Exports[Any] | None) -> FunctionHandle:
    """A function given as itself or as the name of one of the exports."""
    if isinstance(function, FunctionHandle):
        return function
    if exports is None:
        raise TypeError("a stream of a client takes functions; names say too little without an instance")
    return cast(FunctionHandle, exports.of_kind(function, FunctionType))


class Exports(Mapping[str, ExternT], Generic[ExternT]):
    """What an instance exports, by attribute, or by item where Python or this class has the name."""

    def __init__(
        self, instance: str, types: Mapping[str, ExternType], make: Callable[[str, ExternType], ExternT]
    ) -> None:
        self._instance = instance
        self._types = types
        self._make = make
        self._externs: dict[str, ExternT] = {}

    def __getitem__(self, name: str) -> ExternT:
        extern = self._externs.get(name)
        if extern is None:
            type_ = self._types.get(name)
            if type_ is None:
                raise self._unknown(name)
            extern = self._externs[name] = self._make(name, type_)
        return extern

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own protocols ask for these
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._types]

    def __repr__(self) -> str:
        return f"<exports of {self._instance}: {', '.join(self._types)}>"

    def of_kind(self, name: str, kind: type[ExternType]) -> ExternT:
        """The export of that name, which must be of that kind; else ExportNotFoundError."""
        extern, found = self[name], self._types[name]
        if not isinstance(found, kind):
            kinds = f"is a {_KINDS[type(found)]}, not a {_KINDS[kind]}"
            raise ExportNotFoundError(
                f"export {name!r} of instance {self._instance} {kinds}",
                resource=f"{self._instance}/{name}",
            )
        return extern

    def _unknown(self, name: str) -> ExportNotFoundError:
        similar = difflib.get_close_matches(name, self._types, n=1)
        hint = f"; did you mean {similar[0]!r}?" if similar else ""
        return ExportNotFoundError(
            f"instance {self._instance} exports nothing named {name!r}{hint}",
            resource=f"{self._instance}/{name}",
        )
