"""The official test suite of WASI preview 1, as its runner runs it: each program by `farcall run --local`.

https://github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base, which has the compiled programs. It is looked
for in `../shared/wasi-testsuite`, or where `FARCALL_WASI_TESTSUITE` says.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from command_line_support import in_a_process

_HOME = Path(__file__).parents[2]
SUITE = Path(os.environ.get("FARCALL_WASI_TESTSUITE", _HOME.parent / "shared" / "wasi-testsuite"))
PROGRAMS = sorted(SUITE.glob("tests/*/testsuite/wasm32-wasip1/*.wasm"))

_MISSING = (
    f"no WASI test suite in {SUITE}: clone the repository WebAssembly/wasi-testsuite, branch prod/testsuite-base,"
    " and set FARCALL_WASI_TESTSUITE to the clone"
)


def test_the_suite_is_there():
    if not PROGRAMS:
        pytest.skip(_MISSING)
    assert len(PROGRAMS) >= 72


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_official_suite(program, tmp_path):
    settings = program.with_suffix(".json")
    wanted = json.loads(settings.read_text()) if settings.exists() else {}
    unknown = wanted.keys() - {"args", "env", "root", "exit_code", "stdout", "stderr"}
    assert not unknown, "what this test knows nothing of"
    options = [text for name, value in wanted.get("env", {}).items() for text in ("--env", f"{name}={value}")]
    if "root" in wanted:
        root = tmp_path / "root"
        shutil.copytree(program.parent / wanted["root"], root)
        options += ["--dir", f"{root}::/"]
    ended = in_a_process("run", "--local", *options, program, *wanted.get("args", ()))
    assert ended.returncode == wanted.get("exit_code", 0), ended.stderr.decode()
    for stream in ("stdout", "stderr"):
        if stream in wanted:
            assert getattr(ended, stream).decode() == wanted[stream]
