"""The cache's key."""

from __future__ import annotations

import os
import random
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farcall.engine.cache.authentication import Authenticator, UnsafeCacheKeyError, read_key, read_or_make_key


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    key = read_or_make_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make_key(path) == key
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_of_several_who_start_first_one_makes_the_key(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / str(attempt) / "key"
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _: read_or_make_key(path), range(8)))) == 1  # noqa: B023


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    read_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(UnsafeCacheKeyError, match=f"{mode:04o}.*chmod 600"):
        read_or_make_key(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    read_or_make_key(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(UnsafeCacheKeyError, match="user 12345"):
        read_key(path)


@pytest.mark.parametrize("size", [0, 31, 4097])
def test_a_key_of_the_wrong_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * size)
    path.chmod(0o600)
    with pytest.raises(UnsafeCacheKeyError, match=f"not {min(size, 4097)}"):
        read_key(path)


def test_a_link_is_followed_only_where_the_key_was_configured(tmp_path: Path) -> None:
    key = read_or_make_key(tmp_path / "key")
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    link.symlink_to(tmp_path / "key")
    dangling.symlink_to(tmp_path / "nothing")
    assert read_key(link) == key
    for path in (link, dangling):
        with pytest.raises(UnsafeCacheKeyError, match="is a symbolic link"):
            read_or_make_key(path)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_no_key(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir()
    with pytest.raises(UnsafeCacheKeyError, match="is no file"):
        read_or_make_key(path)


def test_codes_depend_on_the_key_and_on_every_byte() -> None:
    one, other = Authenticator(b"1" * 32), Authenticator(b"2" * 32)
    code = one.code(b"ab", b"c")
    assert one.is_right(code, b"abc")
    assert not other.is_right(code, b"abc")
    assert not one.is_right(code, b"abd")
    with pytest.raises(ValueError, match="at least 32"):
        Authenticator(b"short")


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 9 << 20])
def test_codes_are_those_of_the_content_whatever_its_parts(size: int) -> None:
    authenticator = Authenticator(b"1" * 32)
    content = memoryview(random.Random(size).randbytes(size))
    code = authenticator.code(content)
    for cut in (0, 1, size // 2, size - 1):
        assert authenticator.is_right(code, content[:cut], b"", content[cut:])
    assert not authenticator.is_right(code, content, b"\0")


def test_every_leaf_of_a_large_content_counts_and_their_order() -> None:
    authenticator, leaf = Authenticator(b"1" * 32), 1 << 20
    content = bytearray(random.Random(1).randbytes(9 * leaf + 5))
    code = authenticator.code(bytes(content))
    for place in (*range(0, len(content), leaf), len(content) - 1):
        content[place] ^= 1
        assert not authenticator.is_right(code, bytes(content))
        content[place] ^= 1
    assert authenticator.is_right(code, bytes(content))
    content[:leaf], content[leaf : 2 * leaf] = content[leaf : 2 * leaf], content[:leaf]
    assert not authenticator.is_right(code, bytes(content))


def test_codes_are_the_same_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator, content = Authenticator(b"1" * 32), bytes(20 << 20)
    code = authenticator.code(content)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert authenticator.is_right(code, content)
