"""The IR of small modules is what stands beside them: a change of the lowering shows as a change of these files.

Written anew with FARCALL_BLESS=1 in the environment. A first line such as `;; options: listeners`
chooses the options; without it, loops and calls check for a request to stop.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime

from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.lowering import LoweringOptions, lower_functions
from farcall.engine.lowering.metadata import DEFINITIONS
from farcall.engine.validation import validate_module

GOLDEN = Path(__file__).parent / "golden"
SOURCES = sorted(GOLDEN.glob("*.wat"))
OPTIONS = {
    "listeners": LoweringOptions(ensure_termination=False, listeners=True),
    "plain": LoweringOptions(ensure_termination=False, listeners=False),
    "aarch64": LoweringOptions(ensure_termination=True, listeners=False, capabilities=frozenset({"aarch64"})),
}
STOPPABLE = LoweringOptions(ensure_termination=True, listeners=False)


def lowered(source: Path) -> str:
    text = source.read_text()
    module = decode_module(bytes(wasmtime.wat2wasm(text)))
    validate_module(module)
    options = OPTIONS.get(text.partition("\n")[0].removeprefix(";; options: "), STOPPABLE)
    return lower_functions(module, context_layout(module), options, module.functions)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_ir_is_as_blessed(source):
    text = lowered(source)
    assert text.endswith(DEFINITIONS)
    expected = source.with_suffix(".ll")
    functions = text.removesuffix(DEFINITIONS)
    if os.environ.get("FARCALL_BLESS"):
        expected.write_text(functions)
    assert functions == expected.read_text(), "if this is meant, bless it: FARCALL_BLESS=1"


def test_every_blessed_file_belongs_to_a_module():
    assert {source.stem for source in SOURCES} == {file.stem for file in GOLDEN.glob("*.ll")}
