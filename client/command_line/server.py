"""Commands about the server: stats, health."""

from __future__ import annotations

import click

from farcall.client.command_line import output
from farcall.client.command_line.settings import REMOTE, Settings, pass_settings, shared_options
from farcall.client.types import CompilationStatistics


@click.command(short_help="Show the server's features, limits and counters.")
@shared_options(*REMOTE)
@pass_settings
def stats(settings: Settings) -> None:
    """Show the server's version, features, limits and counters."""
    with settings.client() as client:
        info = client.server_info()
    if settings.json:
        output.print_json(info)
        return
    limits = output.plain(info.limits)
    output.print_table(
        ("WHAT", "VALUE"),
        [
            ("version", info.version),
            ("target", info.target),
            ("features", " ".join(info.features)),
            ("start_time", output.time_text(info.start_time)),
            *(
                (f"limits.{name}", f"{value:g}" if isinstance(value, float) else value)
                for name, value in limits.items()
            ),
            *((f"counters.{name}", value) for name, value in info.counters.items()),
        ],
    )
    _print_compilation(info.compilation)


def _print_compilation(compilation: CompilationStatistics) -> None:
    """What was compiled, is cached and waits, a table each; no table without rows."""
    queue = compilation.queue
    tables: tuple[tuple[tuple[str, ...], list[tuple[object, ...]]], ...] = (
        (
            ("TIER", "FUNCTIONS", "BYTES", "SECONDS"),
            [
                (tier.tier, tier.functions, tier.code_bytes, f"{tier.seconds:.3f}")
                for tier in compilation.tiers
            ],
        ),
        (
            ("CACHE", "HITS", "MISSES", "REJECTED", "ENTRIES", "BYTES"),
            [
                (place.place, place.hits, place.misses, place.rejected, place.entries, place.size)
                for place in compilation.cache_places
            ],
        ),
        (
            ("WAITING", "RUNNING", "CANCELLED", "FAILED"),
            [(queue.waiting, queue.running, queue.cancelled, queue.failed)],
        ),
        (
            ("MODULE", "NOT COMPILED", "FAST", "OPTIMIZED", "BYTES"),
            [
                (
                    output.digest_text(module.module),
                    module.uncompiled,
                    module.fast,
                    module.optimized,
                    module.code_bytes,
                )
                for module in compilation.modules
            ],
        ),
    )
    for columns, entries in tables:
        if entries:
            output.print_line()
            output.print_table(columns, entries, right=tuple(set(columns) - {"TIER", "CACHE", "MODULE"}))


@click.command(short_help="Ask whether the server is healthy.")
@shared_options(*REMOTE)
@pass_settings
@click.pass_context
def health(context: click.Context, settings: Settings) -> None:
    """Ask whether the server is healthy: prints SERVING, or another status and exits with 1."""
    with settings.client() as client:
        status = client.health()
    if settings.json:
        output.print_json({"status": status})
    else:
        output.print_line(status)
    if status != "SERVING":
        context.exit(1)
