"""A C program uses files through the C library: as a guest it prints what it prints natively."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.system_calls import kernel_has_openat2
from farcall.engine.host.wasi.streams import BytesOutput
from farcall.engine.host.wasi.system import WasiSystem

SOURCE = Path(__file__).parent / "programs" / "posix_files.c"

SAID_NATIVELY = SOURCE.with_suffix(".txt")
"""What the program prints on Linux, compiled by `cc -o program posix_files.c` and run in an empty directory."""


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> bytes:
    output = tmp_path_factory.mktemp("program") / "program.wasm"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        "wasm32-wasi",
        "-O1",
        "-w",
        "-o",
        str(output),
        str(SOURCE),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    return output.read_bytes()


@pytest.mark.parametrize("kind", ["memory", "openat2", "walk"])
def test_files_are_used_as_natively(kind, program, store, tmp_path):
    files = (
        MemoryFileSystem()
        if kind == "memory"
        else HostDirectory(tmp_path, openat2=kind == "openat2" and kernel_has_openat2())
    )
    output = BytesOutput()
    system = WasiSystem(["files"], output=output)
    system.add_directory("/", files.open_root(system.program.handles))
    instance = store.instantiate(store.engine.load_module(program), system.imports)
    instance.exports._start()
    assert output.content.decode().splitlines() == SAID_NATIVELY.read_text().splitlines()
    instance.close()
    assert len(system.program.handles) == 0
    files.close()
