"""Options that every command understands, before or after the command's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farcall.client.address import DEFAULT_ADDRESS

if TYPE_CHECKING:
    from farcall.client import Client, Store

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

NUMBER_MARK = "\0"
"""Stands before arguments like `-1`, so that click takes them for no options; no argument of a process holds it."""


@dataclass
class Settings:
    """What the shared options say.

    Attributes:
        server: the server's address.
        store: name of the store that instances are looked for in.
        json: whether output and errors are JSON.
        timeout: for each request, in seconds; None for the client's defaults.
        tls: whether the connection is encrypted.
        tls_authorities: PEM file of trusted authorities; None for gRPC's own.
    """

    server: str = DEFAULT_ADDRESS
    store: str = "default"
    json: bool = False
    timeout: float | None = None
    tls: bool = False
    tls_authorities: Path | None = None

    def client(self) -> Client:
        """A client as the options say."""
        from farcall.client import Client, Tls  # noqa: PLC0415 - gRPC only where a server is asked

        encrypted = self.tls or self.tls_authorities is not None
        tls = Tls(root_certificates=self.tls_authorities) if encrypted else None
        return Client(self.server, timeout=self.timeout, tls=tls)

    def store_of(self, client: Client) -> Store:
        """The store that `--store` names."""
        return client.store(self.store)


def seconds(text: str) -> float:
    """Reads a time in seconds, more than 0; anything else is a wrong usage."""
    text = text.removeprefix(NUMBER_MARK)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise click.BadParameter(f"{text!r} is not a number of seconds above 0")
    return number


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keeps what is given in the settings; the option after the command's name goes before the one ahead of it."""
    settings = context.ensure_object(Settings)
    if value is not None and parameter.name is not None:
        setattr(settings, parameter.name, value)


def _option(
    name: str, *, environment: str | None = None, **attributes: Any
) -> Callable[[CommandT], CommandT]:
    return click.option(
        name, envvar=environment, expose_value=False, callback=_keep, default=None, **attributes
    )


def shared_options(*names: str, environment: bool = False) -> Callable[[CommandT], CommandT]:
    """The shared options of those names, for a command, or with their environment variables for all commands."""

    def add(command: CommandT) -> CommandT:
        for name in reversed(names):
            declaration, attributes = _OPTIONS[name]
            variable = f"FARCALL_{name.upper()}" if environment else None
            command = _option(declaration, environment=variable, **attributes)(command)
        return command

    return add


_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "server": (
        "--server",
        {"metavar": "ADDRESS", "help": f"The server's address, host:port.  [default: {DEFAULT_ADDRESS}]"},
    ),
    "store": ("--store", {"metavar": "STORE", "help": "The store of the instances.  [default: default]"}),
    "timeout": (
        "--timeout",
        {
            "type": seconds,
            "metavar": "SECONDS",
            "help": "Give up, and stop a running guest, after this time.",
        },
    ),
    "tls": ("--tls", {"is_flag": True, "help": "Encrypt the connection."}),
    "tls_authorities": (
        "--tls-authorities",
        {
            "type": click.Path(exists=True, dir_okay=False, path_type=Path),
            "metavar": "FILE",
            "help": "Encrypt, trusting the authorities in this PEM file.",
        },
    ),
    "json": ("--json", {"is_flag": True, "help": "Print JSON, errors on standard error included."}),
}

ALL = tuple(_OPTIONS)
REMOTE = tuple(name for name in _OPTIONS if name != "store")
"""What commands understand that talk to a server, but not about instances."""


pass_settings = click.make_pass_decorator(Settings, ensure=True)
