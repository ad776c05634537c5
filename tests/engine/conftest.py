from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from farcall.engine import Engine, Instance, Store
from tests.engine.guests import wasm


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    with Store(engine) as store:
        yield store


@pytest.fixture
def make(store: Store) -> Callable[..., Instance]:
    """Instantiates a module's text; its guests can be stopped."""

    def make(text: str, imports: Any = None, name: str | None = None) -> Instance:
        module = store.engine.load_module(wasm(text))
        return store.instantiate(module, {} if imports is None else imports, name=name)

    return make


@pytest.fixture
def counts(engine):
    """Open instances, live memories and groups, as differences to the start."""

    def now():
        statistics = engine.statistics()
        return statistics.instances, statistics.memories, statistics.linked_groups

    first = now()
    return lambda: tuple(new - old for new, old in zip(now(), first, strict=True))
