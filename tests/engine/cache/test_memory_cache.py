"""The cache in memory: one making for all who ask, none kept that failed."""

from __future__ import annotations

import threading

import pytest

from farcall.engine.cache.memory_cache import MemoryCache
from tests.engine.guests import Background, wait_until


def test_made_once():
    cache: MemoryCache[str, object] = MemoryCache()
    value = cache.get("a", object)
    assert cache.get("a", object) is value
    assert cache.get("b", object) is not value
    assert (cache.counters.hits, cache.counters.misses) == (1, 2)
    assert cache.known() == ["a", "b"]
    assert value in cache.values()


def test_made_once_for_all_who_ask_at_the_same_time():
    cache: MemoryCache[str, object] = MemoryCache()
    barrier = threading.Barrier(8)
    made = []

    def make() -> object:
        made.append(threading.get_ident())
        threading.Event().wait(0.05)
        return object()

    def ask() -> object:
        barrier.wait()
        return cache.get("key", make)

    values = [thread.value() for thread in [Background(ask) for _ in range(8)]]
    assert len(set(map(id, values))) == 1
    assert len(made) == 1
    assert (cache.counters.hits, cache.counters.misses) == (7, 1)


def test_other_keys_do_not_wait():
    cache: MemoryCache[str, int] = MemoryCache()
    go_on = threading.Event()
    slow = Background(lambda: cache.get("slow", lambda: go_on.wait(30) and 1))
    wait_until(lambda: cache.known() == ["slow"])
    assert cache.values() == []
    assert cache.get("fast", lambda: 2) == 2
    go_on.set()
    assert slow.value() == 1
    assert sorted(cache.values()) == [1, 2]


def test_a_failure_is_not_kept():
    cache: MemoryCache[str, int] = MemoryCache()
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.known() == cache.values() == []
    assert cache.get("key", lambda: 5) == 5
    assert (cache.counters.hits, cache.counters.misses) == (0, 1)


def test_a_failure_is_its_makers_alone():
    """Whoever waited tries in turn: an exception is not shared by threads, and Ctrl-C ends one alone."""
    cache: MemoryCache[str, int] = MemoryCache()
    go_on = threading.Event()
    attempts = []

    def make() -> int:
        attempts.append(None)
        if len(attempts) == 1:
            go_on.wait(30)
            raise KeyboardInterrupt
        return 7

    first = Background(lambda: cache.get("key", make))
    wait_until(lambda: bool(attempts))
    others = [Background(lambda: cache.get("key", make)) for _ in range(4)]
    go_on.set()
    assert isinstance(first.join().error, KeyboardInterrupt)
    assert [other.value() for other in others] == [7] * 4
    assert len(attempts) == 2


def test_each_waiter_of_a_hopeless_making_gets_its_own_error():
    cache: MemoryCache[str, int] = MemoryCache()
    barrier = threading.Barrier(4)

    def make() -> int:
        raise ValueError("hopeless")

    def ask() -> int:
        barrier.wait()
        return cache.get("key", make)

    errors = [thread.join().error for thread in [Background(ask) for _ in range(4)]]
    assert all(isinstance(error, ValueError) for error in errors)
    assert len(set(map(id, errors))) == 4


def test_removing():
    cache: MemoryCache[int, int] = MemoryCache()
    for number in range(6):
        cache.get(number, lambda number=number: number * 10)
    assert cache.remove(lambda key: key % 2 == 0) == 3
    assert cache.known() == [1, 3, 5]
    assert cache.values() == [10, 30, 50]
    assert cache.get(2, lambda: 99) == 99


def test_removing_what_is_being_made():
    """Who waits for it has it, later ones make it anew."""
    cache: MemoryCache[str, int] = MemoryCache()
    go_on = threading.Event()
    first = Background(lambda: cache.get("key", lambda: go_on.wait(30) and 1))
    wait_until(lambda: cache.known() == ["key"])
    second = Background(lambda: cache.get("key", lambda: 2))
    threading.Event().wait(0.02)
    assert cache.remove(lambda _key: True) == 1
    assert cache.get("key", lambda: 3) == 3
    go_on.set()
    assert first.value() == 1
    assert second.value() in (1, 3)
    assert cache.values() == [3]


def bounded(max_bytes: int) -> tuple[MemoryCache[str, bytearray], list[bytearray]]:
    """A cache of bytes that may grow, and what it has forgotten."""
    forgotten: list[bytearray] = []
    return MemoryCache(max_bytes=max_bytes, size=len, on_eviction=forgotten.append), forgotten


def test_what_was_asked_for_least_recently_makes_room():
    cache, forgotten = bounded(300)
    values = {name: cache.get(name, lambda: bytearray(100)) for name in "abc"}
    assert (cache.counters.evictions, cache.counters.bytes) == (0, 300)
    cache.get("a", bytearray)  # used again: it stays
    cache.get("d", lambda: bytearray(150))
    assert cache.known() == ["a", "d"]
    assert list(map(id, forgotten)) == [id(values["b"]), id(values["c"])]
    assert (cache.counters.evictions, cache.counters.bytes) == (2, 250)
    assert cache.get("b", lambda: bytearray(1)) == bytearray(1)  # made again


def test_what_is_larger_than_all_may_be_is_kept_as_long_as_it_is_the_last():
    cache, forgotten = bounded(10)
    large = cache.get("large", lambda: bytearray(100))
    assert cache.get("large", bytearray) is large
    cache.get("small", lambda: bytearray(1))
    assert cache.known() == ["small"]
    assert forgotten == [large]


def test_values_that_grew_make_room_when_the_next_is_made():
    cache, _ = bounded(300)
    growing = cache.get("growing", lambda: bytearray(100))
    cache.get("other", lambda: bytearray(100))
    growing.extend(bytes(200))
    assert cache.counters.bytes == 400
    cache.get("new", lambda: bytearray(100))
    assert cache.known() == ["other", "new"]


def test_what_is_being_made_is_not_forgotten():
    cache, forgotten = bounded(10)
    go_on = threading.Event()
    slow = Background(lambda: cache.get("slow", lambda: bytearray(8 if go_on.wait(60) else 0)))
    wait_until(lambda: cache.known() == ["slow"])
    cache.get("quick", lambda: bytearray(10))
    assert (cache.known(), forgotten) == (["slow", "quick"], [])
    go_on.set()
    assert slow.value() == bytearray(8)
    assert cache.known() == ["slow"]


def test_what_is_told_of_a_forgotten_value_may_use_the_cache():
    cache: MemoryCache[str, bytearray] = MemoryCache(
        max_bytes=1, size=len, on_eviction=lambda _value: cache.known()
    )
    for name in "abc":
        cache.get(name, lambda: bytearray(1))
    assert cache.known() == ["c"]
    assert cache.remove(lambda _key: True) == 1
    assert cache.counters.bytes == 0
