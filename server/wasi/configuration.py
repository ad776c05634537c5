"""What a client wants a guest to find, checked."""

from __future__ import annotations

from dataclasses import dataclass

from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.errors import bad_request, limit_reached

MAX_TEXT_BYTES = 1 << 20
"""Arguments and environment together, as an operating system limits them."""

MAX_MOUNTS = 64


@dataclass(frozen=True, slots=True)
class GuestEnvironment:
    """Arguments and environment as the guest gets them.

    Attributes:
        arguments: without NUL.
        environment: names and values, each name once.
    """

    arguments: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]


def read_environment(message: messages.WasiConfiguration, field: str) -> GuestEnvironment:
    """Arguments and environment.

    Parameters:
        field: where the message stands in the request.

    Raises:
        RequestError: one has a NUL, a variable has no name, or they are too long.
    """
    for index, argument in enumerate(message.arguments):
        _check_text(argument, f"{field}.arguments[{index}]")
    variables: dict[str, str] = {}
    for index, variable in enumerate(message.environment):
        where = f"{field}.environment[{index}]"
        _check_text(variable.name, f"{where}.name")
        _check_text(variable.value, f"{where}.value")
        if not variable.name or "=" in variable.name:
            raise bad_request(f"{where}.name", f"must not be empty, nor have a '=', but is {variable.name!r}")
        variables.pop(variable.name, None)
        variables[variable.name] = variable.value
    arguments = tuple(argument.encode() for argument in message.arguments)
    environment = tuple((name.encode(), value.encode()) for name, value in variables.items())
    size = sum(len(text) + 1 for text in arguments)
    size += sum(len(name) + len(value) + 2 for name, value in environment)
    if size > MAX_TEXT_BYTES:
        raise limit_reached(
            field, f"arguments and environment take {size} bytes, at most {MAX_TEXT_BYTES} are possible"
        )
    return GuestEnvironment(arguments, environment)


def check_mounts(message: messages.WasiConfiguration, field: str) -> None:
    """Raise RequestError unless each mount has a path of its own, and a source."""
    if len(message.mounts) > MAX_MOUNTS:
        raise limit_reached(field, f"{len(message.mounts)} mounts, at most {MAX_MOUNTS} are possible")
    seen: set[str] = set()
    for index, mount in enumerate(message.mounts):
        where = f"{field}.mounts[{index}]"
        _check_text(mount.guest_path, f"{where}.guest_path")
        if not mount.guest_path:
            raise bad_request(f"{where}.guest_path", "must not be empty")
        if mount.guest_path in seen:
            raise bad_request(f"{where}.guest_path", f"{mount.guest_path!r} is there a second time")
        seen.add(mount.guest_path)
        if mount.WhichOneof("source") is None:
            raise bad_request(
                f"{where}.source", "must be set: `temporary_directory`, `archive` or `host_directory`"
            )


def _check_text(text: str, field: str) -> None:
    if "\0" in text:
        raise bad_request(field, "must not have a NUL")
