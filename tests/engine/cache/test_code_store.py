"""Places in layers, object stores, and the counting of what is rejected."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from farcall.engine.cache.code_store import CodeStore
from farcall.engine.cache.configuration import CacheConfiguration
from farcall.engine.cache.disk import DiskPlace
from farcall.engine.cache.object_store import ObjectStorePlace
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of, same

pytest.importorskip("fsspec", reason="the extra farcall[object-store] is not installed")


def object_store(path: Path, **options: float) -> ObjectStorePlace:
    return ObjectStorePlace(f"file://{path}", **{"timeout": 60.0, **options})


def test_a_hit_below_fills_the_places_above(tmp_path: Path) -> None:
    below = object_store(tmp_path / "objects")
    CodeStore([below], AUTHENTICATOR).store(key_of("a"), entry_of())
    below.flush(60)
    disk = DiskPlace(tmp_path / "disk", 1 << 20)
    store = CodeStore([disk, below], AUTHENTICATOR)
    assert same(store.load(key_of("a")), entry_of())
    assert disk.get(key_of("a")) is not None
    assert same(store.load(key_of("a")), entry_of())
    assert (below.statistics().hits, store.statistics().hits, store.statistics().rejected) == (1, 2, 0)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "foreign"])
def test_a_damaged_entry_is_taken_from_the_place_below_and_replaced(tmp_path: Path, damage: str) -> None:
    disk, below = DiskPlace(tmp_path / "disk", 1 << 20), object_store(tmp_path / "objects")
    store = CodeStore([disk, below], AUTHENTICATOR)
    store.store(key_of("a"), entry_of())
    store.store(key_of("b"), entry_of(5000))
    below.flush(60)
    path = tmp_path / "disk" / key_of("a")[:2] / key_of("a")
    data = path.read_bytes()
    other = (tmp_path / "disk" / key_of("b")[:2] / key_of("b")).read_bytes()
    path.write_bytes(
        {"flip": data[:-1] + bytes([data[-1] ^ 1]), "truncate": data[:-1], "empty": b"", "foreign": other}[
            damage
        ]
    )
    assert same(store.load(key_of("a")), entry_of())
    assert store.statistics().rejected == 1
    assert path.read_bytes() == data


def test_a_broken_object_store_is_counted_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    place = object_store(tmp_path / "file" / "objects", pause=3600.0)
    place.put(key_of("a"), b"content")
    place.flush(60)
    deadline = time.monotonic() + 60
    while not place.statistics().errors and time.monotonic() < deadline:
        time.sleep(0.01)
    assert place.get(key_of("a")) is None
    assert place.statistics().errors == 1


def test_a_store_that_hangs_delays_no_call_for_longer_than_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = object_store(tmp_path, timeout=0.05, pause=3600.0)
    release = threading.Event()
    monkeypatch.setattr(place, "_read", lambda _key: release.wait(60))
    try:
        assert place.get(key_of("a")) is None
        assert not release.is_set()
        assert place.get(key_of("a")) is None  # not even asked
        assert (place.statistics().errors, place.statistics().misses) == (1, 2)
    finally:
        release.set()


@pytest.mark.parametrize(
    ("url", "reason"), [("nosuch://bucket", "nosuch"), ("bucket/prefix", "no scheme"), ("", "no scheme")]
)
def test_a_url_that_nothing_can_open_is_named(tmp_path: Path, url: str, reason: str) -> None:
    for use in (ObjectStorePlace, lambda each: CacheConfiguration(url=each, key_file=tmp_path / "key")):
        with pytest.raises(ValueError, match=reason) as found:
            use(url)
        assert repr(url) in str(found.value)


def test_an_object_store_needs_a_key() -> None:
    with pytest.raises(ValueError, match="key_file"):
        CacheConfiguration(url="memory://x")
