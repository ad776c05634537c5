"""What farcall is to reach, and whether a run of the benchmarks reached it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.peer import TRAPPING


@dataclass(frozen=True, slots=True)
class Target:
    """A promise and what was measured.

    Attributes:
        subject: of the promise.
        measured: what came out.
        bound: what was promised.
        at_least: whether the bound is a lower one.
        unit: of both.
    """

    subject: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def targets(results: dict[str, Any]) -> Iterator[Target]:
    """The promises about what was measured; none about what was left out.

    Args:
        results: of the run, as they are written as JSON.
    """
    for part in (_kernel_targets, _embedding_targets, _start_targets, _service_targets, _memory_targets):
        yield from part(results)


def _kernel_targets(results: dict[str, Any]) -> Iterator[Target]:
    ratios = results.get("ratios", {})
    if "farcall_to_wasmtime" in ratios:
        yield Target("kernels, geometric mean of farcall / wasmtime", ratios["farcall_to_wasmtime"], 0.85)
    if "farcall_to_gcc" in ratios:
        yield Target("kernels, geometric mean of farcall / gcc -O2", ratios["farcall_to_gcc"], 1.10)
    if "farcall_to_farcall_lazy" in ratios:
        slower = (1 / ratios["farcall_to_farcall_lazy"] - 1) * 100
        yield Target("kernels, optimised one function after the other (`lazy`)", slower, 3.0, unit="%")
    if "farcall_to_farcall_unchecked" in ratios:
        cost = (ratios["farcall_to_farcall_unchecked"] - 1) * 100
        yield Target("kernels, cost of termination checks", cost, 5.0, unit="%")
    vector_ratios = results.get("vector_ratios", {})
    if "farcall_to_wasmtime" in vector_ratios:
        subject = "kernels of vectors, geometric mean of farcall / wasmtime"
        yield Target(subject, vector_ratios["farcall_to_wasmtime"], 0.90)


def _embedding_targets(results: dict[str, Any]) -> Iterator[Target]:
    if "embedding" in results:
        seconds = results["embedding"]["farcall"]
        call = seconds["call add"]
        slowest_trap = max(seconds[f"trap: {name}"] for name in TRAPPING)
        instantiate = seconds["instantiate, one page of memory"]
        yield Target("a call from Python into a trivial function", call * 1e6, 2.0, unit="us")
        yield Target("what a trap adds to it, the slowest kind", (slowest_trap - call) * 1e6, 15.0, unit="us")
        yield Target("instantiating a module with one page", instantiate * 1e6, 300.0, unit="us")


def _start_targets(results: dict[str, Any]) -> Iterator[Target]:
    for size, ratio in results.get("cold_start", {}).get("ratios", {}).items():
        bound = 1.0 if size == "1 MB" else 0.5
        yield Target(f"cold start of a module of {size}, farcall / wasmtime", ratio, bound)
    for program, measured in results.get("program_start", {}).get("programs", {}).items():
        bound = 1.0 if measured["bytes"] < 5_000_000 else 0.5
        size = f"{measured['bytes'] / 1e6:.1f} MB"
        yield Target(f"cold run of `{program}` ({size}), farcall / wasmtime", measured["ratio"], bound)
    warm = results.get("warm_start", {}).get("seconds", {})
    for size, bound in (("1 MB", 10.0), ("20 MB", 100.0)):
        if size in warm:
            yield Target(f"warm start of a module of {size}", warm[size]["farcall"] * 1e3, bound, unit="ms")


def _service_targets(results: dict[str, Any]) -> Iterator[Target]:
    if "service" in results:
        ratios, rates = results["service"]["ratios"], results["service"]["per_second"]
        yield Target("unary calls, of a bare echo server's rate", ratios["unary"], 0.80, at_least=True)
        yield Target("messages on streams, of a bare echo server's", ratios["stream"], 0.60, at_least=True)
        yield Target("calls a second, many in one message", rates["batch"], 300_000, at_least=True)
    if "program_output" in results:
        rate = results["program_output"]["megabytes_per_core_second"]["program's output"]
        yield Target("output of a program, on one core", rate, 200, at_least=True, unit="MB/s")
    for figure, ratio in results.get("background", {}).get("ratios", {}).items():
        yield Target(f"unary calls beside background compilation, {figure}, of idle", ratio, 2.0)


def _memory_targets(results: dict[str, Any]) -> Iterator[Target]:
    if "memory" in results:
        for where in ("engine", "server"):
            measured = results["memory"][where]
            grown = measured["after"]["resident_bytes"] - measured["before"]["resident_bytes"]
            subject = (
                f"memory that {results['memory']['rounds']} modules leave in {where}s when they are deleted"
            )
            yield Target(subject, grown / 1e6, 4.0, unit="MB")
        yield Target("memory for a module of 1 MB", results["memory"]["module_bytes"] / 1e6, 40.0, unit="MB")
