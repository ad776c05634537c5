"""Servers: one without an engine, with a module that it takes, and the real one with a client of it."""

import signal

import pytest
from calculator_module import CALCULATOR
from fake_farcall_server import FakeServer
from real_server import running_server
from wasmtime import wat2wasm

from farcall.client import Client

MODULE = b"\0asm\1\0\0\0"


@pytest.fixture(scope="session")
def module_bytes():
    return MODULE


@pytest.fixture
def fake_server():
    with FakeServer() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The real server, in a process of its own; it ends well when it is told to."""
    with running_server(tmp_path_factory.mktemp("server")) as process:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def client(server):
    """A client of the real server; tests of the fake one have a fixture of their own by this name."""
    with Client(server.address) as client:
        yield client


@pytest.fixture
def store(client):
    with client.create_store() as store:
        yield store


@pytest.fixture
def calculator(client, store):
    return store.instantiate(client.upload(CALCULATOR), name="calculator")


@pytest.fixture
def program(tmp_path):
    """Makes a file with a program of a text."""

    def program(text):
        path = tmp_path / "program.wasm"
        path.write_bytes(wat2wasm(text))
        return path

    return program
