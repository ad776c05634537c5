"""Both engines, once for each process of the test run."""

from __future__ import annotations

import pytest

from farcall.engine import Engine

from .wasmtime_oracle import MISSING_FEATURES, WasmtimeOracle


@pytest.fixture(scope="session", params=["optimized", "fast"])
def engine(request):
    with Engine(code_policy=request.param) as engine:
        yield engine


@pytest.fixture(scope="session")
def comparable_engine():
    """farcall with no more features than wasmtime has."""
    with Engine(disabled_features=MISSING_FEATURES) as engine:
        yield engine


@pytest.fixture(scope="session")
def oracle():
    with WasmtimeOracle() as oracle:
        yield oracle
