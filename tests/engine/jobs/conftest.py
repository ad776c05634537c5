from __future__ import annotations

from collections.abc import Iterator

import pytest

from farcall.engine import Engine
from farcall.engine.binary import decode_module
from farcall.engine.jobs.pool import CompilePool
from farcall.engine.jobs.processes import TEMPLATE
from tests.engine.guests import wasm
from tests.engine.jobs.jobs import ENDLESS_TEXT, small_text
from tests.engine.jobs.process_tree import levels, wait_until


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Compiles all of a module before its first call."""
    with Engine(code_policy="optimized") as engine:
        yield engine


@pytest.fixture
def small():
    return decode_module(wasm(small_text()))


@pytest.fixture(scope="session")
def endless():
    """A function that LLVM optimises for minutes."""
    return decode_module(wasm(ENDLESS_TEXT))


@pytest.fixture
def pool() -> Iterator[CompilePool]:
    """One job at a time."""
    pool = CompilePool(processes=1)
    yield pool
    pool.close()


@pytest.fixture(autouse=True)
def _no_others():
    """Processes of earlier tests are gone, but for the template process."""
    wait_until(lambda: len(levels()) <= 1)


@pytest.fixture(scope="session", autouse=True)
def _template():
    yield
    TEMPLATE.close()
