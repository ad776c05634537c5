"""Every vector instruction gets code: for machines that have much and for those that have little."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.target import Target
from farcall.engine.instructions.instruction import Feature, Immediate
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.lowering import LoweringOptions, lower_functions
from farcall.engine.validation import validate_module

ROWS = [row for row in INSTRUCTIONS if row.feature in (Feature.SIMD, Feature.RELAXED_SIMD)]
X86_FEATURES = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+fma"
MACHINES = {
    "x86-64": Target("x86_64-unknown-linux-gnu", "x86-64", ""),
    "x86-64 with SSSE3": Target("x86_64-unknown-linux-gnu", "x86-64", "+sse,+sse2,+sse3,+ssse3"),
    "x86-64 with AVX and FMA": Target("x86_64-unknown-linux-gnu", "x86-64", X86_FEATURES),
    "AArch64": Target("aarch64-unknown-linux-gnu", "generic", ""),
}

IMMEDIATES = {
    Immediate.LANE: "1",
    Immediate.LANES: " ".join(str(31 - lane) for lane in range(16)),
    Immediate.VECTOR: "i32x4 1 2 3 4",
    Immediate.MEMORY_ACCESS: "offset=3",
}


def text_of(row, operands):
    immediates = " ".join(IMMEDIATES[immediate] for immediate in row.immediates)
    return f"({row.name} {immediates} {' '.join(operands)})"


def function(row):
    """The instruction on operands, and on constants."""
    names = [parameter.name for parameter in row.parameters]
    variables = [f"(local.get {position})" for position in range(len(names))]
    constants = [f"({name}.const {'i64x2 7 9' if name == 'v128' else 7})" for name in names]
    drop = "(drop {})" if row.results else "{}"
    parameters = f"(param {' '.join(names)})" if names else ""
    result = f"(result {row.results[0].name})" if row.results else ""
    return f"(func {parameters} {result} {drop.format(text_of(row, constants))} {text_of(row, variables)})"


@pytest.fixture(scope="module")
def module():
    module = decode_module(
        bytes(wasmtime.wat2wasm(f"(module (memory 1) {' '.join(function(row) for row in ROWS)})"))
    )
    validate_module(module)
    return module


@pytest.mark.parametrize("optimization", Optimization)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_vector_instruction_gets_code(module, machine, optimization):
    target = MACHINES[machine]
    options = LoweringOptions(False, False, target.capabilities)
    text = lower_functions(module, context_layout(module), options, module.functions)
    compiled = read_object(compile_to_object(text, target, optimization))
    sizes = {symbol.name: symbol.size for symbol in compiled.symbols}
    for body, row in zip(module.functions, ROWS, strict=True):
        assert sizes[f"f{body.index}"] > 0, row.name
    if "AVX" in machine or machine == "AArch64":
        # Nothing is left to functions of a library, as rounding is without SSE4.1, that of scalars too.
        outside = {symbol.name for symbol in compiled.symbols if symbol.section is None}
        assert outside <= {"", "<string>"}


def test_there_are_all_of_them():
    features = [row.feature for row in ROWS]
    assert (features.count(Feature.SIMD), features.count(Feature.RELAXED_SIMD)) == (236, 20)
    assert all(row.prefix == 0xFD for row in ROWS)


def test_machines_take_the_first_template_that_they_have_something_for():
    (row,) = (row for row in ROWS if row.name == "i8x16.swizzle")
    assert "neon.tbl1" in row.operation(frozenset({"aarch64", "ssse3"}))("v", "%a", "%b", "")
    assert "pshuf.b" in row.operation(frozenset({"x86_64", "ssse3"}))("v", "%a", "%b", "")
    assert "llvm" not in row.operation(frozenset({"x86_64"}))("v", "%a", "%b", "")


def test_a_targets_capabilities_are_its_architecture_and_features():
    target = Target("aarch64-unknown-linux-gnu", "generic", "+neon,-sve,+dotprod")
    assert target.capabilities == {"aarch64", "neon", "dotprod"}
