"""A function in all its forms: text that assembles to the same, and code that is what would run."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine import Engine, ExhaustionError, FunctionNotFoundError, Tier, inspect_function, lowering
from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.target import host_target
from farcall.engine.inspection import machine_code
from farcall.engine.inspection.immediate_text import TEXTS
from farcall.engine.instructions.instruction import Immediate
from farcall.engine.lowering import LoweringOptions, lower_functions
from farcall.engine.validation import validate_module

LINES = """\
local.get 0
i32.const -7
i32.add
if (result f64)
  f64.const 0.1
else
  f64.const -nan:0x4
end
drop
block
  block
    local.get 0
    br_table 0 1 0
  end
end
loop (type 1)
  i32.const 3
  local.get 0
  call_indirect 1 (type 0)
  drop
end
i32.const 8
i32.load16_u offset=12 align=1
drop
f32.const 1e+20
drop
f32.const -inf
drop
v128.const i32x4 0x00000001 0x80000000 0x00000003 0xffffffff
i32x4.extract_lane 3
drop
i32.const 0
i32.const 0
i32.const 0
memory.init 1 0
i32.const 0
i32.const 0
i32.const 0
memory.copy 0 1
i32.const 0
i32.const 0
i32.const 0
memory.copy
i32.const 0
i32.const 0
i32.const 0
table.init 1 0
ref.null func
ref.is_null
drop
i64.const -9223372036854775808
i64.const 2
local.get 0
select (result i64)
drop
local.get 0
return_call 0
"""

MODULE = """(module
 (type (func (param i32) (result i32)))
 (type (func))
 (tag)
 (memory 1) (memory 1)
 (table 1 funcref) (table 1 funcref)
 (data "abc") (elem funcref)
 (func $main (export "main") (type 0) (local i64 i64)
{code}
 ))"""

SIMPLE = """(module
 (import "env" "log" (func $log (param i32)))
 (memory 1)
 (func $twice (export "double") (param i32) (result i32)
  (i32.add (local.get 0) (i32.load offset=4 (local.get 0))))
 (func $tail (export "tail") (param i32) (result i32)
  (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
 (func (export "loop") (param i32) (result i32) (local i32)
  (loop (local.set 1 (i32.div_s (local.get 1) (local.get 0)))
   (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
   (br_if 0 (local.get 1)))
  (local.get 1)))"""


def loaded(text):
    module = decode_module(bytes(wasmtime.wat2wasm(text)))
    validate_module(module)
    return module


def test_every_kind_of_immediate_has_a_text():
    assert set(TEXTS) == set(Immediate)


def test_the_text_is_that_which_was_assembled():
    inspection = inspect_function(loaded(MODULE.format(code=LINES)), "main")
    lines = [line.text.removeprefix("  ") for line in inspection.wasm[1:-1]]
    assert "\n".join(lines) + "\n" == LINES
    assert inspection.wasm[-1].text == "end"
    assert inspection.wasm[0].text == "func (;0;) (type 0) (param i32) (result i32) (local i64 (; x 2 ;))"


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("name", ["double", "tail", "loop"])
def test_the_machine_code_is_what_is_compiled_without_looking(name, tier):
    module = loaded(SIMPLE)
    inspection = inspect_function(module, name, tier)
    body = module.functions[inspection.index - 1]
    target = host_target()
    lowering_tier = lowering.Tier.FAST if tier is Tier.FAST else lowering.Tier.OPTIMIZED
    options = LoweringOptions(True, False, target.capabilities, tier=lowering_tier)
    text = lower_functions(module, context_layout(module), options, [body])
    optimization = Optimization.FAST if tier is Tier.FAST else Optimization.FULL
    ordinary = read_object(compile_to_object(text, target, optimization))
    functions = machine_code.disassemble_object(
        compile_to_object(text, target, optimization), target.architecture
    )
    assert any(symbol.is_function and symbol.size for symbol in ordinary.symbols)
    plain = [instruction.content for function in functions for instruction in function.instructions]
    assert [line.content for line in inspection.machine if line.address is not None] == plain


@pytest.mark.parametrize("tier", Tier)
def test_every_form_says_which_instruction_it_belongs_to(tier):
    inspection = inspect_function(loaded(SIMPLE), "twice", tier)
    load = next(line.offset for line in inspection.wasm if line.text.strip() == "i32.load offset=4")
    add = next(line.offset for line in inspection.wasm if line.text.strip() == "i32.add")
    for form in (inspection.lowered, inspection.passed):
        assert any(line.offset == load and "load volatile i32" in line.text for line in form)
        assert any(line.offset == add and "= add" in line.text for line in form)
        assert not any("!dbg" in line.text or "!DI" in line.text for line in form)
    offsets = {line.offset for line in inspection.machine}
    assert offsets <= {line.offset for line in inspection.wasm}
    assert add in offsets


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("twise", "the module has no function 'twise'; near names: 'twice'"),
        ("0", "function 0 is imported, 'env' 'log': the module has no code of it"),
        ("4", "the module has no function 4: it has 4, counted from 0"),
        ("-1", "the module has no function '-1'; it has 4 functions, by index from 0 to 3"),
    ],
)
def test_what_is_no_function_of_the_module_is_told(function, message):
    with pytest.raises(FunctionNotFoundError) as caught:
        inspect_function(loaded(SIMPLE), function)
    assert str(caught.value) == message


def test_a_function_that_is_too_large_to_be_shown_is_refused():
    code = "nop\n" * (1 << 18)
    with pytest.raises(ExhaustionError, match="at most 262144 are shown"):
        inspect_function(loaded(f'(module (func (export "f") {code}))'), "f")


def test_statistics_count_functions_by_tier_and_module():
    with Engine(code_policy="optimized") as engine:
        module = engine.load_module(bytes(wasmtime.wat2wasm(SIMPLE)))
        engine.compile_module(module)
        engine.compile_module(module)
        statistics = engine.statistics().compilation
        fast, optimized = statistics.tiers
        assert (fast.tier, fast.functions, optimized.tier, optimized.functions) == ("fast", 0, "optimized", 3)
        assert optimized.code_bytes > 0
        (memory,) = statistics.cache_places
        assert (memory.hits, memory.misses, memory.entries) == (1, 1, 1)
        (entry,) = statistics.modules
        assert (entry.digest, entry.uncompiled, entry.fast, entry.optimized) == (module.digest, 0, 0, 3)
        engine.delete_compiled_module(module)
        assert engine.statistics().compilation.modules == ()
