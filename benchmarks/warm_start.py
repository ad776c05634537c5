"""Measures warm starts: from a module's bytes to the first result, with code and decoded module in a directory.

One process fills the directory, others start from it; importing the engine and setting it up does not count. Beside it,
what wasmtime takes to start from its serialised code: read (`deserialize`), and mapped (`deserialize_file`).
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from benchmarks.fresh_process import run_in_fresh_process
from benchmarks.kernels import KERNELS
from benchmarks.large_modules import large_module
from benchmarks.program_start import start_program
from benchmarks.real_modules import REAL_MODULES, UnavailableError, module_file
from farcall.engine import CacheConfiguration, Engine, Store

_KERNEL = "quicksort"
_ARGUMENT = 1000
_PROGRAM, _PROGRAM_ARGUMENT = "nextpnr-ice40", "--version"


@dataclass(frozen=True, slots=True)
class Size:
    """A module to start.

    Attributes:
        megabytes: of the module.
        policy: with which it is compiled and started. To optimise twenty megabytes takes minutes of all cores, so of a
            large one all functions are compiled by the fast tier, which makes more code of it.
    """

    megabytes: int
    policy: str


_LARGE = 10
"""Megabytes from which on a module is left out of a quick run."""
SIZES = (Size(1, "lazy"), Size(20, "fast"))


def _cache(directory: Path) -> CacheConfiguration:
    return CacheConfiguration(directory=directory / "farcall")


def _fill(path: Path, directory: Path, policy: str) -> None:
    """Compile all of a module, and write its code, in both engines."""
    source = path.read_bytes()
    with Engine(code_policy=policy, cache=_cache(directory)) as engine:
        engine.complete(engine.compile_module(engine.load_module(source), ensure_termination=True))
    compiled = wasmtime.Module(wasmtime.Engine(), source)
    (directory / "wasmtime").write_bytes(compiled.serialize())


def _farcall(path: Path, directory: Path, policy: str) -> Callable[[], Any]:
    source = path.read_bytes()
    engine = Engine(code_policy=policy, cache=_cache(directory))
    store = Store(engine)

    def start() -> Any:
        compiled = engine.compile_module(engine.load_module(source), ensure_termination=True)
        return store.instantiate(compiled).function("run")(_ARGUMENT)

    return start


def _deserialize(_path: Path, directory: Path, _policy: str) -> Callable[[], Any]:
    code = (directory / "wasmtime").read_bytes()
    return _started(lambda engine: wasmtime.Module.deserialize(engine, code))


def _deserialize_file(_path: Path, directory: Path, _policy: str) -> Callable[[], Any]:
    return _started(lambda engine: wasmtime.Module.deserialize_file(engine, str(directory / "wasmtime")))


def _started(load: Callable[[wasmtime.Engine], wasmtime.Module]) -> Callable[[], Any]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)

    def start() -> Any:
        instance = wasmtime.Instance(store, load(engine), [])
        run: Any = instance.exports(store)["run"]
        return run(store, _ARGUMENT)

    return start


WAYS = {"farcall": _farcall, "deserialize": _deserialize, "deserialize_file": _deserialize_file}


def measure_warm_start(rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Start programs from code that is there already.

    Args:
        rounds: how often; what counts is the shortest. A large module is not started at all if that is one.
        progress: told what is being done.

    Returns:
        `seconds` by module and way; `left_out`: reasons, by module. Of the real program, to its end, and by farcall
        only; it is missing where its module cannot be fetched, which the cold starts tell.

    Raises:
        RuntimeError: an engine failed, or results differ.
    """
    kernel = next(kernel for kernel in KERNELS if kernel.name == _KERNEL)
    seconds: dict[str, dict[str, float]] = {}
    left_out: dict[str, str] = {}
    for size in SIZES:
        name = f"{size.megabytes} MB"
        if size.megabytes >= _LARGE and rounds == 1:
            left_out[f"warm start of {name}"] = "compiling all of it takes too long for a quick run"
            continue
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            path = directory / "module.wasm"
            path.write_bytes(large_module(Path(kernel.wasm).read_bytes(), size.megabytes * 1_000_000))
            progress(f"warm start of {name}: compiling all of it")
            run_in_fresh_process("benchmarks.warm_start", "fill", path, directory, size.policy)
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            results = set()
            for round_ in range(rounds):
                progress(f"warm start of {name}: round {round_ + 1} of {rounds}")
                for way, times in taken.items():
                    answer = run_in_fresh_process("benchmarks.warm_start", way, path, directory, size.policy)
                    times.append(answer["seconds"])
                    results.add(answer["result"])
            if len(results) != 1:
                raise RuntimeError(f"results differ: {results}")
            seconds[name] = {way: min(times) for way, times in taken.items()}
    with contextlib.suppress(UnavailableError):
        seconds[f"{_PROGRAM} {_PROGRAM_ARGUMENT}"] = {"farcall": _warm_program(rounds, progress)}
    return {"seconds": seconds, "left_out": left_out}


def _warm_program(rounds: int, progress: Callable[[str], None]) -> float:
    module = next(module for module in REAL_MODULES if module.name == _PROGRAM)
    path, arguments = module_file(module), [_PROGRAM, _PROGRAM_ARGUMENT]
    with tempfile.TemporaryDirectory() as directory:
        taken: list[float] = []
        for round_ in range(rounds + 1):
            progress(f"warm start of {_PROGRAM}: round {round_} of {rounds}")
            taken.append(start_program("farcall", path, arguments, Path(directory))["seconds"])
    return min(taken[1:])  # the first one fills the cache


def main() -> None:
    """Do once what the command line says, and say how long it took."""
    way, path, directory, policy = sys.argv[1:]
    if way == "fill":
        _fill(Path(path), Path(directory), policy)
        print("{}")
        return
    start = WAYS[way](Path(path), Path(directory), policy)
    started = time.perf_counter()
    result = start()
    print(json.dumps({"seconds": time.perf_counter() - started, "result": result}))


if __name__ == "__main__":
    main()
