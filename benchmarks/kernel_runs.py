"""Measures the kernels: every peer runs each of them, in turns, round by round; all results must be equal."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kernels import Kernel
from benchmarks.peers.native_peer import compile_natively
from benchmarks.peers.process import PeerProcess


class ResultMismatchError(Exception):
    """Two peers computed different results."""


def measure_kernels(
    kernels: Sequence[Kernel],
    peers: Mapping[str, PeerProcess],
    directory: Path,
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Run all kernels on all peers.

    Each round runs every kernel once on every peer, one right after the other and beginning with another peer each
    time, so that whatever else the machine does falls on all alike. What counts is each peer's shortest run.

    Args:
        kernels: which.
        peers: the running peers, by name.
        directory: where native libraries are put.
        rounds: how often.
        progress: told what is being done.

    Returns:
        `kernels`: for each the result, and by peer the shortest, the median and all times in seconds of
        processor time and by the clock; `ratios`: farcall's geometric means against the others, by the former.

    Raises:
        ResultMismatchError: results differ.
    """
    paths: dict[tuple[str, str], str] = {}
    for kernel in kernels:
        progress(f"compiling {kernel.name}")
        for name, peer in peers.items():
            path = compile_natively(kernel, directory) if name == "gcc" else kernel.wasm
            paths[kernel.name, name] = str(path)
            peer.ask("prepare", path=str(path))
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    by_clock: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    results: dict[str, int] = {}
    names = list(peers)
    for round_ in range(rounds):
        progress(f"kernels: round {round_ + 1} of {rounds}")
        for kernel in kernels:
            first = round_ % len(names)
            for name in names[first:] + names[:first]:
                answer = peers[name].ask("run", path=paths[kernel.name, name], argument=kernel.argument)
                expected = results.setdefault(kernel.name, answer["result"])
                if answer["result"] != expected:
                    raise ResultMismatchError(
                        f"{kernel.name}({kernel.argument}): {name} computed {answer['result']}, not {expected}"
                    )
                times[kernel.name][name].append(answer["seconds"])
                by_clock[kernel.name][name].append(answer["seconds_by_clock"])
    return {
        "kernels": {
            kernel.name: {
                "subject": kernel.subject,
                "argument": kernel.argument,
                "result": results[kernel.name],
                "seconds": {name: _summary(taken) for name, taken in times[kernel.name].items()},
                "seconds_by_clock": {name: _summary(taken) for name, taken in by_clock[kernel.name].items()},
            }
            for kernel in kernels
        },
        "ratios": {
            f"farcall_to_{name}": geometric_mean(
                [min(taken["farcall"]) / min(taken[name]) for taken in times.values()]
            )
            for name in names
            if name != "farcall"
        },
    }


def _summary(taken: list[float]) -> dict[str, Any]:
    return {"shortest": min(taken), "median": statistics.median(taken), "all": taken}


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product."""
    return math.exp(sum(map(math.log, values)) / len(values))
