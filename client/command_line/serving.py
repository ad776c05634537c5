"""The command that runs a server: serve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from farcall.client.command_line import output
from farcall.client.command_line.settings import Settings, pass_settings, seconds, shared_options

_LIMITS = {
    "max_message_bytes": "Largest message, in both directions.",
    "max_module_bytes": "Largest module.",
    "max_modules": "How many modules are kept.",
    "max_concurrent_uploads": "How many uploads may be in progress.",
    "max_stores": "How many stores may be open.",
    "max_instances_per_store": "How many instances may be open in a store.",
    "max_memory_pages": "Size of a memory, in pages of 64 KiB.",
    "max_total_memory_pages": "Size of all memories together; else three quarters of the machine's.",
    "max_table_elements": "Size of a table, in elements.",
    "max_pending_calls_per_instance": "How many calls may wait for an instance.",
    "max_concurrent_calls": "How many guests may run at the same time.",
    "max_programs": "How many programs may run at the same time.",
    "max_mounted_bytes": "Size of the files in memory and archives of one program or instance.",
    "max_output_bytes": "How much output of an instance is kept, of each of its two streams.",
    "compile_processes": "How many compile jobs may run at the same time; else as many as there are cores.",
    "compile_queue": "How many compile jobs may wait; a module of a megabyte makes some ten.",
    "compile_seconds": "Processor time of a compile job, in seconds; else as its size makes reasonable.",
    "compile_memory": "Memory of a compile job, in bytes.",
    "cache_bytes": "How many bytes compiled code may take on disk.",
}
"""Numbers of `farcall.server`'s configuration, which has their defaults."""


def _limits(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(_LIMITS.items()):
        option = click.option(f"--{name.replace('_', '-')}", type=click.IntRange(min=1), help=text)
        command = option(command)
    return command


def _encryption(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in (
        ("--tls-client-authorities", "Admit only clients for whom one of these authorities vouches (PEM)."),
        ("--tls-private-key", "The certificate's key (PEM)."),
        ("--tls-certificate", "Encrypt connections with this certificate chain (PEM)."),
    ):
        file = click.Path(exists=True, dir_okay=False, path_type=Path)
        command = click.option(name, type=file, metavar="FILE", help=text)(command)
    return command


@click.command()
@click.option("--address", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
@_encryption
@click.option(
    "--data-directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Keep modules here across restarts; without it they are kept in memory only.",
)
@click.option(
    "--artifact",
    "artifacts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Have this module, compiled by `farcall compile`, from the start; may be repeated. Its code is trusted.",
)
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Keep compiled code here; by default in the data directory, if there is one.",
)
@click.option(
    "--cache-url", metavar="URL", help="Share compiled code through an object store (s3://BUCKET/PREFIX)."
)
@click.option(
    "--cache-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The secret that compiled code is authenticated with, the same for all who share it.",
)
@click.option(
    "--shutdown-grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long running calls may go on after SIGTERM or SIGINT.",
)
@click.option(
    "--upload-idle-timeout",
    type=seconds,
    metavar="SECONDS",
    help="How long an upload may wait for its next message.",
)
@click.option("--default-call-timeout", type=seconds, metavar="SECONDS", help="For calls without a deadline.")
@click.option("--max-call-timeout", type=seconds, metavar="SECONDS", help="For calls with any deadline.")
@click.option("--max-program-timeout", type=seconds, metavar="SECONDS", help="For programs.")
@_limits
@click.option(
    "--allow-dir",
    "allowed_directories",
    multiple=True,
    metavar="NAME=PATH[:ro]",
    help="Let programs have this directory of the server's machine, under a name; may be repeated.",
)
@click.option(
    "--host-module",
    "host_modules",
    multiple=True,
    metavar="NAME=PACKAGE.MODULE:ATTRIBUTE",
    help="Let guests import from NAME what this Python object, a farcall.engine.HostModule, provides; may be repeated. "
    "It is code that the server trusts.",
)
@click.option(
    "--code-policy",
    type=click.Choice(["lazy", "optimized", "fast"]),
    help="lazy: functions are compiled when first called, and optimised in the background; optimized: all before the "
    "first call; fast: never optimised.",
)
@click.option(
    "--disable-feature",
    "disabled_features",
    multiple=True,
    metavar="NAME",
    help="Refuse modules that need this WebAssembly feature; may be repeated.",
)
@click.option(
    "--perf",
    type=click.Choice(["map", "jitdump"]),
    help="Tell Linux perf the names of guest functions: in /tmp/perf-PID.map, or in jit-PID.dump here.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="What is logged, on standard error.",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="How the log is written.",
)
@shared_options("json")
@pass_settings
def serve(settings: Settings, /, log_level: str, log_format: str, **options: Any) -> None:
    """Run a server until SIGTERM or SIGINT.

    Prints the address when it listens. Told to stop, it refuses new calls, lets running ones finish within
    the grace, and ends with exit status 0.
    """
    from farcall.server.configuration import (  # noqa: PLC0415 - only here is a server needed
        ServerConfiguration,
        allowed_directory,
        host_modules,
    )
    from farcall.server.main import run  # noqa: PLC0415

    given = {name: value for name, value in options.items() if value is not None}
    try:
        given["allowed_directories"] = tuple(map(allowed_directory, given["allowed_directories"]))
        given["host_modules"] = host_modules(given["host_modules"])
        configuration = ServerConfiguration(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def announce(address: str) -> None:
        output.print_line(json.dumps({"address": address}) if settings.json else f"listening on {address}")

    run(configuration, log_level=log_level, log_format=log_format, on_listening=announce)
