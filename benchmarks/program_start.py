"""Measures how long real programs take from their module's bytes to their end, when they do next to nothing.

Each run is in a process of its own, without any cache; importing the engine and setting it up does not count. Both
engines' programs have to write the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import wasmtime

from benchmarks.fresh_process import run_in_fresh_process
from benchmarks.real_modules import REAL_MODULES, RealModule, UnavailableError, module_file
from farcall.engine import CacheConfiguration, Engine, ProgramExit, Store
from farcall.engine.host.built_in import built_in_imports
from farcall.engine.host.wasi.os_streams import DescriptorOutput
from farcall.engine.host.wasi.system import WasiSystem

_START = "_start"
_OUTPUT, _ERROR = "output", "error"
"""Files of what a program writes."""


def prepare_farcall(
    source: bytes, arguments: Sequence[str], output: Path, ending: contextlib.ExitStack
) -> Callable[[], None]:
    """What loads a program and runs it to its end. FARCALL_CACHE in the environment is a directory for its code.

    Args:
        output: a directory for files with what the program writes.
        ending: what is to be done afterwards, when nothing is measured any more: then the code is kept.
    """
    cache = os.environ.get("FARCALL_CACHE")
    directory = None if cache is None else Path(cache)
    engine = ending.enter_context(Engine(cache=CacheConfiguration(directory=directory)))
    store = ending.enter_context(Store(engine))
    streams = [
        DescriptorOutput(os.open(output / name, os.O_WRONLY | os.O_CREAT)) for name in (_OUTPUT, _ERROR)
    ]
    system = WasiSystem(list(arguments), {}, input=None, output=streams[0], error=streams[1])

    def run() -> None:
        compiled = engine.compile_module(engine.load_module(source), ensure_termination=True)
        instance = store.instantiate(compiled, built_in_imports(system))
        try:
            instance.function(_START)()
        except ProgramExit as end:
            if end.code:
                raise

    return run


def prepare_wasmtime(
    source: bytes, arguments: Sequence[str], output: Path, _ending: contextlib.ExitStack
) -> Callable[[], None]:
    """As `prepare_farcall`."""
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_wasi()
    configuration = wasmtime.WasiConfig()
    configuration.argv = list(arguments)
    configuration.stdout_file = str(output / _OUTPUT)
    configuration.stderr_file = str(output / _ERROR)
    store.set_wasi(configuration)

    def run() -> None:
        instance = linker.instantiate(store, wasmtime.Module(engine, source))
        start: Any = instance.exports(store)[_START]
        try:
            start(store)
        except wasmtime.ExitTrap as end:
            if end.code:
                raise

    return run


ENGINES = {"farcall": prepare_farcall, "wasmtime": prepare_wasmtime}


def measure_program_start(rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run real programs, cold.

    Args:
        rounds: how often; what counts is the shortest. What is very large is run once, and not at all if that is one.
        progress: told what is being done.

    Returns:
        By program: `bytes` of its module, `seconds` and `peak_bytes` of memory by engine, and the `ratio` of farcall's
        seconds to wasmtime's. `left_out`: reasons, by program.

    Raises:
        RuntimeError: an engine failed, or the programs' outputs differ.
    """
    programs: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for module in REAL_MODULES:
        if module.once and rounds == 1:
            left_out[module.name] = "too large for a quick run"
            continue
        progress(f"fetching {module.name}")
        try:
            path = module_file(module)
        except UnavailableError as error:
            left_out[module.name] = str(error)
            continue
        for arguments in module.runs:
            name = " ".join([module.name, *arguments])
            programs[name] = _measure(name, module, path, arguments, 1 if module.once else rounds, progress)
    return {"programs": programs, "left_out": left_out}


def _measure(
    name: str,
    module: RealModule,
    path: Path,
    arguments: Sequence[str],
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    answers: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for round_ in range(rounds):
        for engine, given in answers.items():
            progress(f"cold start of {name} in {engine}: round {round_ + 1} of {rounds}")
            given.append(start_program(engine, path, [module.name, *arguments]))
    outputs = {answer["output"] for given in answers.values() for answer in given}
    if len(outputs) != 1:
        raise RuntimeError(f"the outputs of {name} differ")
    seconds = {engine: min(answer["seconds"] for answer in given) for engine, given in answers.items()}
    return {
        "bytes": path.stat().st_size,
        "seconds": seconds,
        "peak_bytes": {
            engine: min(answer["peak_bytes"] for answer in given) for engine, given in answers.items()
        },
        "ratio": seconds["farcall"] / seconds["wasmtime"],
    }


def start_program(
    engine: str, path: Path, arguments: Sequence[str], cache: Path | None = None
) -> dict[str, Any]:
    """Run a program in a process of its own.

    Args:
        engine: `farcall` or `wasmtime`.
        path: of the module.
        arguments: of the program, its name first.
        cache: directory for farcall's code.

    Returns:
        `seconds`, `peak_bytes` of memory, and a digest of its `output`.

    Raises:
        RuntimeError: it failed.
    """
    environment = {} if cache is None else {"FARCALL_CACHE": str(cache)}
    return run_in_fresh_process("benchmarks.program_start", engine, path, *arguments, environment=environment)


def main() -> None:
    """Run a program once, in the engine that the command line names, and say how long it took."""
    engine, path, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as ending:
        output = Path(directory)
        run = ENGINES[engine](Path(path).read_bytes(), arguments, output, ending)
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        digest = hashlib.sha256(
            b"".join((output / name).read_bytes() for name in (_OUTPUT, _ERROR))
        ).hexdigest()
    print(json.dumps({"seconds": seconds, "peak_bytes": _peak_bytes(), "output": digest}))


def _peak_bytes() -> int:
    """Memory that this process had at most, since its program began: getrusage counts the process that forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


if __name__ == "__main__":
    main()
