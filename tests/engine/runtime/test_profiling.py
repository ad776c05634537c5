"""What is written for Linux `perf`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


LONG = """
import os, wasmtime
from farcall.engine import Engine, Store
wat = '''(module $guest (func $spin (export "spin") (param i64) (result i64) (local i64)
  (loop (local.set 1 (i64.add (i64.mul (local.get 1) (i64.const 5)) (i64.const 1)))
    (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
  (local.get 1)))'''
with Engine() as engine, Store(engine) as store:
    store.instantiate(engine.load_module(bytes(wasmtime.wat2wasm(wat)))).exports.spin(500_000_000)
print(os.getpid())
"""


def perf(directory, *arguments):
    done = subprocess.run(["perf", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["map", "jitdump"])
def test_perf_names_guest_functions(kind, tmp_path):
    if shutil.which("perf") is None:
        pytest.skip("perf is not installed (Debian: linux-perf)")
    record = ["perf", "record", "-e", "cpu-clock", "-k", "mono", "-g", "-N", "-o", "perf.data"]
    allowed = subprocess.run([*record, "true"], cwd=tmp_path, capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"this user may not record with perf: {allowed.stderr.strip()}")
    environment = {
        **os.environ,
        "FARCALL_PERF": kind,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path))),
        "JITDUMPDIR": str(tmp_path),
    }
    recorded = subprocess.run(
        [*record, sys.executable, "-c", LONG],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        report, annotated = what_perf_tells(kind, tmp_path)
    finally:
        Path(f"/tmp/perf-{int(recorded.stdout.split()[0])}.map").unlink(missing_ok=True)
    shares = [line.split("%", 1)[0] for line in report.splitlines() if "guest!spin" in line]
    assert sum(map(float, shares)) > 10
    assert kind == "map" or "guest!spin()" in annotated


def what_perf_tells(kind, directory):
    """The report, and what is annotated where there is the code."""
    data = "perf.data"
    if kind == "jitdump":
        perf(directory, "inject", "--jit", "-i", data, "-o", "perf.jit.data")
        data = "perf.jit.data"
    options = ("--stdio", "--no-children", "-g", "none", "-F", "overhead,symbol")
    report = perf(directory, "report", "-i", data, *options)
    if kind == "map":
        return report, ""
    return report, perf(directory, "annotate", "-i", data, "--stdio", "-s", "guest!spin")
