"""A server that keeps code across restarts, and what it is told of where."""

from __future__ import annotations

from pathlib import Path

import pytest
from farcall_service import GUEST, running
from wasmtime import wat2wasm

from farcall.client.command_line.program import run
from farcall.engine import DEFAULT_DISK_BYTES, UnsafeCacheKeyError
from farcall.server.configuration import ServerConfiguration

SOURCE = bytes(wat2wasm(GUEST))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "cache.key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("policy", ["lazy", "optimized", "fast"])
async def test_after_a_restart_nothing_is_compiled(tmp_path: Path, policy: str) -> None:
    counters = []
    for _ in range(2):
        async with running(cache_dir=tmp_path / "cache", code_policy=policy) as service:
            assert await service.call(await service.instantiate(SOURCE), "add", 2, 3) == 5
            counters.append(await service.counters())
    first, second = counters
    assert (first.compiles_total, first.engine["cache_stored_hits"]) == (1, 0)
    assert (second.compiles_total, second.engine["cache_stored_hits"]) == (0, 2)
    assert second.engine["cache_disk_entries"] == 2


async def test_a_server_with_a_data_directory_keeps_code_in_it(tmp_path: Path) -> None:
    async with running(data_directory=tmp_path / "data") as service:
        assert await service.call(await service.instantiate(SOURCE), "add", 2, 3) == 5
    assert (tmp_path / "data" / "cache" / "key").is_file()
    assert len(list((tmp_path / "data" / "cache").glob("??/*"))) == 2


def test_where_code_is_kept(tmp_path: Path, key: Path) -> None:
    assert ServerConfiguration().cache.directory is None
    data = ServerConfiguration(data_directory=tmp_path).cache
    assert (data.directory, data.disk_bytes, data.url) == (tmp_path / "cache", DEFAULT_DISK_BYTES, None)
    other = ServerConfiguration(data_directory=tmp_path, cache_dir=tmp_path / "c", cache_key_file=key).cache
    assert (other.directory, other.key_file) == (tmp_path / "c", key)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cache-url", "nosuch://bucket"], "the cache URL 'nosuch://bucket' cannot be used"),
        (["--cache-url", "bucket/prefix"], "no scheme; it is to be like s3://bucket/prefix"),
        (["--cache-bytes", "0"], "--cache-bytes"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_usage(
    key: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fsspec", reason="the extra farcall[object-store] is not installed")
    assert run(["serve", "--cache-key-file", str(key), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_url_without_a_key_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--cache-url", "s3://bucket/prefix"]) == 2
    assert "key_file" in capsys.readouterr().err


async def test_a_server_does_not_start_with_a_key_that_others_can_read(tmp_path: Path, key: Path) -> None:
    key.chmod(0o644)
    with pytest.raises(UnsafeCacheKeyError, match="chmod 600"):
        async with running(cache_dir=tmp_path / "cache", cache_key_file=key):
            pass
