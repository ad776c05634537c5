"""An object store with S3's protocol: moto's server, from PyPI, where it is installed."""

from __future__ import annotations

import secrets

import pytest

from farcall.engine.cache.code_store import CodeStore
from farcall.engine.cache.object_store import ObjectStorePlace
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of, same

moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("s3fs", reason="the extra farcall[object-store] is not installed")


@pytest.mark.filterwarnings("default")
def test_two_servers_share_what_is_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "key": "a",
            "secret": "b",
            "endpoint_url": f"http://{host}:{port}",
            "skip_instance_cache": True,
        }
        bucket = f"bucket-{secrets.token_hex(4)}"
        writer = ObjectStorePlace(f"s3://{bucket}/prefix", timeout=60.0, **options)
        writer._files.mkdir(bucket)
        CodeStore([writer], AUTHENTICATOR).store(key_of("a"), entry_of())
        writer.flush(60)
        assert (writer.statistics().stored, writer.statistics().errors) == (1, 0)
        reader = ObjectStorePlace(f"s3://{bucket}/prefix", timeout=60.0, **options)
        store = CodeStore([reader], AUTHENTICATOR)
        assert same(store.load(key_of("a")), entry_of())
        assert store.load(key_of("b")) is None
        reader._files.pipe_file(reader._path(key_of("a")), b"damaged")
        assert store.load(key_of("a")) is None
        reader.flush(60)
        assert not reader._files.exists(reader._path(key_of("a")))
        assert (store.statistics().rejected, reader.statistics().errors) == (1, 0)
    finally:
        server.stop()
