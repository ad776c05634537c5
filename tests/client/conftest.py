"""A server without an engine, and a module that it takes."""

import pytest
from fake_farcall_server import FakeServer

MODULE = b"\0asm\1\0\0\0"


@pytest.fixture(scope="session")
def module_bytes():
    return MODULE


@pytest.fixture
def fake_server():
    with FakeServer() as server:
        yield server
