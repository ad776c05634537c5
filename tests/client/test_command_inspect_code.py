"""`farcall inspect --code`: a function of a file and of a server's module, on a terminal, in a pipe and as JSON."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
import wasmtime
from command_line_support import CommandLine
from real_server import FARCALL

from farcall.client.types import CodeTier

COMPILED = Path(__file__).parents[2] / "examples" / "word_count.wasm"
"""What a C compiler made, of C, without a name section."""

KERNEL = Path(__file__).parents[2] / "benchmarks" / "kernels" / "interpreter.wasm"
"""Likewise, with much that it has in memory."""

NAMELESS = """(module (type $pair (struct (field (mut i32))))
  (import "env" "log" (func (param i32))) (tag $t (param i32)) (memory 1)
  (func (param i32) (result i32) (i32.load offset=70000 (local.get 0)))
  (func (export "vector") (param i32) (result i32)
    (i32x4.extract_lane 1 (i32x4.mul (v128.load (local.get 0)) (v128.const i32x4 1 2 3 4))))
  (func (export "caught") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $t $h) (throw $t (local.get 0)))))
  (func (export "object") (param i32) (result i32) (local (ref null $pair))
    (local.set 1 (struct.new $pair (local.get 0))) (struct.get $pair 0 (local.get 1))))"""


@pytest.fixture
def farcall(server, capfd):
    return CommandLine(capfd, "--server", server.address)


@pytest.fixture
def nameless(tmp_path):
    path = tmp_path / "nameless.wasm"
    path.write_bytes(wasmtime.wat2wasm(NAMELESS))
    return path


@pytest.mark.parametrize("tier", [tier.value for tier in CodeTier])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_file_and_the_servers_module_show_the_same(farcall, tier, options):
    digest = farcall("upload", COMPILED).out.strip()
    here, there = (
        farcall("inspect", what, "--code", "_start", "--tier", tier, *options).out
        for what in (COMPILED, digest[:16])
    )
    assert here == there
    if options:
        assert json.loads(here)["tier"] == tier
    else:
        assert re.fullmatch(rf"function \d+ '_start', {tier} code for [\w-]+", here.splitlines()[0])
        assert re.findall(r"^== (.*)$", here, re.MULTILINE) == [
            "Wasm",
            "LLVM IR as lowered",
            "LLVM IR after the passes" + (" (none in this tier)" if tier == "fast" else ""),
            "machine code",
        ]


@pytest.mark.parametrize("function", ["1", "2", "vector", "caught", "object"])
def test_functions_of_all_kinds_are_shown_without_a_name_section(farcall, nameless, function):
    for tier in CodeTier:
        code = json.loads(
            farcall("inspect", nameless, "--code", function, "--tier", tier.value, "--json").out
        )
        assert code["name"] == (None if function == "1" else "vector" if function == "2" else function)
        assert all(code[form] for form in ("wasm", "lowered", "passed", "machine"))
        offsets = {line["offset"] for line in code["wasm"]}
        assert {line["offset"] for form in ("lowered", "machine") for line in code[form]} <= offsets


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("start", "the module has no function 'start'; near names: '_start'"),
        ("100000", "the module has no function 100000: it has "),
        ("0", "function 0 is imported, 'wasi_snapshot_preview1' "),
    ],
)
def test_what_cannot_be_shown_is_told_alike_here_and_there(farcall, function, message):
    digest = farcall("upload", COMPILED).out.strip()
    for module in (COMPILED, digest):
        ended = farcall("inspect", module, "--code", function, status=1)
        assert ended.out == ""
        assert ended.err.startswith(f"error: {message}")


def test_each_access_of_compiled_code_stands_with_its_instruction(farcall):
    """Of the fast tier's code, which keeps instructions apart: the constant offset says which access it is."""
    code = json.loads(farcall("inspect", KERNEL, "--code", "0", "--tier", "fast", "--json").out)
    texts = {line["offset"]: line["text"] for line in code["wasm"]}
    seen = 0
    for line in code["machine"]:
        place = re.search(r"\[r\w+ \+ r\w+ \+ (0x[0-9a-f]{4,})\]", line["text"])
        if place:
            seen += 1
            assert f"offset={int(place[1], 16)}" in texts[line["offset"]].split()
    assert seen > 5


def test_what_is_too_large_to_be_optimised_by_the_server_is_shown_all_the_same(farcall, tmp_path):
    steps = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 77)) (i32.load (local.get 0))))" * 400
    path = tmp_path / "large.wasm"
    path.write_bytes(
        wasmtime.wat2wasm(
            f'(module (memory 1) (func (export "f") (param i32) (result i32) {steps} (local.get 0)))'
        )
    )
    digest = farcall("upload", path).out.strip()
    here, there = (farcall("inspect", what, "--code", "f") for what in (path, digest))
    assert "'f', optimized code" in here.out
    assert here.err == ""
    assert "'f', fast code" in there.out
    assert there.err.startswith("warning: function 0 is too complex to be optimized, or too large")


@pytest.mark.parametrize("columns", [60, 200])
def test_a_wide_terminal_has_columns_and_a_narrow_one_blocks(columns):
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [*FARCALL, "inspect", COMPILED, "--code", "_start"], stdout=theirs, stdin=theirs, env=environment
    ) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            out += part
        os.close(ours)
    assert process.returncode == 0
    text = out.decode()
    if columns == 60:
        assert "== machine code" in text
    else:
        assert "== machine code" not in text
        assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())) <= columns
        assert "│" in text
