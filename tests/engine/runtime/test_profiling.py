"""What is written for Linux `perf`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from farcall.engine.runtime.native.profiling import (
    JITDUMP_HEADER,
    JITDUMP_LOAD,
    JITDUMP_MAGIC,
    JitDump,
)

PROGRAM = """
import os, wasmtime
from farcall.engine import Engine, Store
wat = '(module $guest (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
with Engine(profiling={kind!r}) as engine, Store(engine) as store:
    instance = store.instantiate(engine.load_module(bytes(wasmtime.wat2wasm(wat))))
    assert instance.exports.add(2, 3) == 5
    print(os.getpid())
"""


def run(kind, directory):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(kind=kind)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[0])


def test_a_map_names_guest_functions_and_the_runtime(tmp_path):
    path = Path(f"/tmp/perf-{run('map', tmp_path)}.map")
    try:
        lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
    finally:
        path.unlink()
    ranges = {name: (int(start, 16), int(size, 16)) for start, size, name in lines}
    assert ranges["guest!add"][1] > 0
    assert ranges["farcall!call_host"][0] > 0


def test_a_jitdump_has_the_code(tmp_path):
    process = run("jitdump", tmp_path)
    content = (tmp_path / f"jit-{process}.dump").read_bytes()
    magic, version, position, _machine, _padding, recorded, _time, _flags = JITDUMP_HEADER.unpack_from(
        content
    )
    assert (magic, version, recorded) == (JITDUMP_MAGIC, 1, process)
    names = []
    while position < len(content):
        kind, total, _time, owner, _thread, vma, address, size, number = JITDUMP_LOAD.unpack_from(
            content, position
        )
        assert (kind, owner, vma, number) == (0, process, address, len(names))
        name, code = content[position + JITDUMP_LOAD.size : position + total].split(b"\0", 1)
        assert len(code) == size
        names.append(name.decode())
        position += total
    assert position == len(content)
    assert "guest!add" in names


def test_perf_can_see_that_a_jitdump_is_there(tmp_path):
    dump = JitDump(tmp_path)
    mapped = [
        line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(dump.path))
    ]
    dump.close()
    assert [line.split()[1] for line in mapped] == ["r-xp"]
