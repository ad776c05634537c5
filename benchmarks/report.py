"""Prints results as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.targets import Target

TITLES = {
    "farcall": "farcall",
    "farcall_unchecked": "farcall, no\ntermination checks",
    "wasmtime": "wasmtime",
    "gcc": "gcc -O2",
}


def print_kernels(
    console: Console, title: str, kernels: Mapping[str, Any], ratios: Mapping[str, float]
) -> None:
    """Run times and ratios of some kernels."""
    names = list(next(iter(kernels.values()))["seconds"])
    others = [name for name in names if name != "farcall"]
    table = Table(title=f"{title}: shortest run, milliseconds of processor time", title_justify="left")
    table.add_column("kernel")
    table.add_column("subject", style="dim")
    for name in names:
        table.add_column(TITLES[name], justify="right")
    for name in others:
        table.add_column("farcall /\n" + TITLES[name].replace("farcall, ", ""), justify="right")
    for kernel, measured in kernels.items():
        shortest = {name: measured["seconds"][name]["shortest"] for name in names}
        table.add_row(
            kernel,
            measured["subject"],
            *(f"{shortest[name] * 1e3:.1f}" for name in names),
            *(f"{shortest['farcall'] / shortest[name]:.2f}" for name in others),
        )
    table.add_section()
    means = [f"{ratios[f'farcall_to_{name}']:.3f}" for name in others]
    table.add_row("geometric mean", "", *("" for _ in names), *means, style="bold")
    console.print(table)


def print_embedding(console: Console, results: Mapping[str, Any]) -> None:
    """What an embedding program pays."""
    measured: Mapping[str, Mapping[str, float]] = results["embedding"]
    table = Table(title="In process, from Python: microseconds each", title_justify="left")
    table.add_column("")
    for name in measured:
        table.add_column(TITLES[name], justify="right")
    for what in measured["farcall"]:
        table.add_row(what, *(f"{seconds[what] * 1e6:,.2f}" for seconds in measured.values()))
    console.print(table)


def print_cold_start(console: Console, results: Mapping[str, Any]) -> None:
    """From bytes to the first result."""
    measured: Mapping[str, Mapping[str, float]] = results["cold_start"]["seconds"]
    table = Table(
        title="Cold start: milliseconds from a module's bytes to the first result, with a small part of it in use",
        title_justify="left",
    )
    for title in ("", "farcall", "wasmtime", "farcall / wasmtime"):
        table.add_column(title, justify="right" if title else "left")
    for size, seconds in measured.items():
        times = [seconds["farcall"], seconds["wasmtime"]]
        ratio = results["cold_start"]["ratios"][size]
        table.add_row(size, *(f"{each * 1e3:,.0f}" for each in times), f"{ratio:.2f}")
    console.print(table)


def print_service(console: Console, results: Mapping[str, Any]) -> None:
    """What the service carries."""
    measured: Mapping[str, Mapping[str, float]] = results["service"]
    table = Table(title="The service, next to a bare grpcio echo server", title_justify="left")
    for title in ("", "a second", "of the echo's rate", "server's CPU us each"):
        table.add_column(title, justify="right" if title else "left")
    for load, rate in measured["per_second"].items():
        ratio = measured["ratios"].get(load)
        shown = "" if ratio is None or load.startswith("echo") else f"{ratio:.2f}"
        table.add_row(load, f"{rate:,.0f}", shown, f"{measured['cpu_microseconds'][load]:,.1f}")
    console.print(table)


def print_program_output(console: Console, results: Mapping[str, Any]) -> None:
    """What a program writes arrives at which rate."""
    measured: Mapping[str, Mapping[str, float]] = results["program_output"]
    table = Table(title="Output of a program, next to bare grpcio streams: megabytes", title_justify="left")
    for title in ("", "a second", "a second of the server's CPU"):
        table.add_column(title, justify="right" if title else "left")
    for load, rate in measured["megabytes_per_second"].items():
        table.add_row(load, f"{rate:,.0f}", f"{measured['megabytes_per_core_second'][load]:,.0f}")
    console.print(table)


def print_targets(console: Console, targets: Sequence[Target]) -> None:
    """Promises, and what was reached."""
    table = Table(title="Targets", title_justify="left")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    for target in targets:
        bound = f"{'>=' if target.at_least else '<='} {target.bound:,g} {target.unit}"
        verdict = "[green]met[/]" if target.met else "[red]not met[/]"
        table.add_row(target.subject, f"{target.measured:,.4g} {target.unit}".strip(), bound.strip(), verdict)
    console.print(table)
