"""Compiling with progress, by both clients alike."""

import asyncio

import grpc
import pytest
from fake_farcall_server import StatusError

from farcall.client import (
    AsyncClient,
    Client,
    CompileProgress,
    DeadlineExceededError,
    NotFoundError,
    ResourceExhaustedError,
)

ALL = CompileProgress(
    functions=40, functions_done=40, optimized=30, fast=10, code_size=4000, code_size_done=4000, done=True
)


class InALoop:
    """The asyncio client, used like the synchronous one."""

    def __init__(self, address):
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._made(address))

    async def _made(self, address):
        return AsyncClient(address)

    def __getattr__(self, name):
        return lambda *arguments, **options: self._runner.run(
            getattr(self._client, name)(*arguments, **options)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=[Client, InALoop], ids=["synchronous", "asyncio"])
def client(request, fake_server):
    with request.param(fake_server.address) as client:
        yield client


def test_progress_is_told_and_the_last_is_returned(client, fake_server, module_bytes):
    module = client.upload(module_bytes, compile=False)
    assert fake_server.deferred == {module.digest: True}
    told = []
    assert client.compile_module(module, progress=told.append) == ALL
    assert [progress.functions_done for progress in told] == list(range(0, 41, 2))
    assert told[-1] == ALL
    assert client.compile_module(module.digest) == ALL


def test_errors_are_those_of_other_calls(client, fake_server, module_bytes):
    with pytest.raises(NotFoundError):
        client.compile_module("0" * 64)
    module = client.upload(module_bytes)
    fake_server.failures["CompileModule"].append(
        StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "2 compile jobs wait already", "LIMIT_REACHED")
    )
    with pytest.raises(ResourceExhaustedError, match="2 compile jobs wait"):
        client.compile_module(module)


def test_a_timeout_ends_the_waiting(client, fake_server, module_bytes):
    original = fake_server.CompileModule
    go_on = []

    def endless(request):
        yield next(original(request))
        while not go_on:
            yield next(original(request))

    fake_server.CompileModule = endless
    with pytest.raises(DeadlineExceededError):
        client.compile_module(client.upload(module_bytes), timeout=0.5)
    go_on.append(True)


def test_what_the_listener_raises_ends_the_waiting(client, fake_server, module_bytes):
    def fail(_):
        raise ValueError("no paper")

    with pytest.raises(ValueError, match="no paper"):
        client.compile_module(client.upload(module_bytes), progress=fail)
