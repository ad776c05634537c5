"""The command that runs programs: run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farcall.client.command_line.exit_status import ABORTED, INTERRUPTED
from farcall.client.command_line.settings import REMOTE, Settings, pass_settings, shared_options
from farcall.client.errors import Trap, WasmException

if TYPE_CHECKING:
    from farcall.client.calls.programs import MountSource

_SIZE = re.compile(r"([0-9]+)([KMG]i?B?)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class ProgramCommand(click.Command):
    """A command whose first argument is a program. The command's own options stand before it or right after it.

    From `--`, or the first argument behind the program that is none of the command's options, all is the program's,
    whatever it looks like.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the command's options first."""
        options, rest = self._leading_options(ctx, args)
        if rest and rest[0] != "--" and rest[0].startswith("-") and len(rest[0]) > 1:
            return super().parse_args(ctx, args)  # an option that the command does not have: click says so
        if rest[:1] == ["--"]:
            return super().parse_args(ctx, [*options, *rest])
        if rest:
            further, arguments = self._leading_options(ctx, rest[1:])
            options, rest = [*options, *further], [rest[0], *arguments[arguments[:1] == ["--"] :]]
        return super().parse_args(ctx, [*options, "--", *rest])

    def _leading_options(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        """The command's options at the beginning, with their values, and the rest."""
        options = {
            name: option
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in (*option.opts, *option.secondary_opts)
        }
        count = 0
        while count < len(args):
            name, has_value, _ = args[count].partition("=")
            option = options.get(name)
            if option is None:
                break
            count += 1 if has_value or option.is_flag else 2
        return args[:count], args[count:]


def _environment(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not name:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
        if not separator:
            if name not in os.environ:
                raise click.BadParameter(f"{name!r} has no value, here either; NAME=VALUE gives it one")
            value = os.environ[name]
        variables[name] = value
    return variables


class SharedDirectory:
    """A directory of this machine that the program is to see.

    Attributes:
        path: where it is.
        guest_path: where the program finds it.
        read_only: whether the program can change nothing in it.
    """

    def __init__(self, text: str) -> None:
        """Reads `HOST::GUEST[:ro]`, or `HOST[:ro]` where both are the same. Raises click.BadParameter."""
        self.read_only = text.endswith(":ro")
        path, separator, guest_path = text.removesuffix(":ro").partition("::")
        self.path = Path(path)
        self.guest_path = guest_path if separator else path
        if not path or not self.guest_path:
            raise click.BadParameter(f"{text!r} is not of the form HOST::GUEST or HOST::GUEST:ro")
        if not self.path.is_dir():
            raise click.BadParameter(f"there is no directory {path!r}")


def _directories(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[SharedDirectory]:
    return [SharedDirectory(text) for text in texts]


def _mounts(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, MountSource]:
    mounts: dict[str, MountSource] = {}
    for text in texts:
        from farcall.client.calls.programs import HostDirectory  # noqa: PLC0415 - gRPC only where a server is asked

        name, separator, path = text.removesuffix(":ro").partition("::")
        if not separator or not name or not path:
            raise click.BadParameter(f"{text!r} is not of the form NAME::GUEST or NAME::GUEST:ro")
        mounts[path] = HostDirectory(name, read_only=text.endswith(":ro"))
    return mounts


def _temporary(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, MountSource]:
    mounts: dict[str, MountSource] = {}
    for text in texts:
        from farcall.client.calls.programs import TemporaryDirectory  # noqa: PLC0415 - gRPC only where a server is asked

        path, separator, size = text.partition("=")
        match = _SIZE.fullmatch(size)
        if not path or (separator and match is None):
            raise click.BadParameter(
                f"{text!r} is not of the form GUEST or GUEST=SIZE, for instance /tmp=64M"
            )
        mounts[path] = TemporaryDirectory(None if match is None else _bytes(match))
    return mounts


def _bytes(match: re.Match[str]) -> int:
    return int(match[1]) * _UNITS[(match[2] or "")[:1].upper()]


def _archives(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, MountSource]:
    mounts: dict[str, MountSource] = {}
    for text in texts:
        from farcall.client.calls.programs import ArchiveMount  # noqa: PLC0415 - gRPC only where a server is asked

        file, separator, path = text.partition("::")
        if not separator or not path:
            raise click.BadParameter(f"{text!r} is not of the form FILE::GUEST")
        if not Path(file).is_file():
            raise click.BadParameter(f"there is no file {file!r}")
        mounts[path] = ArchiveMount(file)
    return mounts


@click.command(cls=ProgramCommand, short_help="Run a program, with its input and output.")
@click.argument("program", metavar="FILE|MODULE")
@click.argument("arguments", nargs=-1, metavar="[--] [ARG]...", type=click.UNPROCESSED)
@click.option(
    "--env",
    "environment",
    multiple=True,
    metavar="NAME[=VALUE]",
    callback=_environment,
    help="A variable of the program's environment; without a value, that of this process. May be repeated.",
)
@click.option(
    "--dir",
    "directories",
    multiple=True,
    metavar="HOST::GUEST[:ro]",
    callback=_directories,
    help="A directory of this machine, as GUEST. A server gets a copy, so that needs `:ro`. May be repeated.",
)
@click.option(
    "--mount",
    "mounts",
    multiple=True,
    metavar="NAME::GUEST[:ro]",
    callback=_mounts,
    help="A directory of the server's machine that its operator calls NAME (`serve --allow-dir`). May be repeated.",
)
@click.option(
    "--tmp",
    "temporary",
    multiple=True,
    metavar="GUEST[=SIZE]",
    callback=_temporary,
    help="An empty directory in memory, of at most SIZE bytes (or 64K, 10M, 1G). May be repeated.",
)
@click.option(
    "--archive",
    "archives",
    multiple=True,
    metavar="FILE::GUEST",
    callback=_archives,
    help="The contents of a tar or zip archive, read-only. May be repeated.",
)
@click.option(
    "--host-module",
    "host_modules",
    multiple=True,
    metavar="NAME=PACKAGE.MODULE:ATTRIBUTE",
    help="With --local: let the program import from NAME what this Python object, a farcall.engine.HostModule, "
    "provides. May be repeated.",
)
@click.option(
    "--local", is_flag=True, help="Run the program in this process, without a server; then it is a FILE."
)
@shared_options(*REMOTE)
@pass_settings
def run(
    settings: Settings,
    /,
    program: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    directories: list[SharedDirectory],
    mounts: dict[str, MountSource],
    temporary: dict[str, MountSource],
    archives: dict[str, MountSource],
    host_modules: tuple[str, ...],
    local: bool,
) -> int:
    """Run a program, a module that is compiled for WASI, on the server.

    It is a FILE, which is uploaded if the server does not have it, or a MODULE there, given as its digest or the
    unique start of it. Its standard input, output and error are those of this command, and so is its exit status; an
    interrupt stops it. What stands behind its name, and behind the options of this command, are its arguments. Where it
    traps, the exit status is 134.
    """
    paths = [
        *(directory.guest_path for directory in directories),
        *mounts,
        *temporary,
        *archives,
    ]
    repeated = next((path for path in paths if paths.count(path) > 1), None)
    if repeated is not None:
        raise click.UsageError(f"two directories are to be found at {repeated!r}")
    if local and (mounts or temporary or archives):
        raise click.UsageError("--mount, --tmp and --archive are of a server; --local has --dir")
    if host_modules and not local:
        raise click.UsageError("--host-module needs --local; a server has its own (`serve --host-module`)")
    try:
        if local:
            return _run_locally(settings, program, arguments, environment, directories, host_modules)
        from farcall.client.command_line.remote_program import run_on_server  # noqa: PLC0415 - not for --help

        return run_on_server(
            settings, program, arguments, environment, directories, {**mounts, **temporary, **archives}
        )
    except (Trap, WasmException) as error:
        from farcall.client.command_line import output  # noqa: PLC0415 - nobody should wait for it in vain

        output.print_error(error, settings.json)
        return ABORTED
    except KeyboardInterrupt:
        return INTERRUPTED  # here: click would add an empty line to what the program wrote


def _run_locally(
    settings: Settings,
    program: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    directories: list[SharedDirectory],
    host_modules: tuple[str, ...],
) -> int:
    if not Path(program).is_file():
        raise click.UsageError(f"there is no file {program!r}")
    from farcall.client.command_line.local_program import load_modules, run_here  # noqa: PLC0415 - the engine only where it is needed

    modules = load_modules(host_modules)
    return run_here(Path(program), arguments, environment, directories, modules, settings.timeout)
