"""What a client wants a guest to find, checked."""

from __future__ import annotations

from dataclasses import dataclass

from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.errors import bad_request, limit_reached

MAX_TEXT_BYTES = 1 << 20
"""Arguments and environment together, as an operating system limits them."""


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


def _check_text(text: str, field: str) -> None:
    if "\0" in text:
        raise bad_request(field, "must not have a NUL")
