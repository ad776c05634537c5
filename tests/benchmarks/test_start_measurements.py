"""The benchmarks of starts, of calls beside the compiler, and of memory: they run, and their figures have targets."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import memory, program_start, real_modules, warm_start
from benchmarks.fresh_process import run_in_fresh_process
from benchmarks.kernels import DIRECTORY
from benchmarks.large_modules import large_module, with_custom_section
from benchmarks.program_start import measure_program_start, start_program
from benchmarks.real_modules import RealModule, UnavailableError, module_file
from benchmarks.targets import targets
from farcall.engine import Engine
from tests.engine.guests import wasm

HELLO = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00hello\\0a")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (call $exit (i32.const 0))))"""

MODULE = RealModule("hello", "some-package==1.2", "some_package/hello.wasm", (("--version",),))


def silence(_text: str) -> None:
    pass


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """`some-package` on PyPI; the commands that fetched it."""
    commands: list[list[str]] = []
    fetch = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        if "download" not in command:
            return fetch(command, **options)
        commands.append(command)
        directory = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(directory / "some_package-1.2-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some_package/hello.wasm", wasm(HELLO))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(real_modules, "DIRECTORY", tmp_path / "modules")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(program_start, "REAL_MODULES", (MODULE,))
    return commands


def test_a_real_program_is_fetched_once_and_writes_the_same_everywhere(package: list[list[str]]) -> None:
    for _ in range(2):
        measured = measure_program_start(1, silence)
        assert measured["left_out"] == {}
        program = measured["programs"]["hello --version"]
        assert program["bytes"] == len(wasm(HELLO))
        assert min(program["seconds"].values()) > 0
    assert len(package) == 1
    assert package[0][-1] == "some-package==1.2"


def test_a_package_without_the_module_is_told_of(package: list[list[str]]) -> None:
    missing = RealModule("other", "some-package==1.2", "some_package/other.wasm", ())
    with pytest.raises(UnavailableError, match=r"some-package==1\.2 has no some_package/other\.wasm"):
        module_file(missing)


def test_what_cannot_be_fetched_is_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "trying\nERROR: No matching distribution\n")
    monkeypatch.setattr(real_modules, "DIRECTORY", tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_options: failed)
    monkeypatch.setattr(program_start, "REAL_MODULES", (MODULE,))
    reason = "pip cannot fetch some-package==1.2: ERROR: No matching distribution"
    assert measure_program_start(2, silence) == {"programs": {}, "left_out": {"hello": reason}}


def test_what_is_very_large_is_not_in_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    large = RealModule("large", "some-package==1.2", "large.wasm", ((),), once=True)
    monkeypatch.setattr(program_start, "REAL_MODULES", (large,))
    measured = measure_program_start(1, silence)
    assert measured == {"programs": {}, "left_out": {"large": "too large for a quick run"}}


def test_a_program_that_fails_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "fails.wasm"
    path.write_bytes(wasm(HELLO.replace("(call $exit (i32.const 0))", "unreachable")))
    for engine in program_start.ENGINES:
        with pytest.raises(RuntimeError, match=f"{engine} .* ended with status 1"):
            start_program(engine, path, ["fails"])


def test_all_ways_to_start_from_code_on_disk_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "module.wasm"
    path.write_bytes(large_module((DIRECTORY / "quicksort.wasm").read_bytes(), 2_000))
    run_in_fresh_process("benchmarks.warm_start", "fill", path, tmp_path, "fast")
    answers = [
        run_in_fresh_process("benchmarks.warm_start", way, path, tmp_path, "fast") for way in warm_start.WAYS
    ]
    assert len({answer["result"] for answer in answers}) == 1
    with Engine(code_policy="fast", cache=warm_start._cache(tmp_path)) as engine:
        compiled = engine.compile_module(engine.load_module(path.read_bytes()), ensure_termination=True)
        assert compiled.code.is_compiled(compiled.module.imported_function_count)
        assert engine.statistics().cache.hits == 2


def test_a_custom_section_makes_another_module_that_does_the_same() -> None:
    source = (DIRECTORY / "fibonacci.wasm").read_bytes()
    with Engine() as engine:
        module, other = (engine.load_module(each) for each in (source, with_custom_section(source, b"x")))
    assert module.digest != other.digest
    assert module.exports == other.exports


def test_what_rounds_leave_in_a_process_is_measured() -> None:
    measured = memory._measured(memory._rounds_in_an_engine(), 10, "self", silence)
    assert set(measured) == {"before", "after"}
    assert all(value > 0 for usage in measured.values() for value in usage.values())


def test_every_figure_has_a_target() -> None:
    usage = {"resident_bytes": 100_000_000}
    results = {
        "cold_start": {"ratios": {"1 MB": 0.9, "20 MB": 0.9}},
        "program_start": {
            "programs": {
                "small --version": {"bytes": 2_300_000, "ratio": 0.9},
                "large -V": {"bytes": 69_000_000, "ratio": 0.9},
            }
        },
        "warm_start": {
            "seconds": {
                "1 MB": {"farcall": 0.009},
                "20 MB": {"farcall": 0.2},
                "program --version": {"farcall": 1.0},
            }
        },
        "background": {"ratios": {"median": 1.0, "99th percentile": 2.5}},
        "memory": {
            "rounds": 1000,
            "engine": {"before": usage, "after": usage},
            "server": {"before": usage, "after": {"resident_bytes": 200_000_000}},
            "module_bytes": 30_000_000,
        },
    }
    assert {target.subject: target.met for target in targets(results)} == {
        "cold start of a module of 1 MB, farcall / wasmtime": True,
        "cold start of a module of 20 MB, farcall / wasmtime": False,
        "cold run of `small --version` (2.3 MB), farcall / wasmtime": True,
        "cold run of `large -V` (69.0 MB), farcall / wasmtime": False,
        "warm start of a module of 1 MB": True,
        "warm start of a module of 20 MB": False,
        "unary calls beside background compilation, median, of idle": True,
        "unary calls beside background compilation, 99th percentile, of idle": False,
        "memory that 1000 modules leave in engines when they are deleted": True,
        "memory that 1000 modules leave in servers when they are deleted": False,
        "memory for a module of 1 MB": True,
    }
