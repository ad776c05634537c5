"""Instances: create with links, get, list, close."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from farcall.client import messages, types
from farcall.client.calls.call import PAGE_SIZE, Call, Page, read_nothing
from farcall.client.calls.programs import Mounts, wasi_configuration
from farcall.client.calls.resource_names import instance_resource, module_resource
from farcall.proto.farcall.v1 import instance_service_pb2


class InstanceLike(Protocol):
    """An instance of either client."""

    @property
    def resource(self) -> str:
        """`stores/{store}/instances/{instance}`."""


class ExternLike(Protocol):
    """A function, memory, table or global of an instance, of either client."""

    @property
    def instance_resource(self) -> str:
        """`stores/{store}/instances/{instance}`."""

    @property
    def name(self) -> str:
        """The export's."""


LinkKey = str | tuple[str, str]
LinkProvider = InstanceLike | ExternLike | str | tuple[InstanceLike | str, str]
Links = Mapping[Any, LinkProvider]
"""How imports are resolved. Keys, each a `LinkKey` (a mapping's keys are invariant for type checkers): the import's
module name, for every import from it, or that and the import's own name. Values: the instance (or its name) whose
exports of the same names are taken; with a key of two names also a pair of instance and export name, or an export
itself (`library.exports.memory`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wasi:
    """What an instance of a module that imports WASI is given.

    Attributes:
        arguments: by convention the program's name first.
        environment: the environment variables.
        stdin: all of its standard input.
        mounts: the directories that it finds, by their paths.
        max_output_bytes: what is kept of each output for `Instance.take_output`; None for the server's limit.
    """

    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    mounts: Mounts = field(default_factory=dict)
    max_output_bytes: int | None = None

    def message(self) -> instance_service_pb2.InstanceWasi:
        """The same as a message. Raises OSError where the file of an archive cannot be read."""
        configuration, archives = wasi_configuration(self.arguments, self.environment, self.mounts)
        for index, data in archives.items():
            configuration.mounts[index].archive.data = data
        return instance_service_pb2.InstanceWasi(
            configuration=configuration,
            standard_input=self.stdin,
            max_output_bytes=self.max_output_bytes,
        )


def take_output(instance: str) -> Call[types.InstanceOutput]:
    """What it has written since the last time."""
    return Call("TakeOutput", instance_service_pb2.TakeOutputRequest(name=instance), _read_output)


def _read_output(response: instance_service_pb2.TakeOutputResponse) -> types.InstanceOutput:
    return types.InstanceOutput(
        response.standard_output,
        response.standard_error,
        response.discarded_output_bytes,
        response.discarded_error_bytes,
    )


def create_instance(
    store: str, module: types.Module | str, name: str, links: Links, wasi: Wasi | None = None
) -> Call[types.InstanceInfo]:
    """An empty name lets the server make one up.

    Raises:
        TypeError: a link of a form that there is not.
    """
    request = instance_service_pb2.CreateInstanceRequest(
        parent=store,
        instance_id=name,
        instance=instance_service_pb2.Instance(
            module=module_resource(module),
            links=[_link(store, key, provider) for key, provider in links.items()],
        ),
        request_id=str(uuid.uuid4()),
    )
    if wasi is not None:
        request.instance.wasi.CopyFrom(wasi.message())
    return Call("CreateInstance", request, _read_instance, None)


def _link(store: str, key: object, provider: object) -> instance_service_pb2.Link:
    match key:
        case str():
            link = instance_service_pb2.Link(import_module=key)
        case (str() as import_module, str() as import_name):
            link = instance_service_pb2.Link(import_module=import_module, import_name=import_name)
        case _:
            raise TypeError(f"a link's key is a str or a pair of str, not {key!r}")
    if isinstance(provider, tuple) and len(provider) == 2:
        instance, export = provider
        link.export_name = export
    elif isinstance(getattr(provider, "instance_resource", None), str):
        instance, export = provider.instance_resource, provider.name  # type: ignore[attr-defined]
        link.export_name = export
    else:
        instance, export = provider, None
    if export is not None and isinstance(key, str):
        raise TypeError(f"one export cannot provide all imports from {key!r}: give a pair of names as key")
    if not isinstance(instance, str):
        instance = getattr(instance, "resource", None)
        if not isinstance(instance, str):
            raise TypeError(f"what is linked to {key!r} is neither an instance nor an export: {provider!r}")
    link.instance = instance_resource(store, instance)
    return link


def get_instance(instance: str) -> Call[types.InstanceInfo]:
    """What the server tells about it, exports included."""
    return Call("GetInstance", instance_service_pb2.GetInstanceRequest(name=instance), _read_instance)


def _read_instance(
    response: instance_service_pb2.CreateInstanceResponse | instance_service_pb2.GetInstanceResponse,
) -> types.InstanceInfo:
    return messages.read_instance(response.instance)


def list_instances(store: str, page_token: str) -> Call[Page[types.InstanceInfo]]:
    """One page."""
    request = instance_service_pb2.ListInstancesRequest(
        parent=store, page_size=PAGE_SIZE, page_token=page_token
    )
    return Call("ListInstances", request, _read_instances)


def _read_instances(response: instance_service_pb2.ListInstancesResponse) -> Page[types.InstanceInfo]:
    return Page([messages.read_instance(entry) for entry in response.instances], response.next_page_token)


def close_instance(instance: str) -> Call[None]:
    """What others import from it stays alive for them."""
    return Call("CloseInstance", instance_service_pb2.CloseInstanceRequest(name=instance), read_nothing)
