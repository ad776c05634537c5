"""HostFailure: a host function ends its guest with a message, and the backtrace comes along."""

import pytest
from wasmtime import wat2wasm

from farcall.engine import Engine, FunctionType, HostFailure, Store

SOURCE = bytes(
    wat2wasm(
        """
        (module $guest
          (import "env" "fail" (func $fail))
          (func $inner (call $fail))
          (func (export "outer") (call $inner)))
        """
    )
)


class OwnFailure(HostFailure):
    """One of an embedder's own."""


@pytest.mark.parametrize("kind", [HostFailure, OwnFailure])
def test_a_host_failure_carries_the_frames_of_the_guests_that_it_went_through(kind):
    with Engine() as engine, Store(engine) as store:

        def fail():
            raise kind("no more of it")

        module = engine.load_module(SOURCE)
        function = store.host_function(FunctionType((), ()), fail)
        first = store.instantiate(module, {"env": {"fail": function}})
        second = store.instantiate(module, {("env", "fail"): first.function("outer")})
        with pytest.raises(kind) as raised:
            second.exports.outer()
        assert raised.value.message == "no more of it"
        assert [frame.function_name for frame in raised.value.backtrace] == [
            "inner",
            "outer",
            "inner",
            "outer",
        ]
        assert not getattr(raised.value, "__notes__", [])
        with pytest.raises(kind):
            first.exports.outer()
