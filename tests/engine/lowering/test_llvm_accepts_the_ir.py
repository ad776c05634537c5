"""What the lowering writes, LLVM parses, verifies and compiles: for both machines, with every choice of options."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import wasmtime

from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.target import Target
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.lowering import LoweringOptions, lower_functions

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.wat"))
COMPILED_FROM_C = sorted((Path(__file__).parents[3] / "benchmarks" / "kernels").glob("*.wasm"))
TARGETS = (
    Target("x86_64-unknown-linux-gnu", "x86-64", ""),
    Target("aarch64-unknown-linux-gnu", "generic", ""),
)
OPTIONS = [LoweringOptions(*choice) for choice in itertools.product((False, True), repeat=2)]


def decoded(path: Path):
    content = path.read_bytes()
    return decode_module(content if path.suffix == ".wasm" else bytes(wasmtime.wat2wasm(content)))


def compiled_symbols(text: str, target: Target, optimization: Optimization) -> dict[str, int]:
    compiled = read_object(compile_to_object(text, target, optimization))
    return {symbol.name: symbol.size for symbol in compiled.symbols if symbol.section is not None}


@pytest.mark.parametrize("optimization", Optimization)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.architecture)
@pytest.mark.parametrize("path", [*GOLDEN, *COMPILED_FROM_C], ids=lambda path: path.name)
def test_every_function_gets_code(path, target, optimization):
    module = decoded(path)
    for options in OPTIONS:
        text = lower_functions(module, context_layout(module), options, module.functions)
        symbols = compiled_symbols(text, target, optimization)
        for body in module.functions:
            assert symbols[f"f{body.index}"] > 0


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_functions_can_be_lowered_one_by_one(path):
    module = decoded(path)
    layout = context_layout(module)
    together = lower_functions(module, layout, OPTIONS[0], module.functions)
    for body in module.functions:
        alone = lower_functions(module, layout, OPTIONS[0], [body])
        symbols = compiled_symbols(alone, TARGETS[0], Optimization.FAST)
        assert [name for name in symbols if name[0] == "f"] == [f"f{body.index}"]
        definition = alone[alone.index("define") : alone.index("\n}\n")]
        assert definition in together


@pytest.mark.parametrize(
    "row", [row for row in INSTRUCTIONS if row.emit and row.prefix != 0xFD], ids=lambda row: row.name
)
def test_every_template_is_lowered_with_operands_and_with_constants(row):
    names = [parameter.name for parameter in row.parameters]
    operands = " ".join(f"(local.get {position})" for position in range(len(names)))
    constants = " ".join("(ref.null eq)" if name == "eqref" else f"({name}.const 7)" for name in names)
    result = row.results[0].name
    module = decode_module(
        bytes(
            wasmtime.wat2wasm(
                f"(module (func (param {' '.join(names)}) (result {result} {result})"
                f" ({row.name} {operands}) ({row.name} {constants})))"
            )
        )
    )
    text = lower_functions(module, context_layout(module), OPTIONS[0], module.functions)
    for target, optimization in itertools.product(TARGETS, Optimization):
        assert compiled_symbols(text, target, optimization)["f0"] > 0
