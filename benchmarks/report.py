"""Prints results as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.targets import Target

TITLES = {
    "farcall": "farcall",
    "farcall_lazy": "farcall, lazy",
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
    table.add_column("kernel", no_wrap=True)
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


def print_program_start(console: Console, results: Mapping[str, Any]) -> None:
    """From bytes to the end of real programs, and which are left out."""
    measured: Mapping[str, Any] = results["program_start"]["programs"]
    table = Table(
        title="Cold run: milliseconds from a real module's bytes to its program's end; peak memory in MB",
        title_justify="left",
    )
    for title in ("", "MB", "farcall", "wasmtime", "farcall / wasmtime", "memory, farcall", "wasmtime"):
        table.add_column(title, justify="right" if title else "left")
    for program, each in measured.items():
        times = [f"{each['seconds'][engine] * 1e3:,.0f}" for engine in ("farcall", "wasmtime")]
        peaks = [f"{each['peak_bytes'][engine] / 1e6:,.0f}" for engine in ("farcall", "wasmtime")]
        table.add_row(program, f"{each['bytes'] / 1e6:.1f}", *times, f"{each['ratio']:.2f}", *peaks)
    console.print(table)
    _print_left_out(console, results["program_start"]["left_out"])


def _print_left_out(console: Console, reasons: Mapping[str, str]) -> None:
    for name, reason in reasons.items():
        console.print(f"{name} is left out: {reason}", style="yellow", markup=False, highlight=False)


def print_warm_start(console: Console, results: Mapping[str, Any]) -> None:
    """From bytes to the first result, with code that is there."""
    measured: Mapping[str, Mapping[str, float]] = results["warm_start"]["seconds"]
    table = Table(
        title="Warm start: milliseconds from a module's bytes to the first result, with its code on disk",
        title_justify="left",
    )
    ways = {"farcall": "farcall", "deserialize": "wasmtime,\nread", "deserialize_file": "wasmtime,\nmapped"}
    for title in ("", *ways.values()):
        table.add_column(title, justify="right" if title else "left")
    for name, seconds in measured.items():
        table.add_row(name, *(f"{seconds[way] * 1e3:,.1f}" if way in seconds else "" for way in ways))
    console.print(table)
    _print_left_out(console, results["warm_start"]["left_out"])


def print_background(console: Console, results: Mapping[str, Any]) -> None:
    """How long calls take beside a compiler that is idle, and one that is busy."""
    measured: Mapping[str, Any] = results["background"]
    table = Table(
        title="Unary calls, one after the other: milliseconds, while the server compiles nothing, and on all cores",
        title_justify="left",
    )
    for title in ("", "idle", "busy", "busy / idle"):
        table.add_column(title, justify="right" if title else "left")
    for figure, ratio in measured["ratios"].items():
        times = [f"{measured['seconds'][state][figure] * 1e3:.2f}" for state in ("idle", "busy")]
        table.add_row(figure, *times, f"{ratio:.2f}")
    console.print(table)


def print_memory(console: Console, results: Mapping[str, Any]) -> None:
    """What a process has after some modules, and after many."""
    measured: Mapping[str, Any] = results["memory"]
    rounds = measured["rounds"]
    table = Table(
        title=f"Modules loaded, called and deleted, one after the other: after {rounds // 10}, and after {rounds}",
        title_justify="left",
    )
    for title in ("", "MB resident", "", "mappings", "", "threads", "", "files", ""):
        table.add_column(title, justify="right" if table.columns else "left")
    for where in ("engine", "server"):
        before, after = measured[where]["before"], measured[where]["after"]
        cells = []
        for what in ("resident_bytes", "mappings", "threads", "files"):
            scale = 1e6 if what == "resident_bytes" else 1
            cells += [f"{each[what] / scale:,.4g}" for each in (before, after)]
        table.add_row(where, *cells)
    console.print(table)
    taken = measured["module_bytes"] / 1e6
    console.print(
        f"A module of 1 MB, all of it optimised, takes {taken:.1f} MB of a server.", highlight=False
    )


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
