"""The examples: their committed bytes are what the sources give, and their halves of the memory do not overlap."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import APPLICATION, LIBRARY
from farcall.engine import Engine, Global, Store
from tools import compile_c


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, without what is compiled from them, that compile_c works on."""
    for folder in (compile_c.EXAMPLES, compile_c.KERNELS):
        shutil.copytree(
            folder, tmp_path / folder.relative_to(compile_c.ROOT), ignore=shutil.ignore_patterns("*.wasm")
        )
    monkeypatch.setattr(compile_c, "EXAMPLES", tmp_path / compile_c.EXAMPLES.relative_to(compile_c.ROOT))
    monkeypatch.setattr(compile_c, "KERNELS", tmp_path / compile_c.KERNELS.relative_to(compile_c.ROOT))
    monkeypatch.setattr(compile_c, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("group", ["examples", "kernels"])
def test_committed_binaries_are_what_the_sources_compile_to(group: str, sources: Path) -> None:
    original = Path(__file__).resolve().parents[2]
    {"examples": compile_c.compile_examples, "kernels": compile_c.compile_kernels}[group]()
    compiled = {path.relative_to(sources): path.read_bytes() for path in sources.rglob("*.wasm")}
    folder = "examples" if group == "examples" else "benchmarks/kernels"
    committed = {path.relative_to(original): path.read_bytes() for path in (original / folder).glob("*.wasm")}
    assert compiled.keys() == committed.keys()
    stale = [str(path) for path, content in compiled.items() if content != committed[path]]
    assert not stale, f"run `make {group}`: {stale} differ from their sources"


def test_the_application_stays_below_the_library_in_their_memory() -> None:
    with Engine() as engine, Store(engine) as store:
        library = store.instantiate(engine.load_module(LIBRARY.read_bytes()))
        imports = {"library": library, "env": library}
        application = store.instantiate(engine.load_module(APPLICATION.read_bytes()), imports)
        application_ends, library_begins = (
            instance.global_(name).value
            for instance, name in ((application, "__heap_base"), (library, "__global_base"))
        )
        assert isinstance(library.global_("__global_base"), Global)
        assert compile_c.APPLICATION_BASE < application_ends <= library_begins == compile_c.LIBRARY_BASE


def test_the_library_merges_released_blocks_and_grows_its_memory() -> None:
    with Engine() as engine, Store(engine) as store:
        exports = store.instantiate(engine.load_module(LIBRARY.read_bytes())).exports
        before = exports.memory.pages
        blocks = [exports.allocate(40_000) for _ in range(10)]
        assert len(set(blocks)) == 10
        assert exports.memory.pages > before
        for block in blocks:
            exports.release(block)
        assert exports.allocated_bytes() == 0
        assert exports.allocate(400_000) == blocks[0], "ten neighbours, released, are one block again"
        assert exports.allocate(-32) == 0, "four gigabytes are not to be had"


def test_the_demo_finds_every_result_right() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "examples.demo"], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert re.search(r"\b(\d+) of \1 results right", finished.stdout)


def test_the_demo_fails_where_a_result_is_wrong() -> None:
    program = (
        "import sys; from examples import demo, expected\n"
        "expected.brightness = lambda pixels: 0.5\n"
        "sys.exit(demo.main())"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "but 0.5 is right" in finished.stdout
