"""Commands about modules: upload, modules, rm, inspect."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from farcall.client.command_line import output
from farcall.client.command_line.code_view import print_code
from farcall.client.command_line.progress import CompilationProgress, UploadProgress
from farcall.client.command_line.settings import REMOTE, Settings, pass_settings, shared_options
from farcall.client.types import CodeTier, FunctionCode, Module, Section

_DIGEST = re.compile(r"(modules/)?[0-9a-fA-F]{1,64}")
"""A module on the server, or the start of its name."""


def _source(file: str) -> bytes | Path:
    """`-` is standard input."""
    return sys.stdin.buffer.read() if file == "-" else Path(file)


_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command(short_help="Upload a module's file.")
@click.argument("file", type=_FILE)
@click.option("--wait", is_flag=True, help="Show how many functions are compiled, until all are.")
@shared_options(*REMOTE)
@pass_settings
def upload(settings: Settings, file: str, wait: bool) -> None:
    """Upload a module's FILE (`-`: standard input), and print its digest.

    The server compiles the module. Uploading one that it has already does no harm and costs it nothing.
    """
    with settings.client() as client:
        with UploadProgress() as progress:
            module = client.upload(_source(file), compile=not wait, progress=progress)
        if wait:
            with CompilationProgress(silent=settings.json) as bar:
                compiled = client.compile_module(
                    module, progress=lambda told: bar(told.functions_done, told.functions)
                )
    if not settings.json:
        output.print_line(module.digest)
    elif wait:
        output.print_json({**output.plain(module), "compilation": compiled})
    else:
        output.print_json(module)


@click.command()
@shared_options(*REMOTE)
@pass_settings
def modules(settings: Settings) -> None:
    """List the modules that the server keeps."""
    with settings.client() as client:
        entries = list(client.modules())
    if settings.json:
        kept = ("digest", "size", "create_time")
        output.print_json([{name: getattr(module, name) for name in kept} for module in entries])
        return
    output.print_table(
        ("MODULE", "SIZE", "UPLOADED"),
        [
            (output.digest_text(module.digest), module.size, output.time_text(module.create_time))
            for module in entries
        ],
        right=("SIZE",),
    )


@click.command(short_help="Delete modules.")
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@shared_options(*REMOTE)
@pass_settings
def rm(settings: Settings, modules: tuple[str, ...]) -> None:
    """Delete a MODULE, given as its digest or the unique start of it.

    Instances of it go on.
    """
    deleted = []
    with settings.client() as client:
        for prefix in modules:
            digest = client.module(prefix).digest
            client.delete_module(digest)
            deleted.append(digest)
    if settings.json:
        output.print_json({"deleted": deleted})


@click.command()
@click.argument("module", metavar="FILE|MODULE")
@click.option(
    "--code",
    "function",
    metavar="FUNCTION",
    help="Show a function's Wasm, LLVM IR and machine code: by its index, or a name of it.",
)
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in CodeTier]),
    default=CodeTier.OPTIMIZED.value,
    show_default=True,
    help="Whose code to show.",
)
@shared_options(*REMOTE)
@pass_settings
def inspect(settings: Settings, module: str, function: str | None, tier: str) -> None:
    """Show a module's sections, types, imports and exports, or the code of one function.

    A FILE (`-`: standard input) is read here, without a server, and what is wrong with its name section and
    branch hints, which are ignored then, is told in warnings. Otherwise it is a MODULE on the server, given as its
    digest or the unique start of it.
    """
    warnings: list[str] = []
    if module == "-" or Path(module).is_file():
        from farcall.client.command_line import local_engine  # noqa: PLC0415 - the engine only where it is needed

        given = _source(module)
        source = given if isinstance(given, bytes) else given.read_bytes()
        if function is not None:
            _show_code(settings, local_engine.inspect_function(source, function, CodeTier(tier)), tier)
            return
        content = local_engine.read_module_file(source)
        warnings = local_engine.module_file_warnings(source)
    elif not _DIGEST.fullmatch(module):
        raise click.BadParameter(
            f"there is no file {module!r}, and it is no digest, which has hexadecimal digits only",
            param_hint="'FILE|MODULE'",
        )
    else:
        with settings.client() as client:
            if function is not None:
                found = client.module(module)
                _show_code(settings, client.inspect_function(found, function, tier=CodeTier(tier)), tier)
                return
            content = client.module(module)
    if settings.json:
        output.print_json(content)
    else:
        _print_module(content)
    for warning in warnings:
        output.print_warning(warning)


def _show_code(settings: Settings, code: FunctionCode, wanted: str) -> None:
    if settings.json:
        output.print_json(code)
    else:
        print_code(code)
    if code.tier is not CodeTier(wanted):
        output.print_warning(
            f"function {code.index} is too complex to be optimized, or too large to be optimized only to be looked at: "
            f"this is its {code.tier.value} code"
        )


def _print_module(module: Module) -> None:
    name = f" {module.module_name!r}" if module.module_name else ""
    output.print_line(f"module{name} {module.digest}, {module.size} bytes")
    _print_part(
        "sections",
        ("ID", "NAME", "OFFSET", "SIZE"),
        [(entry.id, name, f"{entry.offset:#x}", entry.size) for entry, name in _named_sections(module)],
    )
    texts = module.type_texts or tuple(map(str, module.types))
    _print_part("types", ("INDEX", "TYPE"), list(enumerate(texts)))
    _print_part(
        "imports",
        ("MODULE", "NAME", "TYPE"),
        [(entry.module, entry.name, str(entry.type)) for entry in module.imports],
    )
    _print_part("exports", ("NAME", "TYPE"), [(entry.name, str(entry.type)) for entry in module.exports])
    _print_part(
        "custom sections", ("NAME", "SIZE"), [(entry.name, entry.size) for entry in module.custom_sections]
    )


def _named_sections(module: Module) -> Iterator[tuple[Section, str]]:
    """The sections, custom ones with their own names."""
    custom = iter(module.custom_sections)
    for section in module.sections:
        yield section, section.name if section.id else f"custom {next(custom).name!r}"


def _print_part(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """A table under its title; nothing where it has no rows."""
    if rows:
        output.print_line()
        output.print_line(f"{title} ({len(rows)})")
        output.print_table(columns, rows, right=("ID", "INDEX", "OFFSET", "SIZE"))
