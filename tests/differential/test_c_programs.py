"""Programs that a C compiler makes, at several levels of optimisation, do what they do on wasmtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .case import Case
from .farcall_subject import run_on_farcall

PROGRAMS = Path(__file__).parent / "programs"
SEEDS = (0, 1, 13, 2**31 - 1, -7)


def compile_c(source, optimisation, directory):
    """The bytes of a module that exports `run` and its memory."""
    output = directory / "program.wasm"
    target = ["-target", "wasm32-freestanding", "-nostdlib", "-fno-sanitize=all"]
    link = ["-Wl,--no-entry", "-Wl,--export-memory", "-Wl,-z,stack-size=65536"]
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *target,
        optimisation,
        *link,
        "-o",
        str(output),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    return output.read_bytes()


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.c")))
def test_c_programs(engine, oracle, tmp_path, program, optimisation):
    module = compile_c(PROGRAMS / f"{program}.c", optimisation, tmp_path)
    case = Case(module, tuple(("run", (seed & 0xFFFFFFFF,)) for seed in SEEDS), "memory")
    theirs = oracle.run(case)
    assert len({outcome for outcome in theirs.outcomes if isinstance(outcome, tuple)}) == len(SEEDS) - (
        program == "interpreter"  # where one seed leads to a trap
    )
    for ensure_termination in (False, True):
        assert run_on_farcall(engine, case, ensure_termination=ensure_termination) == theirs
