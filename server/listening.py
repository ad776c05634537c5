"""Where a server listens: the address, the certificate, and why it cannot."""

from __future__ import annotations

import re
import socket
import ssl

import grpc

from farcall.server.configuration import ServerConfiguration

_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,5})")


class ListenError(OSError):
    """A server cannot listen where, or with the certificate that, it was told to."""


def listen(server: grpc.aio.Server, configuration: ServerConfiguration) -> str:
    """Bind the address; what is listened on, with the port that was chosen.

    Raises:
        ListenError: the address is taken or not this machine's, or the certificate is none.
        OSError: a file of the encryption cannot be read.
    """
    address = configuration.address
    credentials = _credentials(configuration)
    try:
        port = (
            server.add_insecure_port(address)
            if credentials is None
            else server.add_secure_port(address, credentials)
        )
    except RuntimeError:
        raise ListenError(f"cannot listen on {address}: {_why_not(address)}") from None
    return address if address.startswith("unix") else f"{address.rpartition(':')[0]}:{port}"


def _why_not(address: str) -> str:
    """Ask the operating system why: gRPC only tells that it could not."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return "the path is taken, too long, or in a directory that cannot be written"
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(
            match[1].strip("[]"), int(match[2]), type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, protocol) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                attempt.bind(place)
                attempt.listen()
    except OSError as error:
        return error.strerror or str(error)
    return "gRPC could not, and does not tell why"


def _credentials(configuration: ServerConfiguration) -> grpc.ServerCredentials | None:
    certificate, key = configuration.tls_certificate, configuration.tls_private_key
    if certificate is None or key is None:
        return None
    authorities = configuration.tls_client_authorities
    pair = (key.read_bytes(), certificate.read_bytes())
    roots = None if authorities is None else authorities.read_bytes()
    # gRPC takes anything here, and fails to listen for an unknown reason.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise ListenError(
            f"{certificate} and {key} are not a certificate and its key in PEM: {error}"
        ) from None
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError as error:
            raise ListenError(f"{authorities} holds no certificates in PEM: {error}") from None
    return grpc.ssl_server_credentials(
        [pair], root_certificates=roots, require_client_auth=authorities is not None
    )
