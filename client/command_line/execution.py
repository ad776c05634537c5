"""The command that needs no server: exec."""

from __future__ import annotations

from pathlib import Path

import click

from farcall.client.command_line import output
from farcall.client.command_line.guest_arguments import CommandWithNumbers, guest_arguments
from farcall.client.command_line.settings import Settings, pass_settings, shared_options

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _libraries(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, Path]:
    libraries = {}
    for text in texts:
        name, separator, file = text.partition("=")
        if not separator:
            raise click.BadParameter(f"{text!r} is not of the form IMPORT_MODULE=FILE")
        if not Path(file).is_file():
            raise click.BadParameter(f"there is no file {file!r}")
        libraries[name] = Path(file)
    return libraries


@click.command(name="exec", cls=CommandWithNumbers, short_help="Call a function of a file, without a server.")
@click.argument("file", type=_FILE)
@click.argument("function")
@guest_arguments
@click.option(
    "--link",
    "libraries",
    multiple=True,
    metavar="IMPORT_MODULE=FILE",
    callback=_libraries,
    help="Take imports from an instance of the module in FILE. May be given several times; a FILE has one instance, "
    "which imports from those before it.",
)
@shared_options("timeout", "json")
@pass_settings
def exec_(
    settings: Settings, file: Path, function: str, arguments: tuple[str, ...], libraries: dict[str, Path]
) -> None:
    """Instantiate the module in FILE, and call FUNCTION of it, in this process and without a server.

    Arguments and output are those of `farcall call`.
    """
    from farcall.client.command_line.local_engine import execute  # noqa: PLC0415 - the engine only where it is needed

    sources = {name: path.read_bytes() for name, path in libraries.items()}
    results, function_type = execute(file.read_bytes(), function, arguments, sources, settings.timeout)
    output.print_results(results, function_type.results, settings.json)
