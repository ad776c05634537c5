"""Instantiations are stopped while they evaluate long element segments."""

from __future__ import annotations

import pytest

from farcall.engine import TerminatedError
from farcall.engine.runtime import module_engine
from tests.engine.guests import wasm

COUNT = 20_000


@pytest.mark.parametrize("segment", ["func" + " $f" * COUNT, "externref" + " (ref.null extern)" * COUNT])
@pytest.mark.parametrize("where", ["", "(table $t 20000 {type})"])
def test_a_long_element_segment(engine, store, monkeypatch, segment, where):
    kind = "funcref" if segment.startswith("func") else "externref"
    place = "(table $t) (i32.const 0)" if where else ""
    source = wasm(f"(module {where.format(type=kind)} (func $f) (elem {place} {segment}))")
    instantiation = store.instantiation(engine.load_module(source))
    # Functions are kept packed, and never evaluated as expressions.
    packed = kind == "funcref"
    owner, name = (
        (module_engine.NativeModuleEngine, "function_instance_reference")
        if packed
        else (module_engine, "evaluate")
    )
    evaluate, evaluated = getattr(owner, name), 0

    def stopping(*arguments):
        nonlocal evaluated
        evaluated += 1
        if evaluated == 10:
            instantiation.terminate("enough")
        return evaluate(*arguments)

    monkeypatch.setattr(owner, name, stopping)
    with pytest.raises(TerminatedError, match="enough"):
        instantiation.run()
    assert 10 <= evaluated < COUNT // 2
    assert store.instance_count == 0
    monkeypatch.undo()
    store.instantiate(engine.load_module(source))
