"""Memories, globals and tables in the synchronous client, against a server without an engine."""

import pytest

from farcall.client import ArgumentError, Client, FarcallError, RangeError


@pytest.fixture
def client(fake_server):
    with Client(fake_server.address) as client:
        yield client


@pytest.fixture
def instance(client, module_bytes):
    return client.store().instantiate(client.upload(module_bytes), name="app")


def test_memory_slices(instance):
    memory = instance.exports.memory
    memory[16:20] = b"abcd"
    assert memory[16:20] == b"abcd"
    assert memory[17] == ord("b")
    memory[17] = 0
    assert memory.read(16, 4) == b"a\0cd"
    memory[-4:] = b"last"
    assert memory[-4:] == memory[65532:] == b"last"
    assert memory[-1] == ord("t")
    assert memory[5:5] == b""
    assert memory[:2] == b"\0\0"
    assert len(memory[:]) == memory.size() == 65536
    assert memory.grow(2) == 1
    assert memory.size() == 3 * 65536
    memory.write(0, bytearray(b"xy"))
    assert memory[0:2] == b"xy"


def test_memory_past_its_end(instance):
    memory = instance.memory()
    with pytest.raises(RangeError) as caught:
        memory.read(65530, 10)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (65530, 10, 65536)
    with pytest.raises(RangeError):
        memory[65536] = 1
    with pytest.raises(FarcallError, match="beyond its maximum"):
        memory.grow(64)


def test_long_reads_and_writes_are_made_of_pieces(instance, fake_server):
    memory = instance.memory()
    memory.grow(47)
    data = bytes(range(256)) * 12_000
    memory.write(100, data)
    assert memory.read(100, len(data)) == data
    assert (fake_server.calls["WriteMemory"], fake_server.calls["ReadMemory"]) == (3, 3)
    with pytest.raises(RangeError):
        memory.write(memory.size() - len(data) + 1, bytes(len(data)))
    assert memory.read(100, len(data)) == data


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (slice(0, 2), b"abc", ValueError),
        (slice(0, 2), 5, TypeError),
        (slice(0, 4, 2), b"ab", ValueError),
        (0, b"a", TypeError),
        (0, 256, ValueError),
        (-70000, 1, ValueError),
    ],
)
def test_assignments_to_memory_that_make_no_sense(instance, key, value, error):
    with pytest.raises(error):
        instance.memory()[key] = value
    assert instance.memory()[0:4] == bytes(4)


def test_globals(instance):
    counter = instance.exports.counter
    counter.value = 5
    assert counter.value == counter.get() == 5
    counter.set(-(2**63))
    assert counter.value == -(2**63)
    with pytest.raises(ArgumentError, match="wanted i64"):
        counter.value = 2**63
    with pytest.raises(ArgumentError, match="given float"):
        counter.value = 1.5


def test_tables(instance):
    table = instance.table("table")
    reference = table[0]
    assert (reference.function, reference.function_index) == ("add", 7)
    assert table.get(1) is None
    assert table.size() == 2
    with pytest.raises(RangeError):
        table.get(2)
    assert instance.exports.same_funcref(table[0]) == reference


@pytest.mark.parametrize(
    "use",
    [
        lambda instance: instance.memory().read(2**64, 0),
        lambda instance: instance.memory().read(0, -1),
        lambda instance: instance.memory().write(-1, b""),
        lambda instance: instance.memory().grow(-1),
        lambda instance: instance.table("table").get(-1),
        lambda instance: instance.table("table").get(2**64),
    ],
    ids=["offset", "length", "negative offset", "pages", "negative index", "index"],
)
def test_numbers_that_no_message_can_carry(instance, use):
    with pytest.raises(ValueError, match=r"must be from 0 to 2\*\*64 - 1"):
        use(instance)
