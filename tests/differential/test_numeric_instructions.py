"""Every numeric instruction gives what wasmtime gives, with operands from run time and with constant ones."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farcall.engine.instructions.table import INSTRUCTIONS

from .case import Case
from .farcall_subject import run_on_farcall
from .module_encoder import ModuleEncoder, constant, instruction
from .program_generator import CANONICAL_NAN, SIGNIFICANT_BITS, interesting_bits, is_nan

NUMERIC = [
    row
    for row in INSTRUCTIONS
    if row.template is not None
    and row.prefix != 0xFD
    and not any(value.is_reference for value in (*row.parameters, *row.results))
]
FAMILIES = {
    name: [row for row in NUMERIC if row.parameters[0].name == name] for name in ("i32", "i64", "f32", "f64")
}
AS_INTEGER = {"i32": "i32", "i64": "i64", "f32": "i32", "f64": "i64"}
WIDTH = {"i32": 32, "i64": 64, "f32": 32, "f64": 64}
EXACT_NANS = ("abs", "neg", "copysign", "reinterpret")
"""Instructions whose NaNs are determined (section 4.3.3)."""


def interesting_values(type_name):
    """Values around which an instruction changes what it does."""
    width = WIDTH[type_name]
    powers = [1 << exponent for exponent in (0, 1, 7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63)]
    if type_name[0] == "i":
        near = [power + step for power in powers for step in (-1, 0, 1)]
        return sorted({value & (1 << width) - 1 for number in (0, *near) for value in (number, -number)})
    significand = SIGNIFICANT_BITS[type_name]
    bias = (1 << width - significand - 2) - 1
    infinity = (1 << width - 1) - (1 << significand)
    magnitudes = {0, 1, (1 << significand) - 1, 1 << significand, infinity - 1, infinity}
    magnitudes |= {infinity + 1, CANONICAL_NAN[type_name], CANONICAL_NAN[type_name] + 5}
    for exponent in (
        -1,
        0,
        1,
        7,
        8,
        15,
        16,
        23,
        24,
        31,
        32,
        52,
        53,
        63,
        64,
    ):  # halves and the bounds of integers
        power = bias + exponent << significand
        magnitudes |= {power - 1, power, power + 1, power | 1 << significand - 1}
    return sorted(magnitudes | {magnitude | 1 << width - 1 for magnitude in magnitudes})


def operand_sets(row):
    """Operands to try: all for one operand, for two a sample of the pairs with all that are equal."""
    values = [interesting_values(operand.name) for operand in row.parameters]
    everything = list(itertools.product(*values))
    if len(everything) <= 400:
        return everything
    equal = [(value, value) for value in values[0]]
    return random.Random(row.name).sample(everything, 400) + equal


def to_type(code, type_name):
    """Turn an integer of that width into the type."""
    integer = AS_INTEGER[type_name]
    return code if integer == type_name else code + instruction(f"{type_name}.reinterpret_{integer}")


def to_integer(code, type_name):
    """Turn a number into an integer of its width: what Python sees of a NaN is then exact in both engines."""
    integer = AS_INTEGER[type_name]
    return code if integer == type_name else code + instruction(f"{integer}.reinterpret_{type_name}")


def add_function(encoder, row, export, constants=()):
    """A function that applies one instruction; operands that `constants` does not give are its parameters."""
    constants = constants or (None,) * len(row.parameters)
    parameters, code = [], b""
    for operand, bits in zip(row.parameters, constants, strict=True):
        if bits is None:
            code += to_type(instruction("local.get", len(parameters)), operand.name)
            parameters.append(AS_INTEGER[operand.name])
        elif operand.name[0] == "f" and is_nan(operand.name, bits):
            code += to_type(constant(AS_INTEGER[operand.name], bits), operand.name)
        else:
            code += constant(operand.name, bits)
    result = row.results[0].name
    signature = (tuple(parameters), (AS_INTEGER[result],))
    encoder.function(signature, to_integer(code + instruction(row.name), result), export=export)


def same(row, operands, ours, theirs):
    """Whether two outcomes agree, as far as the specification determines them."""
    result = row.results[0].name
    if isinstance(ours, str) or isinstance(theirs, str) or result[0] == "i":
        return ours == theirs
    if not (is_nan(result, ours[0]) and is_nan(result, theirs[0])) or any(
        word in row.name for word in EXACT_NANS
    ):
        return ours == theirs
    canonical = CANONICAL_NAN[result]
    magnitude = ours[0] & (1 << WIDTH[result] - 1) - 1
    arithmetic_inputs = any(
        is_nan(operand.name, bits)
        and bits & (1 << WIDTH[operand.name] - 1) - 1 != CANONICAL_NAN[operand.name]
        for operand, bits in zip(row.parameters, operands, strict=True)
    )
    return magnitude & canonical == canonical if arithmetic_inputs else magnitude == canonical


def differences(rows_and_operands, ours, theirs):
    return [
        f"{row.name} of {[hex(bits) for bits in operands]}: farcall {show(our)}, wasmtime {show(their)}"
        for (row, operands), our, their in zip(rows_and_operands, ours.outcomes, theirs.outcomes, strict=True)
        if not same(row, operands, our, their)
    ]


def show(outcome):
    return outcome if isinstance(outcome, str) else hex(outcome[0])


def compare(engine, oracle, module, tried, calls, *, ensure_termination=False):
    case = Case(module, tuple(calls))
    ours = run_on_farcall(engine, case, ensure_termination=ensure_termination)
    assert differences(tried, ours, oracle.run(case)) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_interesting_operands(engine, oracle, family):
    encoder = ModuleEncoder()
    tried = []
    for row in FAMILIES[family]:
        add_function(encoder, row, row.name)
        tried += [(row, operands) for operands in operand_sets(row)]
    assert len(tried) > 1000
    compare(engine, oracle, encoder.encode(), tried, [(row.name, operands) for row, operands in tried])


@pytest.mark.parametrize("which", ["first", "last", "all"])
@pytest.mark.parametrize("family", FAMILIES)
def test_constant_operands(engine, oracle, family, which):
    """LLVM computes with constants itself: it must come to what the processor comes to."""
    encoder = ModuleEncoder()
    tried, calls = [], []
    for row in FAMILIES[family]:
        source = random.Random(row.name + which)
        for operands in source.sample(operand_sets(row), 24):
            constants = list(operands)
            if which != "all" and len(operands) == 2:
                constants[0 if which == "last" else 1] = None
            elif which != "all":
                break
            export = f"{row.name} {len(tried)}"
            add_function(encoder, row, export, tuple(constants))
            given_at_run_time = [
                bits for bits, fixed in zip(operands, constants, strict=True) if fixed is None
            ]
            tried.append((row, operands))
            calls.append((export, tuple(given_at_run_time)))
    assert len(tried) >= 24 * 5
    compare(engine, oracle, encoder.encode(), tried, calls, ensure_termination=True)


@pytest.fixture(scope="session")
def all_instructions():
    encoder = ModuleEncoder()
    for row in NUMERIC:
        add_function(encoder, row, row.name)
    return encoder.encode()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.randoms(use_true_random=True),
    st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), min_size=1, max_size=8),
)
def test_random_operands(engine, oracle, all_instructions, source, pairs):
    tried = []
    for row in NUMERIC:
        for pair in pairs:
            widths = [WIDTH[operand.name] for operand in row.parameters]
            drawn = [bits & (1 << width) - 1 for bits, width in zip(pair, widths, strict=False)]
            tried.append((row, tuple(drawn)))
        tried.append((row, tuple(interesting_bits(source, operand.name) for operand in row.parameters)))
    compare(engine, oracle, all_instructions, tried, [(row.name, operands) for row, operands in tried])
