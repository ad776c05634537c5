"""Exceptions that guests throw, through the real server, the clients and the command line."""

import asyncio
import json

import pytest
from command_line_support import CommandLine
from throwing_module import THROWER

from farcall.client import ArgumentError, AsyncClient, FailedPreconditionError, Tag, WasmException

MESSAGE = "uncaught exception: tag trouble (i32 7, f64 2.5, externref None)"


@pytest.fixture
def thrower(client, store):
    return store.instantiate(client.upload(THROWER))


def assert_told(error):
    assert (error.code, error.tag, error.values) == ("ABORTED", "trouble", (7, 2.5, None))
    assert [frame.function_name for frame in error.backtrace] == ["throw", "outer"]
    assert error.backtrace[0].module_name == "thrower"


def test_a_call_that_throws_raises(thrower):
    with pytest.raises(WasmException, match="uncaught exception: tag trouble") as caught:
        thrower.exports.outer(7)
    assert_told(caught.value)
    assert thrower.exports.catch(8) == 8


def test_one_of_many_calls_that_throws(thrower):
    outcomes = thrower.function("outer").call_many([[7], [8]], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [WasmException, WasmException]
    assert_told(outcomes[0])


def test_the_asyncio_client_raises_the_same(server):
    async def call():
        async with AsyncClient(server.address) as client:
            store = await client.create_store()
            instance = await store.instantiate(await client.upload(THROWER))
            with pytest.raises(WasmException) as caught:
                await instance.exports.outer(7)
            return caught.value

    assert_told(asyncio.run(call()))


def test_an_exported_tag_has_its_type(thrower):
    tag = thrower.exports["trouble"]
    assert isinstance(tag, Tag)
    assert str(tag.type) == "tag (i32, f64, externref)"


def test_references_to_exceptions_stay_in_the_guest(thrower):
    assert thrower.exports.null(None) is None
    with pytest.raises(ArgumentError, match="exceptions stay in their guest"):
        thrower.exports.null(5)
    with pytest.raises(FailedPreconditionError, match="a reference to an exception"):
        thrower.exports.reference()


@pytest.fixture
def farcall(server, capfd):
    return CommandLine(capfd, "--server", server.address)


def test_the_command_line_ends_with_status_1(farcall, tmp_path):
    file = tmp_path / "thrower.wasm"
    file.write_bytes(THROWER)
    digest = farcall("upload", file).out.strip()
    name = farcall("instantiate", digest).out.strip()
    for command in (("call", name), ("exec", file)):
        ended = farcall(*command, "outer", "7", status=1)
        assert ended.out == ""
        assert ended.err.splitlines() == [f"error: {MESSAGE}", "  0: thrower!throw", "  1: thrower!outer"]
        error = json.loads(farcall("--json", *command, "outer", "7", status=1).err)["error"]
        assert (error["type"], error["tag"], error["values"]) == ("WasmException", "trouble", [7, 2.5, None])
    assert "tag (i32, f64, externref)" in farcall("inspect", file).out
    assert farcall("inspect", file).out == farcall("inspect", digest).out
