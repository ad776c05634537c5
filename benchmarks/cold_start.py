"""Measures cold starts: from a large module's bytes to the first result of a program that uses a small part of it.

Every start is in a process of its own, without any cache; importing the engine and setting it up does not count.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime

from benchmarks.fresh_process import run_in_fresh_process
from benchmarks.kernels import KERNELS
from benchmarks.large_modules import large_module
from farcall.engine import Engine, Store

MEGABYTES = (1, 5, 20)
_KERNEL = "quicksort"
_ARGUMENT = 1000


def _farcall(source: bytes) -> Callable[[], Any]:
    engine = Engine()
    store = Store(engine)
    return lambda: store.instantiate(engine.load_module(source)).function("run")(_ARGUMENT)


def _wasmtime(source: bytes) -> Callable[[], Any]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)

    def start() -> Any:
        instance = wasmtime.Instance(store, wasmtime.Module(engine, source), [])
        run: Any = instance.exports(store)["run"]
        return run(store, _ARGUMENT)

    return start


ENGINES = {"farcall": _farcall, "wasmtime": _wasmtime}


def measure_cold_start(rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Start programs cold.

    Args:
        rounds: how often; what counts is the shortest.
        progress: told what is being done.

    Returns:
        `seconds` by megabytes and engine; `ratios` of farcall's to wasmtime's by megabytes.

    Raises:
        RuntimeError: an engine failed, or their results differ.
    """
    kernel = next(kernel for kernel in KERNELS if kernel.name == _KERNEL)
    seconds: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for megabytes in MEGABYTES:
            path = Path(directory) / f"{megabytes}.wasm"
            path.write_bytes(large_module(Path(kernel.wasm).read_bytes(), megabytes * 1_000_000))
            taken: dict[str, list[float]] = {name: [] for name in ENGINES}
            results = set()
            for round_ in range(rounds):
                progress(f"cold start of {megabytes} MB: round {round_ + 1} of {rounds}")
                for name, times in taken.items():
                    answer = run_in_fresh_process("benchmarks.cold_start", name, path)
                    times.append(answer["seconds"])
                    results.add(answer["result"])
            if len(results) != 1:
                raise RuntimeError(f"the engines' results differ: {results}")
            seconds[f"{megabytes} MB"] = {name: min(times) for name, times in taken.items()}
    return {
        "seconds": seconds,
        "ratios": {size: measured["farcall"] / measured["wasmtime"] for size, measured in seconds.items()},
    }


def main() -> None:
    """Start a program once, in the engine that the command line names, and say how long it took."""
    source = Path(sys.argv[2]).read_bytes()
    start = ENGINES[sys.argv[1]](source)
    started = time.perf_counter()
    result = start()
    print(json.dumps({"seconds": time.perf_counter() - started, "result": result}))


if __name__ == "__main__":
    main()
