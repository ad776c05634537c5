"""v128 through the service: 16 bytes in arguments, results and globals, exact beside f32, and nothing else."""

import grpc
import pytest
from farcall_service import failure, value

from farcall.proto.farcall.v1 import global_service_pb2, value_pb2
from farcall.proto.farcall.v1.invocation_service_pb2 import BatchInvokeRequest, Call, CallColumns, CallList

GUEST = """
(module
  (global (export "variable") (mut v128) (v128.const i32x4 1 2 3 4))
  (func (export "add") (param v128 v128) (result v128) (i8x16.add (local.get 0) (local.get 1)))
  (func (export "mix") (param v128 f32 i64) (result i64 f32 v128)
    (local.get 2) (local.get 1) (local.get 0)))
"""
ONE, TWO = bytes(range(16)), bytes(range(100, 116))


@pytest.fixture
async def guest(service):
    return await service.instantiate(GUEST, "vectors")


async def results(service, instance, function, *arguments):
    return list((await service.invoke(instance, function, list(arguments))).results)


async def test_a_vector_is_its_bytes(service, guest):
    (result,) = await results(service, guest, "add", value(v128=ONE), value(v128=TWO))
    assert result == value(v128=bytes(a + b for a, b in zip(ONE, TWO, strict=True)))


async def test_beside_an_f32_both_are_exact(service, guest):
    arguments = value(v128=ONE), value(f32_bits=0x7FA00001), value(i64=-5)
    assert await results(service, guest, "mix", *arguments) == list(reversed(arguments))


@pytest.mark.parametrize("function", ["add", "mix"])
@pytest.mark.parametrize(
    ("argument", "given"),
    [
        (value(v128=bytes(15)), "v128 " + "00" * 15),
        (value(v128=bytes(17)), "v128 " + "00" * 17),
        (value(i64=5), "i64 5"),
    ],
)
async def test_anything_else_is_refused(service, guest, function, argument, given):
    others = [value(v128=ONE)] if function == "add" else [value(f32=1), value(i64=1)]

    error = await failure(service.invoke(guest, function, [argument, *others]))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.detail.index, error.detail.wanted, error.detail.given) == (0, "v128", given)
    assert error.detail.wanted_type == value_pb2.VALUE_TYPE_V128


async def test_many_calls_in_a_list(service, guest):
    calls = [Call(instance=guest, function="add", arguments=[value(v128=ONE), value(v128=TWO)])] * 3
    response = await service.invocations.BatchInvoke(BatchInvokeRequest(list=CallList(calls=calls)))
    assert len(response.list.outcomes) == 3
    for outcome in response.list.outcomes:
        assert list(outcome.results.values) == [value(v128=bytes(range(100, 132, 2)))]


async def test_columns_carry_numbers_only(service, guest):
    columns = CallColumns(instance=guest, function="add", call_count=1)
    error = await failure(service.invocations.BatchInvoke(BatchInvokeRequest(columns=columns)))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "numbers only" in error.message


async def test_globals(service, guest):
    get = global_service_pb2.GetGlobalRequest(instance=guest, **{"global": "variable"})
    assert (await service.globals.GetGlobal(get)).value == value(
        v128=bytes.fromhex("01000000020000000300000004000000")
    )
    put = global_service_pb2.SetGlobalRequest(instance=guest, value=value(v128=TWO), **{"global": "variable"})
    await service.globals.SetGlobal(put)
    assert (await service.globals.GetGlobal(get)).value == value(v128=TWO)
    put.value.v128 = b"short"
    assert (await failure(service.globals.SetGlobal(put))).code is grpc.StatusCode.INVALID_ARGUMENT
