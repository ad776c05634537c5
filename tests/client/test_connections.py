"""Addresses and encryption.

The certificate is for tests only, and its key is no secret. It was made by

    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=farcall test" \
        -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout loopback_key.pem -out loopback.pem
"""

from pathlib import Path

import grpc
import pytest
from command_line_support import CommandLine, in_a_process
from fake_farcall_server import FakeServer

from farcall.client import AsyncClient, Client, Retries, Tls, UnavailableError
from farcall.client.channel import target

CERTIFICATES = Path(__file__).parent / "certificates"
AUTHORITY = CERTIFICATES / "loopback.pem"


@pytest.fixture
def encrypted_server():
    key, certificate = (CERTIFICATES / "loopback_key.pem").read_bytes(), AUTHORITY.read_bytes()
    with FakeServer(credentials=grpc.ssl_server_credentials([(key, certificate)])) as server:
        yield server


def test_the_synchronous_client_encrypts(encrypted_server, module_bytes):
    with Client(encrypted_server.address, tls=Tls(root_certificates=AUTHORITY)) as client:
        assert client.health() == "SERVING"
        assert client.upload(module_bytes).created


async def test_the_asyncio_client_encrypts(encrypted_server, module_bytes):
    async with AsyncClient(encrypted_server.address, tls=Tls(root_certificates=AUTHORITY)) as client:
        assert await client.health() == "SERVING"
        assert (await client.upload(module_bytes)).created


def test_a_server_is_not_trusted_without_its_authority(encrypted_server):
    with (
        Client(encrypted_server.address, tls=Tls(), retries=Retries(1)) as client,
        pytest.raises(UnavailableError),
    ):
        client.health()
    wrong_name = Tls(root_certificates=AUTHORITY, server_name="elsewhere")
    with Client(encrypted_server.address, tls=wrong_name) as client, pytest.raises(UnavailableError):
        client.health()


def test_a_certificate_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Client(tls=Tls(root_certificates=tmp_path / "missing.pem"))


def test_the_command_line_encrypts(encrypted_server, capfd):
    farcall = CommandLine(capfd, "--server", encrypted_server.address)
    assert farcall("health", "--tls-authorities", AUTHORITY).out == "SERVING\n"
    untrusted = in_a_process("--server", encrypted_server.address, "--tls", "health")
    assert (untrusted.returncode, untrusted.stderr.count(b"\n")) == (1, 1)
    assert "does not exist" in farcall("health", "--tls-authorities", "missing.pem", status=2).err


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("localhost", "localhost:7070"),
        ("localhost:1", "localhost:1"),
        ("[::1]:1", "[::1]:1"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
        ("dns:///host:5", "dns:///host:5"),
    ],
)
def test_a_bare_host_gets_the_port(address, wanted):
    assert target(address) == wanted


def test_a_host_that_does_not_exist_is_named_in_one_line(capfd):
    ended = CommandLine(capfd)("--server", "no-such-host.invalid:1", "health", status=1)
    assert "no-such-host.invalid:1" in ended.err
    assert ended.err.count("\n") == 1
