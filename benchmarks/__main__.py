"""Measures farcall beside wasmtime, gcc -O2 and a bare gRPC server: `python -m benchmarks [--json OUT] [--quick]`."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.background import measure_background
from benchmarks.cold_start import measure_cold_start
from benchmarks.embedding import measure_embedding
from benchmarks.kernel_runs import ResultMismatchError, measure_kernels
from benchmarks.kernels import KERNELS, VECTOR_KERNELS
from benchmarks.memory import measure_memory
from benchmarks.peers.native_peer import compiler_version
from benchmarks.peers.process import PeerError, PeerProcess
from benchmarks.program_output import measure_program_output
from benchmarks.program_start import measure_program_start
from benchmarks.report import (
    print_background,
    print_cold_start,
    print_embedding,
    print_kernels,
    print_memory,
    print_program_output,
    print_program_start,
    print_service,
    print_targets,
    print_warm_start,
)
from benchmarks.service import measure_service
from benchmarks.targets import targets
from benchmarks.warm_start import measure_warm_start

ENGINES = ("farcall", "farcall_unchecked", "wasmtime")
_TIERED = "farcall_lazy"
PARTS = ("kernels", "embedding", "cold", "warm", "service", "background", "memory")
MEMORY_ROUNDS = 1_000
QUICK_ROUNDS = 2

stdout, stderr = Console(width=150), Console(stderr=True)


def environment() -> dict[str, Any]:
    """What was measured, and on what."""
    packages = ("farcall", "llvmlite", "wasmtime", "grpcio", "protobuf")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "gcc": compiler_version(),
        "packages": {name: metadata.version(name) for name in packages},
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Shows on standard error what is being done: in place on a terminal, else a line each."""
    if not stderr.is_terminal:
        yield lambda text: stderr.print(text, style="dim")
        return
    with stderr.status("starting") as status:
        yield status.update


def measure(parts: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Measure the parts asked for."""
    results: dict[str, Any] = {"environment": environment()}
    with (
        tempfile.TemporaryDirectory() as directory,
        progress_line() as progress,
        contextlib.ExitStack() as running,
    ):
        names = [*ENGINES, _TIERED, *(["gcc"] if compiler_version() else [])]
        if {"kernels", "embedding"} & set(parts):
            peers = {name: running.enter_context(PeerProcess(name)) for name in names}
        if "kernels" in parts:
            results |= measure_kernels(KERNELS, peers, Path(directory), rounds, progress)
            vectors = measure_kernels(VECTOR_KERNELS, peers, Path(directory), rounds, progress)
            results |= {f"vector_{part}": measured for part, measured in vectors.items()}
        if "embedding" in parts:
            engines = {name: peers[name] for name in ENGINES}
            results["embedding"] = measure_embedding(KERNELS, engines, Path(directory), rounds, progress)
        running.close()  # the service is measured without them
        if "cold" in parts:
            results["cold_start"] = measure_cold_start(max(1, rounds // 3), progress)
            results["program_start"] = measure_program_start(max(1, rounds // 3), progress)
        if "warm" in parts:
            results["warm_start"] = measure_warm_start(max(1, rounds // 2), progress)
        if "service" in parts:
            results["service"] = measure_service(max(1, rounds // 2), progress=progress)
            results["program_output"] = measure_program_output(max(1, rounds // 2), progress=progress)
        if "background" in parts:
            results["background"] = measure_background(max(1, rounds // 2), progress=progress)
        if "memory" in parts:
            results["memory"] = measure_memory(MEMORY_ROUNDS if rounds > QUICK_ROUNDS else 50, progress)
    return results


@click.command()
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all results to a file.",
)
@click.option("--rounds", default=11, show_default=True, help="How often everything in process is measured.")
@click.option(
    "--quick", is_flag=True, help="Two rounds, and small ones: does it work, rather than how fast is it."
)
@click.option(
    "--only",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Measure this part only; can be given several times.",
)
def main(json_path: Path | None, rounds: int, quick: bool, parts: tuple[str, ...]) -> None:
    """Measure farcall beside wasmtime, gcc -O2 and a bare gRPC server, in turns, in one run."""
    try:
        results = measure(parts or PARTS, QUICK_ROUNDS if quick else rounds)
    except (ResultMismatchError, PeerError) as error:
        stderr.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    machine = results["environment"]
    stdout.print(f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}; "
                 + ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
                 + f"; {machine['gcc'] or 'no gcc: native code is left out'}", highlight=False)  # fmt: skip
    if "kernels" in results:
        print_kernels(stdout, "Kernels", results["kernels"], results["ratios"])
        print_kernels(stdout, "Kernels of vectors", results["vector_kernels"], results["vector_ratios"])
    if "embedding" in results:
        print_embedding(stdout, results)
    if "cold_start" in results:
        print_cold_start(stdout, results)
        print_program_start(stdout, results)
    if "warm_start" in results:
        print_warm_start(stdout, results)
    if "service" in results:
        print_service(stdout, results)
        print_program_output(stdout, results)
    if "background" in results:
        print_background(stdout, results)
    if "memory" in results:
        print_memory(stdout, results)
    reached = list(targets(results))
    print_targets(stdout, reached)
    results["targets"] = [{**asdict(target), "met": target.met} for target in reached]
    if json_path is not None:
        json_path.write_text(json.dumps(results, indent=2) + "\n")
        stdout.print(f"All of it is in {json_path}.", highlight=False)


if __name__ == "__main__":
    main()
