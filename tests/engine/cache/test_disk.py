"""The cache's directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from farcall.engine.cache.code_store import CodeStore
from farcall.engine.cache.disk import DiskPlace
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of, same


def found(place: DiskPlace, key: str) -> bytes | None:
    content = place.get(key)
    return None if content is None else bytes(content.data)


def test_what_was_put_is_found_by_another_process_s_place(tmp_path: Path) -> None:
    DiskPlace(tmp_path / "cache", 1000).put(key_of("a"), b"content")
    place = DiskPlace(tmp_path / "cache", 1000)
    assert found(place, key_of("a")) == b"content"
    assert found(place, key_of("b")) is None
    place.put(key_of("a"), b"other")
    assert found(place, key_of("a")) == b"other"
    place.delete(key_of("a"))
    place.delete(key_of("a"))
    assert found(place, key_of("a")) is None
    statistics = place.statistics()
    assert (statistics.hits, statistics.misses, statistics.stored, statistics.errors) == (2, 2, 1, 0)


def test_what_there_is_is_counted(tmp_path: Path) -> None:
    place = DiskPlace(tmp_path, 1000)
    counted = []
    for change in (
        lambda: place.put(key_of("a"), bytes(100)),
        lambda: place.put(key_of("b"), bytes(50)),
        lambda: place.put(key_of("a"), bytes(30)),
        lambda: place.delete(key_of("b")),
        lambda: place.delete(key_of("b")),
    ):
        change()
        statistics = place.statistics()
        counted.append((statistics.entries, statistics.bytes))
    assert counted == [(1, 100), (2, 150), (2, 80), (1, 30), (1, 30)]


def test_entries_are_for_their_owner_alone(tmp_path: Path) -> None:
    DiskPlace(tmp_path / "cache", 1000).put(key_of("a"), b"content")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_those_used_least_recently_go(tmp_path: Path) -> None:
    place = DiskPlace(tmp_path, 1000)
    for number in range(9):
        place.put(key_of(str(number)), bytes(100))
        path = tmp_path / key_of(str(number))[:2] / key_of(str(number))
        os.utime(path, (number, number))
    assert found(place, key_of("0")) is not None  # used now
    place.put(key_of("x"), bytes(100))
    place.put(key_of("y"), bytes(100))
    left = [name for name in map(str, range(9)) if found(place, key_of(name)) is not None]
    assert left == ["0", "3", "4", "5", "6", "7", "8"]
    assert found(place, key_of("y")) is not None
    assert place.statistics().evictions == 2
    assert place.statistics().bytes == 900


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    place = DiskPlace(tmp_path, 1000)
    place.put(key_of("a"), bytes(1001))
    assert found(place, key_of("a")) is None
    assert place.statistics().errors == 0


def test_what_dead_writers_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / key_of("a")[:2]
    folder.mkdir()
    old, new = folder / "writing-1-a", folder / "writing-2-b"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    DiskPlace(tmp_path, 1000).put(key_of("a"), b"content")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_directory_that_cannot_be_used_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    place = DiskPlace(tmp_path / "file" / "cache", 1000)
    for _ in range(3):
        place.put(key_of("a"), b"content")
        assert place.get(key_of("a")) is None
        place.delete(key_of("a"))
        with place.alone():
            pass
    assert place.statistics().errors == 9
    assert len([record for record in caplog.records if "cache" in record.message]) == 1


def test_one_waits_for_another_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = DiskPlace(tmp_path / "cache", 1 << 20)
    ended = threading.Event()

    def enter() -> None:
        with DiskPlace(tmp_path / "cache", 1 << 20).alone():
            ended.set()

    with place.alone():
        thread = threading.Thread(target=enter)
        thread.start()
        assert not ended.wait(0.2)
    thread.join(60)
    assert ended.is_set()
    monkeypatch.setattr("farcall.engine.cache.disk._LOCK_SECONDS", 0.05)
    with place.alone(), place.alone():
        pass


def test_a_full_disk_is_no_error(tmp_path: Path) -> None:
    program = f"""
import resource, signal
from pathlib import Path
from farcall.engine.cache.disk import DiskPlace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
place = DiskPlace(Path({str(tmp_path)!r}), 1 << 20)
place.put({key_of("a")!r}, bytes(5000))
assert place.statistics().errors == 1, place.statistics()
assert place.get({key_of("a")!r}) is None
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_writer_killed_at_any_moment_leaves_only_right_entries(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from farcall.engine.cache.disk import DiskPlace
from farcall.engine.cache.code_store import CodeStore
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of
store = CodeStore([DiskPlace(Path({str(tmp_path)!r}), 4 << 20)], AUTHENTICATOR)
print("ready", flush=True)
for number in range(10**9):
    store.store(key_of(str(number % 20)), entry_of(200_000 + number % 20))
"""
    reader = CodeStore([DiskPlace(tmp_path, 4 << 20)], AUTHENTICATOR)
    hits = 0
    for attempt in range(12):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.003 * attempt)  # any moment will do
        for name in range(20):
            reader.load(key_of(str(name)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for name in range(20):
            entry = reader.load(key_of(str(name)))
            if entry is not None:
                assert same(entry, entry_of(200_000 + name))
                hits += 1
    assert hits > 0
    assert reader.statistics().rejected == 0
