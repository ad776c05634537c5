"""MemoryService, GlobalService and TableService."""

import asyncio

import grpc
import pytest
from farcall_service import GUEST, failure, running, value

from farcall.proto.farcall.v1 import value_pb2
from farcall.proto.farcall.v1.global_service_pb2 import GetGlobalRequest, SetGlobalRequest
from farcall.proto.farcall.v1.memory_service_pb2 import (
    GetMemoryRequest,
    GrowMemoryRequest,
    ReadMemoryRequest,
    WriteMemoryRequest,
)
from farcall.proto.farcall.v1.table_service_pb2 import GetTableRequest, LookupElementRequest

PAGE = 65536


@pytest.fixture
async def guest(service):
    return await service.instantiate(GUEST, "guest")


def read(service, guest, offset, length):
    return service.memories.ReadMemory(
        ReadMemoryRequest(instance=guest, memory="memory", offset=offset, length=length)
    )


def write(service, guest, offset, data):
    return service.memories.WriteMemory(
        WriteMemoryRequest(instance=guest, memory="memory", offset=offset, data=data)
    )


async def test_what_was_written_is_read(service, guest):
    await write(service, guest, PAGE - 5, b"hello")

    assert (await read(service, guest, PAGE - 6, 6)).data == b"\0hello"
    assert (await read(service, guest, PAGE, 0)).data == b""


async def test_a_memory_tells_type_and_size_and_grows(service, guest):
    memory = await service.memories.GetMemory(GetMemoryRequest(instance=guest, memory="memory"))
    assert (memory.type.limits.minimum, memory.type.limits.maximum) == (1, 4)
    assert (memory.size_pages, memory.size_bytes) == (1, PAGE)

    grown = await service.memories.GrowMemory(
        GrowMemoryRequest(instance=guest, memory="memory", delta_pages=2)
    )
    assert grown.previous_size_pages == 1
    memory = await service.memories.GetMemory(GetMemoryRequest(instance=guest, memory="memory"))
    assert (memory.type.limits.minimum, memory.size_bytes) == (1, 3 * PAGE)
    await write(service, guest, 3 * PAGE - 1, b"x")

    for delta in (2, 2**63, 2**64 - 1):
        error = await failure(
            service.memories.GrowMemory(GrowMemoryRequest(instance=guest, memory="memory", delta_pages=delta))
        )
        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await read(service, guest, 3 * PAGE - 1, 1)).data == b"x"


@pytest.mark.parametrize(
    ("offset", "length"), [(PAGE, 1), (PAGE - 1, 2), (2**64 - 1, 1), (0, 2**64 - 1), (0, PAGE + 1)]
)
async def test_reading_past_the_end_is_told_with_all_numbers(service, guest, offset, length):
    error = await failure(read(service, guest, offset, length))

    assert error.code is grpc.StatusCode.OUT_OF_RANGE
    assert error.reason == "OUT_OF_RANGE"
    assert (error.detail.offset, error.detail.length, error.detail.size) == (offset, length, PAGE)


async def test_writing_past_the_end_writes_nothing(service, guest):
    error = await failure(write(service, guest, PAGE - 2, b"abc"))

    assert error.code is grpc.StatusCode.OUT_OF_RANGE
    assert (await read(service, guest, PAGE - 2, 2)).data == b"\0\0"


async def test_more_than_fits_in_a_message_is_to_be_read_in_pieces():
    async with running(max_message_bytes=10_000) as service:
        guest = await service.instantiate(GUEST)

        error = await failure(read(service, guest, 0, 10_000))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "read in pieces" in error.message
        assert len((await read(service, guest, 0, 9_900)).data) == 9_900


async def test_accesses_wait_for_the_call_that_runs(service, guest):
    async with service.held_up(guest):
        call = asyncio.ensure_future(service.call(guest, "count_slowly"))
        await service.pending(2)
        counter = service.globals.GetGlobal(GetGlobalRequest(instance=guest, **{"global": "counter"}))
        await service.pending(3)

    assert (await counter).value.i32 == 8
    assert await call == 8


async def test_globals_are_read_and_set(service, guest):
    async def get(name):
        return await service.globals.GetGlobal(GetGlobalRequest(instance=guest, **{"global": name}))

    async def put(name, new):
        await service.globals.SetGlobal(SetGlobalRequest(instance=guest, value=new, **{"global": name}))

    assert (await get("constant")).type == value_pb2.GlobalType(value=value_pb2.VALUE_TYPE_I64, mutable=False)
    assert (await get("constant")).value == value(i64=-9)
    await put("counter", value(i32=-1))
    assert (await get("counter")).value == value(i32=-1)
    assert await service.call(guest, "count") == 0
    for content in (value(f32=0.25), value(f32_bits=0x7FC00001)):
        await put("half", content)
        assert (await get("half")).value == content


