"""An engine for each process of the test run, and a function that instantiates a module's text."""

from __future__ import annotations

import pytest
import wasmtime

from farcall.engine import Engine, Store


@pytest.fixture(scope="session")
def engine():
    with Engine() as engine:
        yield engine


@pytest.fixture
def instantiate(engine):
    """Instantiate a module given in the text format, in a store that lives as long as the test."""
    with Store(engine) as store:
        yield lambda text, imports=None: store.instantiate(
            engine.load_module(bytes(wasmtime.wat2wasm(text))), imports or {}
        )
