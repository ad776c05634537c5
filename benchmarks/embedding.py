"""Measures what a program pays that embeds an engine: compiling, instantiating, calling, catching a trap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wasmtime

from benchmarks.kernels import Kernel
from benchmarks.peers.peer import SMALL_MODULE, TRAPPING
from benchmarks.peers.process import PeerProcess


def measure_embedding(
    kernels: Sequence[Kernel],
    peers: Mapping[str, PeerProcess],
    directory: Path,
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, dict[str, float]]:
    """Measure the engines in turns, round by round; what counts is the best round.

    Args:
        kernels: the modules that are compiled, in all.
        peers: the running engines, by name.
        directory: where the small module is put.
        rounds: how often.
        progress: told what is being done.

    Returns:
        By engine and by what was done, seconds.
    """
    small = directory / "small.wasm"
    small.write_bytes(bytes(wasmtime.wat2wasm(SMALL_MODULE)))
    for peer in peers.values():
        peer.ask("prepare_small", path=str(small))
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for round_ in range(rounds):
        progress(f"compiling, instantiating, calling: round {round_ + 1} of {rounds}")
        for name, peer in peers.items():
            for what, seconds in _one_round(peer, kernels, small).items():
                best[name][what] = min(seconds, best[name].get(what, seconds))
    return dict(best)


def _one_round(peer: PeerProcess, kernels: Sequence[Kernel], small: Path) -> dict[str, float]:
    compiled: list[float] = [peer.ask("compile", path=str(kernel.wasm)) for kernel in kernels]
    instantiated: dict[str, Any] = peer.ask("instantiate", count=500)
    return {
        "compile the small module": peer.ask("compile", path=str(small)),
        f"compile the {len(kernels)} kernels": sum(compiled),
        "instantiate, one page of memory": instantiated["instantiate"],
        "instantiate and close": instantiated["with_close"],
        "call add": peer.ask("call", count=20_000),
        **{f"trap: {name}": peer.ask("trap", name=name, count=2_000) for name in TRAPPING},
    }