async def test_wrong_values_for_globals_are_refused(service, guest):
    async def put(name, **fields):
        return await failure(
            service.globals.SetGlobal(SetGlobalRequest(instance=guest, **{"global": name}, **fields))
        )

    error = await put("counter", value=value(f32=1))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.detail.wanted, error.detail.given) == ("i32", "f32 1.0")
    assert not error.detail.HasField("index")

    error = await put("counter")
    assert error.detail.field_violations[0].field == "value"

    error = await put("constant", value=value(i64=1))
    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "not mutable" in error.message


async def test_tables_tell_what_their_elements_are(service, guest):
    table = await service.tables.GetTable(GetTableRequest(instance=guest, table="table"))
    assert (table.type.element, table.size) == (value_pb2.VALUE_TYPE_FUNCREF, 4)

    async def look_up(table, index):
        return await service.tables.LookupElement(
            LookupElementRequest(instance=guest, table=table, index=index)
        )

    found = await look_up("table", 1)
    assert (found.element.funcref.instance, found.element.funcref.function) == (guest, "add")
    assert len(found.function_type.parameters) == 2
    null = await look_up("table", 0)
    assert null.element.WhichOneof("kind") == "funcref"
    assert null.element.funcref == value_pb2.FunctionReference()
    assert not null.HasField("function_type")
    assert (await look_up("things", 0)).element.WhichOneof("kind") == "externref"

    for index in (4, 2**64 - 1):
        error = await failure(look_up("table", index))
        assert error.code is grpc.StatusCode.OUT_OF_RANGE
        assert (error.detail.offset, error.detail.size) == (index, 4)


async def test_exports_that_are_not_there_or_of_another_kind_are_not_found(service, guest):
    for call, kind in (
        (service.memories.GetMemory(GetMemoryRequest(instance=guest, memory="counter")), "memory"),
        (service.tables.GetTable(GetTableRequest(instance=guest, table="counter")), "table"),
        (service.globals.GetGlobal(GetGlobalRequest(instance=guest, **{"global": "table"})), "global"),
    ):
        error = await failure(call)
        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "EXPORT_NOT_FOUND"
        assert f"exports no {kind}" in error.message


KINDS = """(module (memory (export "memory") 1) (memory (export "wide") i64 1 281474976710656)
  (memory (export "bytes") 10 20 (pagesize 1)) (table (export "table") i64 1 18446744073709551615 funcref)
  (func (export "put") (param i64) (i64.store8 1 (local.get 0) (i64.const 42))))"""


async def test_memories_and_tables_of_all_kinds(service):
    guest = await service.instantiate(KINDS, "kinds")

    async def get(name):
        return await service.memories.GetMemory(GetMemoryRequest(instance=guest, memory=name))

    wide, few = await get("wide"), await get("bytes")
    assert wide.type.index_type == value_pb2.VALUE_TYPE_I64
    assert (wide.type.limits.maximum, wide.type.page_size_bytes) == (1 << 48, PAGE)
    assert (wide.size_pages, wide.size_bytes) == (1, PAGE)
    assert (few.type.index_type, few.type.page_size_bytes) == (value_pb2.VALUE_TYPE_I32, 1)
    assert (few.size_pages, few.size_bytes) == (10, 10)

    grow = service.memories.GrowMemory
    assert (
        await grow(GrowMemoryRequest(instance=guest, memory="bytes", delta_pages=10))
    ).previous_size_pages == 10
    error = await failure(grow(GrowMemoryRequest(instance=guest, memory="bytes", delta_pages=1)))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    # The server's limit for one memory, 4 GiB unless it is told otherwise, goes for 64-bit ones too.
    error = await failure(grow(GrowMemoryRequest(instance=guest, memory="wide", delta_pages=65536)))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED

    await service.invoke(guest, "put", [value(i64=PAGE - 1)])
    request = ReadMemoryRequest(instance=guest, memory="wide", offset=PAGE - 1, length=1)
    assert (await service.memories.ReadMemory(request)).data == b"\x2a"
    error = await failure(
        service.memories.ReadMemory(ReadMemoryRequest(instance=guest, memory="bytes", offset=20, length=1))
    )
    assert (error.code, error.detail.size) == (grpc.StatusCode.OUT_OF_RANGE, 20)

    table = await service.tables.GetTable(GetTableRequest(instance=guest, table="table"))
    assert (table.type.index_type, table.type.limits.maximum) == (value_pb2.VALUE_TYPE_I64, (1 << 64) - 1)
