"""v128 through the clients and the command line: 16 bytes in Python, a hexadecimal integer or lanes as text."""

import json
import struct

import pytest
from command_line_support import CommandLine
from vector_module import VECTORS

from farcall.client import ArgumentError, AsyncClient, ValueType
from farcall.client.floats import f32_bits, f32_from_bits

ONE, TWO = bytes(range(16)), bytes(range(100, 116))
SIGNALING = f32_from_bits(0x7FA00001)


@pytest.fixture
def instance(client):
    with client.create_store() as store:
        yield store.instantiate(client.upload(VECTORS), name="vectors")


def test_arguments_and_results(instance):
    exports = instance.exports
    assert exports.same(ONE) == ONE
    assert exports.same(bytearray(TWO)) == TWO
    assert exports.add(struct.pack("<4f", 1, 2, 3, 4), struct.pack("<4f", 0.5, 0.5, -3, 1e9)) == struct.pack(
        "<4f", 1.5, 2.5, 0, 1e9
    )
    number, vector, integer = exports.mix(-1, struct.pack("<4i", 1, 2, 3, -5), SIGNALING)
    assert (f32_bits(number), vector, integer) == (0x7FA00001, struct.pack("<4i", 0, 1, 2, -6), -1)
    assert exports.with_reference(7, ONE) == (ONE, 7)
    assert exports.same.call_many([(ONE,), (TWO,)]) == [ONE, TWO]
    assert exports.same.type.parameters == (ValueType.V128,)


@pytest.mark.parametrize("wrong", [bytes(15), bytes(17), 1, "0123456789abcdef", None])
def test_what_is_no_vector_is_refused(instance, wrong):
    with pytest.raises(ArgumentError) as raised:
        instance.exports.add(ONE, wrong)
    assert (raised.value.index, raised.value.wanted) == (1, "v128")
    assert "16 bytes" in str(raised.value)


def test_globals(instance):
    variable = instance.exports.variable
    assert variable.value == struct.pack("<4i", 1, 2, 3, 4)
    variable.value = ONE
    assert variable.value == ONE
    with pytest.raises(ArgumentError):
        variable.value = bytes(3)


def test_streams(instance):
    with instance.stream() as stream:
        assert list(stream.map("same", [(ONE,), (TWO,)])) == [ONE, TWO]


async def test_the_asyncio_client(server):
    async with AsyncClient(server.address) as client, await client.create_store() as store:
        instance = await store.instantiate(await client.upload(VECTORS))
        assert await instance.exports.same(ONE) == ONE
        await instance.exports.variable.set(TWO)
        assert await instance.exports.variable.value == TWO


def test_the_command_line(server, client, capfd, tmp_path):
    file = tmp_path / "vectors.wasm"
    file.write_bytes(VECTORS)
    farcall = CommandLine(capfd, "--server", server.address)
    with client.create_store() as store:
        store.instantiate(client.upload(VECTORS), name="vectors")
        for command in (["exec", file], ["call", "--store", store.name, "vectors"]):
            assert farcall(*command, "same", "i8x16:" + ",".join(map(str, range(16)))).out == (
                "0x0f0e0d0c0b0a09080706050403020100\n"
            )
            assert farcall(*command, "same", "0x0f0e0d0c0b0a09080706050403020100").out == (
                "0x0f0e0d0c0b0a09080706050403020100\n"
            )
            assert farcall(*command, "add", "f32x4:1,2,3,-4", "f32x4:0.5,0.5,0.5,4").out == (
                "0x0000000040600000402000003fc00000\n"
            )
            assert farcall(*command, "mix", "-1", "7", "nan:0x1").out == (
                "nan:0x1\n0xffffffffffffffffffffffff00000006\n-1\n"
            )
            shown = json.loads(farcall(command[0], "--json", *command[1:], "mix", "1", "i64x2:0,0", "2").out)
            assert shown == {
                "results": [2.0, "0x00000001000000010000000100000001", 1],
                "types": ["f32", "v128", "i32"],
            }
            error = farcall(*command, "same", "i32x4:1,2", status=1).err
            assert error == "error: argument 0: i32x4 has 4 lanes, not 2: 'i32x4:1,2'\n"
        assert "v128" in farcall("inspect", file).out
