"""An object store with S3's protocol: moto's server, from PyPI, where it is installed.

Whatever becomes of the store, it is no error for who asks, and nobody waits longer for it than was said.
"""

from __future__ import annotations

import gc
import secrets
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from farcall.engine import CacheConfiguration, Engine, Store
from farcall.engine.cache.code_store import CodeStore
from farcall.engine.cache.object_store import ObjectStorePlace
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of, same
from tests.engine.guests import wait_until

moto = pytest.importorskip("moto.server", reason="moto[server] is not installed: pip install 'moto[server]'")
pytest.importorskip("s3fs", reason="the extra farcall[object-store] is not installed")
pytestmark = pytest.mark.filterwarnings("default")

SOURCE = bytes(
    wat2wasm(
        '(module (func (export "f") (result i32) (i32.const 7)) (func (export "g") (result i32) (i32.const 8)))'
    )
)


class Bucket:
    """A bucket of a server, and places for it."""

    def __init__(self, server: Any) -> None:
        host, port = server.get_host_and_port()
        self.server = server
        self.endpoint = f"http://{host}:{port}"
        self.name = f"bucket-{secrets.token_hex(4)}"
        self.place()._files.mkdir(self.name)

    @property
    def url(self) -> str:
        return f"s3://{self.name}/prefix"

    def place(
        self, url: str | None = None, endpoint: str | None = None, timeout: float = 60.0
    ) -> ObjectStorePlace:
        return ObjectStorePlace(
            url or self.url,
            timeout=timeout,
            key="a",
            secret="b",
            endpoint_url=endpoint or self.endpoint,
            skip_instance_cache=True,
        )


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Bucket(server)
    finally:
        server.stop()
        gc.collect()  # what moto leaves open is not to be found in other tests


def test_two_servers_share_what_is_in_a_bucket(bucket: Bucket) -> None:
    writer, reader = bucket.place(), bucket.place()
    CodeStore([writer], AUTHENTICATOR).store(key_of("a"), entry_of())
    writer.flush(60)
    assert (writer.statistics().stored, writer.statistics().errors) == (1, 0)
    store = CodeStore([reader], AUTHENTICATOR)
    assert same(store.load(key_of("a")), entry_of())
    assert store.load(key_of("b")) is None
    reader._files.pipe_file(reader._path(key_of("a")), b"damaged")
    assert store.load(key_of("a")) is None
    reader.flush(60)
    assert not reader._files.exists(reader._path(key_of("a")))
    assert (store.statistics().rejected, reader.statistics().errors) == (1, 0)


def test_a_bucket_that_is_not_there_is_counted_and_not_made(bucket: Bucket) -> None:
    place = bucket.place("s3://no-such-bucket/prefix")
    assert place.get(key_of("a")) is None
    place.put(key_of("a"), b"content")
    place.flush(60)
    assert (place.statistics().stored, place.statistics().errors) == (0, 1)
    assert not bucket.place()._files.exists("no-such-bucket")


def test_wrong_credentials_are_counted(bucket: Bucket) -> None:
    def check_after(requests: str) -> None:
        headers = {"Content-Type": "text/plain"}
        url = f"{bucket.endpoint}/moto-api/reset-auth"
        with urllib.request.urlopen(urllib.request.Request(url, requests.encode(), headers), timeout=60):
            pass

    reader, writer = bucket.place(), bucket.place()
    check_after("0")
    try:
        assert reader.get(key_of("a")) is None
        writer.put(key_of("a"), b"content")
        writer.flush(60)
    finally:
        check_after("inf")
    assert (reader.statistics().errors, writer.statistics().errors) == (1, 1)


def test_a_store_that_is_gone_is_counted_and_left_alone(bucket: Bucket) -> None:
    place = bucket.place(timeout=1.0)
    assert place.get(key_of("a")) is None
    assert place.statistics().errors == 0
    bucket.server.stop()
    assert place.get(key_of("a")) is None
    assert place.statistics().errors == 1
    place.put(key_of("a"), b"content")
    place.flush(0.1)
    assert (place.statistics().stored, place.statistics().errors) == (0, 1)


class Proxy:
    """Passes a connection on, until it is told to say nothing any more."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("http://").split(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.silent = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                self._open.append(near)
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._open.append(far)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if not self.silent:
                    target.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        for each in (self._listener, *self._open):
            each.close()


def test_nobody_waits_for_a_network_that_has_fallen_silent(bucket: Bucket) -> None:
    proxy = Proxy(bucket.endpoint)
    place = bucket.place(endpoint=proxy.endpoint, timeout=1.0)
    store = CodeStore([place], AUTHENTICATOR)
    store.store(key_of("a"), entry_of())
    place.flush(60)
    assert same(store.load(key_of("a")), entry_of())
    proxy.silent = True
    assert store.load(key_of("a")) is None
    assert store.load(key_of("a")) is None
    store.store(key_of("b"), entry_of())
    assert (place.statistics().errors, store.statistics().rejected) == (1, 0)
    proxy.close()


def test_what_one_server_compiled_another_has_at_once(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines without a directory in common, as on two machines; the first one is closed at once."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_ENDPOINT_URL", bucket.endpoint),
    ):
        monkeypatch.setenv(name, value)
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    compiled = []
    for policy in ("fast", "fast", "lazy"):
        cache = CacheConfiguration(url=bucket.url, url_timeout=60.0, key_file=key)
        with Engine(cache=cache, code_policy=policy) as engine, Store(engine) as store:
            instance = store.instantiate(engine.load_module(SOURCE))
            assert (instance.exports.f(), instance.exports.g()) == (7, 8)
            wait_until(lambda: engine._tiers.optimizer is None or engine._tiers.optimizer.idle)
            compiled.append([tier.functions for tier in engine.statistics().compilation.tiers])
        (place,) = engine.statistics().cache.places
        assert place.errors == 0
    assert compiled == [[2, 0], [0, 0], [0, 2]]
