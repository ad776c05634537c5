"""Which calls are reached whenever a function returns: the same found by Python, and by the routine that validates."""

from __future__ import annotations

import pytest

from farcall.engine.binary import decode_module
from farcall.engine.binary.function_facts import read_facts
from farcall.engine.structure.module import Module
from farcall.engine.validation import validate_module
from tests.differential.native_agreement import disagreement
from tests.engine.guests import wasm

CODES = {
    "in order": ("(call 1) (call 2)", [1, 2]),
    "in a block": ("(block (call 1)) (loop (call 2))", [1, 2]),
    "in an if": ("(if (local.get 0) (then (call 1)) (else (call 2))) (call 3)", [3]),
    "in a block in an if": ("(if (local.get 0) (then (block (call 1)) (call 2))) (block (call 3))", [3]),
    "behind a branch": ("(block (br_if 0 (local.get 0)) (call 1)) (call 2)", [2]),
    "behind a branch out of more": (
        "(block (block (br_if 1 (local.get 0)) (call 1)) (call 2)) (call 3)",
        [3],
    ),
    "behind a branch, then a nearer one": (
        "(block (block (br_if 1 (local.get 0)) (block (br_if 0 (local.get 0))) (call 1)) (call 2)) (call 3)",
        [3],
    ),
    "behind a branch back": ("(loop (call 1) (br_if 0 (local.get 0)) (call 2)) (call 3)", [1, 2, 3]),
    "behind a branch that is always taken": ("(block (call 1) (br 0) (call 2)) (call 3)", [1, 3]),
    "behind a branch to the end": ("(call 1) (br_if 0 (local.get 0)) (call 2)", [1]),
    "behind a return": ("(call 1) (if (local.get 0) (then (return))) (call 2)", [1]),
    "behind a table of branches": ("(call 1) (block (br_table 0 0 (local.get 0))) (call 2)", [1]),
    "behind what traps": ("(if (local.get 0) (then (unreachable))) (call 1)", [1]),
    "tail calls": ("(call 1) (return_call 2)", [1, 2]),
    "where exceptions are caught": ("(block (try_table (catch_all 0) (call 1))) (call 2)", [1, 2]),
}


def certain_callees(code: str) -> tuple[Module, list[int]]:
    source = wasm(f"""(module
      (func (param i32) {code})
      (func) (func) (func))""")
    module = decode_module(source)
    validate_module(module)
    return module, read_facts(module, module.functions[0]).certain_callees


@pytest.mark.parametrize("name", CODES)
def test_calls_are_certain_that_nothing_leads_past(name: str) -> None:
    code, expected = CODES[name]
    module, found = certain_callees(code)
    assert found == expected
    assert disagreement(module.source) is None


def test_a_catch_of_the_former_proposal_is_not_certain() -> None:
    module, found = certain_callees("try call 1 catch_all call 2 end call 3")
    assert found == [1, 3]
    assert disagreement(module.source) is None
