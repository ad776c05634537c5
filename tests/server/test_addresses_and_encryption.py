"""Where a server listens, and how connections are encrypted."""

import grpc
import pytest
from farcall_service import GUEST, Service, running

from farcall.server import ServerConfiguration

# A self-signed certificate for localhost, made for these tests by
# openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost
#   -addext subjectAltName=DNS:localhost,IP:127.0.0.1
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUI7gMlioW5xqFdYFMptu99Xg84UAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIxNTAzMFoYDzIxMjYxMDMw
MjE1MDMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATYUSvrw7YX6h0qqkbC+6Vceq+4Hd8WuQPj2vcwglnOFhSfrApqYDeY
DLKWOLoS69nPOdp4ifdAWjghyXiKhEMZo28wbTAdBgNVHQ4EFgQUqcoYsX4ehCww
ZNBiyEqZahjT6iAwHwYDVR0jBBgwFoAUqcoYsX4ehCwwZNBiyEqZahjT6iAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgT5WSHMouvBklSO5qDxgza1v+CgwvHs53Hw0EBlwxoroCIA41
SRK025W9AvylaqQq8RMU15a9c06pxY+Sgsc3Zx5Q
-----END CERTIFICATE-----
"""
PRIVATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgino4MQXeRVw50+eh
EbnqJZRnZc5HaZ4Ok9/6JHa8/tmhRANCAATYUSvrw7YX6h0qqkbC+6Vceq+4Hd8W
uQPj2vcwglnOFhSfrApqYDeYDLKWOLoS69nPOdp4ifdAWjghyXiKhEMZ
-----END PRIVATE KEY-----
"""


@pytest.fixture
def tls(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(CERTIFICATE)
    key.write_text(PRIVATE_KEY)
    return {"tls_certificate": certificate, "tls_private_key": key}


async def works(service, credentials):
    async with grpc.aio.secure_channel(service.address, credentials) as channel:
        secure = Service(service.server, service.address, channel)
        guest = await secure.instantiate(GUEST)
        return await secure.call(guest, "add", 1, 2) == 3


async def test_connections_are_encrypted(tls):
    async with running(**tls) as service:
        assert await works(service, grpc.ssl_channel_credentials(CERTIFICATE.encode()))

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await service.counters()  # plain text
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_clients_must_be_vouched_for(tls):
    async with running(**tls, tls_client_authorities=tls["tls_certificate"]) as service:
        known = grpc.ssl_channel_credentials(CERTIFICATE.encode(), PRIVATE_KEY.encode(), CERTIFICATE.encode())
        assert await works(service, known)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await works(service, grpc.ssl_channel_credentials(CERTIFICATE.encode()))
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_certificate_and_key_go_together(tls):
    with pytest.raises(ValueError, match="go together"):
        ServerConfiguration(tls_certificate=tls["tls_certificate"])
    with pytest.raises(ValueError, match="needs tls_certificate"):
        ServerConfiguration(tls_client_authorities=tls["tls_certificate"])


async def test_a_server_can_listen_on_a_socket_in_the_file_system(tmp_path):
    address = f"unix:{tmp_path}/socket"
    async with running(address=address) as service:
        assert service.address == address
        assert await service.call(await service.instantiate(GUEST), "add", 1, 2) == 3
