"""The command that compiles ahead of time, without a server: compile."""

from __future__ import annotations

from pathlib import Path

import click

from farcall.client.command_line import output
from farcall.client.command_line.progress import CompilationProgress
from farcall.client.command_line.settings import Settings, pass_settings, shared_options

_SUFFIX = ".farcall"


@click.command(name="compile", short_help="Compile a file for servers, without one.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    "target_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help=f"Where to write; else beside FILE, with the suffix {_SUFFIX}.",
)
@click.option(
    "--cpu",
    default="native",
    show_default=True,
    metavar="NAME",
    help="The CPU that the code is for: native is this machine's, x86-64-v2 and others are what many have.",
)
@click.option("--features", default="", metavar="LIST", help="Changes to what that CPU has: +avx2,-bmi2")
@click.option(
    "--processes", type=click.IntRange(min=1), help="How many compile; else as many as there are cores."
)
@shared_options("json")
@pass_settings
def compile_(
    settings: Settings, file: Path, target_file: Path | None, cpu: str, features: str, processes: int | None
) -> None:
    """Compile the module in FILE to machine code, and write module and code to OUT.

    `farcall serve --artifact OUT` has the module from its start, and need not compile it. On a machine
    whose CPU lacks something that the code needs, the server says so, and compiles the module itself.
    """
    from farcall.client.command_line.local_engine import compile_file  # noqa: PLC0415 - the engine only where it is needed

    target_file = target_file or file.with_suffix(_SUFFIX)
    if target_file.exists() and target_file.samefile(file):
        raise click.UsageError(f"{file} would be overwritten; name another file by --output")
    with CompilationProgress(silent=settings.json) as bar:
        try:
            compiled = compile_file(file.read_bytes(), target_file, cpu, features, processes, bar)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    if settings.json:
        output.print_json({"file": str(target_file), **compiled})
    else:
        output.print_line(str(target_file))
