"""Measures what stays in memory: of a thousand modules, each uploaded, called and deleted, and of one that is there.

The modules differ, so that nothing is shared: each is compiled. They are some tens of kilobytes, so that the rounds are
short.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.fresh_process import run_in_fresh_process
from benchmarks.kernels import KERNELS
from benchmarks.large_modules import large_module, with_custom_section
from benchmarks.servers import running_server
from farcall.client import Client
from farcall.engine import Engine, Store

_KERNEL = "quicksort"
_ARGUMENT = 1000
_ROUND_BYTES = 30_000
_MODULE_BYTES = 1_000_000
_PATIENCE = 60.0
"""Seconds that a server gets until it compiles nothing any more."""


def usage(process: int | str) -> dict[str, int]:
    """What a process has: bytes of resident memory, mappings, threads, open files."""
    directory = Path(f"/proc/{process}")
    pages = int((directory / "statm").read_text().split()[1])
    return {
        "resident_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "mappings": (directory / "maps").read_text().count("\n"),
        "threads": len(os.listdir(directory / "task")),
        "files": len(os.listdir(directory / "fd")),
    }


def measure_memory(rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Upload, call and delete modules.

    Args:
        rounds: how many; a tenth of them come before the first measurement.
        progress: told what is being done.

    Returns:
        `rounds`; `engine` and `server`: what each process has after a tenth of the rounds, `before`, and after all,
        `after` (see `usage`). `module_bytes`: what a module of one megabyte takes in a server, completely optimised.

    Raises:
        RuntimeError: something failed.
    """
    progress(f"memory of an engine: {rounds} rounds")
    engine = run_in_fresh_process("benchmarks.memory", str(rounds))
    with running_server("farcall") as (address, process), Client(address) as client:
        server = _measured(_rounds_in_a_server(client), rounds, process, progress)
    module_bytes = _module_bytes(progress)
    return {"rounds": rounds, "engine": engine, "server": server, "module_bytes": module_bytes}


def _measured(
    rounds: Iterator[None], count: int, process: int | str, progress: Callable[[str], None]
) -> dict[str, dict[str, int]]:
    for _ in range(count // 10):
        next(rounds)
    before = usage(process)
    for number in range(count // 10, count):
        if number % 50 == 0:
            progress(f"memory: round {number} of {count}")
        next(rounds)
    return {"before": before, "after": usage(process)}


def _kernel(size: int) -> bytes:
    kernel = next(kernel for kernel in KERNELS if kernel.name == _KERNEL)
    return large_module(Path(kernel.wasm).read_bytes(), size)


def _modules() -> Iterator[bytes]:
    """Modules without end, none like another."""
    source, number = _kernel(_ROUND_BYTES), 0
    while True:
        yield with_custom_section(source, str(number).encode())
        number += 1


def _rounds_in_an_engine() -> Iterator[None]:
    with Engine() as engine, Store(engine) as store:
        for source in _modules():
            module = engine.load_module(source)
            with store.instantiate(engine.compile_module(module, ensure_termination=True)) as instance:
                instance.function("run")(_ARGUMENT)
            engine.delete_compiled_module(module)
            yield


def _rounds_in_a_server(client: Client) -> Iterator[None]:
    store = client.store()
    for source in _modules():
        module = client.upload(source)
        with store.instantiate(module) as instance:
            instance.function("run")(_ARGUMENT)
        client.delete_module(module)
        yield


def _module_bytes(progress: Callable[[str], None]) -> int:
    """How much more memory a server has with one module of a megabyte, of which all is compiled, fast and well."""
    progress("memory of a module of 1 MB: compiling all of it")
    with running_server("farcall") as (address, process), Client(address) as client:
        small = client.store().instantiate(client.upload(_kernel(_ROUND_BYTES)))
        small.function("run")(_ARGUMENT)  # what the first module needs is there from now on
        before = usage(process)["resident_bytes"]
        module = client.upload(_kernel(_MODULE_BYTES))
        client.store().instantiate(module).function("run")(_ARGUMENT)
        client.compile_module(module)
        return usage(process)["resident_bytes"] - before


def main() -> None:
    """Make so many rounds in an engine, and say what this process has."""
    rounds = int(sys.argv[1])
    started = time.perf_counter()
    measured = _measured(_rounds_in_an_engine(), rounds, "self", lambda text: print(text, file=sys.stderr))
    print(json.dumps({**measured, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
