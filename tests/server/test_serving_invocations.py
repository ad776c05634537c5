"""InvocationService: unary calls and many calls in a message, and what is told when they fail."""

import asyncio
import math
import re
import struct

import grpc
import pytest
from farcall_service import GUEST, PATIENCE, Failure, failure, i32s, running, value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farcall.proto.farcall.v1 import error_details_pb2, value_pb2
from farcall.proto.farcall.v1.invocation_service_pb2 import BatchInvokeRequest, Call, CallColumns, CallList
from farcall.proto.farcall.v1.value_pb2 import (
    ExternReference,
    F32Column,
    FunctionReference,
    I32Column,
    ValueColumn,
)

NAN32 = 0x7FC00000


@pytest.fixture
async def guest(service):
    return await service.instantiate(GUEST, "guest")


async def results(service, instance, function, *arguments):
    return list((await service.invoke(instance, function, list(arguments))).results)


# -- Values ------------------------------------------------------------------------------------------------------------


async def test_all_number_types_go_in_and_come_out(service, guest):
    arguments = [value(i32=-(2**31)), value(i64=2**63 - 1), value(f32=0.1), value(f64=-0.0)]

    f64, f32, i64, i32 = await results(service, guest, "all", *arguments)

    assert math.copysign(1, f64.f64) == -1
    assert f32.f32 == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert i64.i64 == 2**63 - 1
    assert i32.i32 == -(2**31)


async def test_a_function_without_results_gives_none(service, guest):
    assert await results(service, guest, "nothing") == []


async def test_results_are_those_of_wrapping_arithmetic(service, guest):
    assert await service.call(guest, "add", 2**31 - 1, 1) == -(2**31)


@pytest.mark.parametrize("bits", [0x7FA00001, 0xFFA12345, 0x7FC00001, 0xFFC00000, 0x7F800001])
async def test_nans_keep_their_bits(service, guest, bits):
    (result,) = await results(service, guest, "echo_f32", value(f32_bits=bits))

    assert result.WhichOneof("kind") == "f32_bits"
    assert result.f32_bits == bits


@pytest.mark.parametrize("bits", [NAN32, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x3F800000])
async def test_other_f32_come_as_numbers(service, guest, bits):
    (result,) = await results(service, guest, "echo_f32", value(f32_bits=bits))

    assert result.WhichOneof("kind") == "f32"
    assert struct.pack("<f", result.f32) == struct.pack("<I", bits)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(), st.integers(-(2**63), 2**63 - 1), st.floats(width=32, allow_nan=False))
def test_every_number_comes_back_exactly(double, number, single):
    async def call():
        async with running() as service:
            guest = await service.instantiate(GUEST)
            arguments = [value(i32=5), value(i64=number), value(f32=single), value(f64=double)]
            f64, f32, i64, _ = await results(service, guest, "all", *arguments)
            assert struct.pack("<d", f64.f64) == struct.pack("<d", double)
            assert f32.f32 == single
            assert i64.i64 == number

    asyncio.run(call())


async def test_external_references_come_back_as_they_were_sent(service, guest):
    for handle in (0, 1, 2**64 - 1):
        reference = ExternReference(handle=handle)
        (result,) = await results(service, guest, "echo_externref", value(externref=reference))
        assert result.externref == reference

    (result,) = await results(service, guest, "echo_externref", value(externref=ExternReference()))
    assert result.WhichOneof("kind") == "externref"
    assert not result.externref.HasField("handle")


async def test_function_references_name_instance_and_function(service, guest):
    other = await service.instantiate(GUEST, "other")
    for instance in (guest, other):
        reference = FunctionReference(instance=instance, function="add")
        (result,) = await results(service, guest, "echo_funcref", value(funcref=reference))
        assert result.funcref.instance == instance
        assert result.funcref.function == "add"
        assert result.funcref.function_index == 0

    (result,) = await results(service, guest, "echo_funcref", value(funcref=FunctionReference()))
    assert result.WhichOneof("kind") == "funcref"
    assert result.funcref == FunctionReference()


# -- Wrong arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "index", "wanted", "given_"),
    [
        ([], None, "2 arguments", "0 arguments"),
        (i32s(1), None, "2 arguments", "1 argument"),
        (i32s(1, 2, 3), None, "2 arguments", "3 arguments"),
        ([value(i32=1), value(i64=2)], 1, "i32", "i64 2"),
        ([value(f64=1.5), value(i32=2)], 0, "i32", "f64 1.5"),
        ([value(f32_bits=NAN32), value(i32=2)], 0, "i32", "f32 0x7fc00000"),
        ([value(i32=1), value()], 1, "i32", "no value"),
        ([value(funcref=FunctionReference()), value(i32=2)], 0, "i32", "funcref null"),
    ],
)
async def test_wrong_arguments_are_told(service, guest, arguments, index, wanted, given_):
    error = await failure(service.invoke(guest, "add", arguments))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_ARGUMENT"
    detail = error.detail
    assert (detail.index if detail.HasField("index") else None) == index
    assert (detail.wanted, detail.given) == (wanted, given_)
    if index is not None:
        assert detail.wanted_type == value_pb2.VALUE_TYPE_I32
        assert f"argument {index}" in error.message
    assert wanted in error.message


@pytest.mark.parametrize(
    "reference",
    [
        FunctionReference(instance="stores/default/instances/none", function="add"),
        FunctionReference(instance="stores/default/instances/guest", function="none"),
        FunctionReference(instance="stores/other/instances/guest", function="add"),
        FunctionReference(function="add"),
    ],
)
async def test_references_to_what_is_not_there_are_wrong_arguments(service, guest, reference):
    error = await failure(service.invoke(guest, "echo_funcref", [value(funcref=reference)]))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.index == 0
    assert error.detail.wanted == "funcref"


async def test_what_is_not_exported_as_a_function_is_not_found(service, guest):
    for name, words in (("none", "exports no function 'none'"), ("memory", "'memory' is a memory")):
        error = await failure(service.invoke(guest, name))
        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "EXPORT_NOT_FOUND"
        assert error.detail.resource_name == name
        assert error.detail.owner == guest
        assert words in error.message


@pytest.mark.parametrize("name", ["", "guest", "stores/default/instances/", "stores/default", "x" * 10_000])
async def test_malformed_instance_names_are_refused(service, name):
    error = await failure(service.invoke(name, "add"))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == "instance"
    assert len(error.message) < 500


# -- Traps -------------------------------------------------------------------------------------------------------------


async def test_a_trap_has_its_kind_and_the_names_of_the_functions(service, guest):
    error = await failure(service.invoke(guest, "trap"))

    assert error.code is grpc.StatusCode.ABORTED
    assert error.reason == "TRAP"
    assert error.detail.kind == error_details_pb2.TRAP_KIND_UNREACHABLE
    assert error.detail.message == "unreachable"
    assert [frame.function_name for frame in error.detail.frames] == ["inner", "trap"]
    assert error.info.metadata["kind"] == "UNREACHABLE"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ((1, 0), error_details_pb2.TRAP_KIND_INTEGER_DIVIDE_BY_ZERO),
        ((-(2**31), -1), error_details_pb2.TRAP_KIND_INTEGER_OVERFLOW),
    ],
)
async def test_the_instance_is_usable_after_a_trap(service, guest, arguments, kind):
    error = await failure(service.invoke(guest, "divide", i32s(*arguments)))
    assert error.detail.kind == kind

    assert await service.call(guest, "divide", 7, -2) == -3


async def test_endless_recursion_is_a_trap(service, guest):
    error = await failure(service.invoke(guest, "recurse"))

    assert error.code is grpc.StatusCode.ABORTED
    assert error.detail.kind == error_details_pb2.TRAP_KIND_CALL_STACK_EXHAUSTED
    assert 0 < len(error.detail.frames) <= 64
    assert await service.call(guest, "add", 1, 1) == 2


async def test_calls_are_counted(service, guest):
    for _ in range(3):
        await service.call(guest, "add", 1, 1)
        await service.call(guest, "sum", 10)
    await failure(service.invoke(guest, "trap"))
    await failure(service.invoke(guest, "divide", i32s(1, 0)))
    await failure(service.invoke(guest, "add"))

    counters = await service.counters()
    assert counters.calls_total == 8
    assert counters.calls_trapped_total == 2
    assert counters.calls_pending == 0


# -- Order and queues --------------------------------------------------------------------------------------------------


async def test_calls_of_one_instance_take_turns(service, guest):
    calls = [service.call(guest, name) for name in ("count", "count_slowly") * 10]

    assert sorted(await asyncio.gather(*calls)) == list(range(8, 28))


async def test_short_calls_wait_for_the_long_one_before_them(service, guest):
    async with service.held_up(guest):
        slow = service.invoke(guest, "count_slowly")
        await service.pending(2)
        fast = service.invoke(guest, "count")
        await service.pending(3)

    assert ((await slow).results[0].i32, (await fast).results[0].i32) == (8, 9)


async def test_a_busy_instance_does_not_keep_others_waiting(service, guest):
    other = await service.instantiate(GUEST)
    async with service.held_up(guest), asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(service.call(other, "sum", 10) for _ in range(20))) == [55] * 20
        assert await service.call(other, "add", 1, 2) == 3
        assert (await service.counters()).calls_pending == 1


async def test_the_queue_of_an_instance_is_bounded():
    async with running(max_pending_calls_per_instance=4) as service:
        guest = await service.instantiate(GUEST)
        other = await service.instantiate(GUEST)
        spinning = [service.invoke(guest, "spin") for _ in range(4)]
        await service.pending(4)

        error = await failure(service.invoke(guest, "sum", i32s(1)))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.reason == "LIMIT_REACHED"
        assert error.detail.violations[0].subject == guest
        assert await service.call(other, "sum", 1) == 1
        assert (await service.counters()).calls_pending == 4
        for call in spinning:
            call.cancel()
        await service.pending(0)
        assert await service.call(guest, "sum", 1) == 1


async def test_more_busy_instances_than_workers_get_their_turns():
    async with running(max_concurrent_calls=2) as service:
        guests = [await service.instantiate(GUEST) for _ in range(6)]

        counted = await asyncio.gather(
            *(service.call(guest, "count_slowly") for guest in guests for _ in range(2))
        )

        assert counted == [8, 9] * 6


# -- Many calls in one message -----------------------------------------------------------------------------------------


def columns(instance, function, count, *arguments):
    return BatchInvokeRequest(
        columns=CallColumns(instance=instance, function=function, call_count=count, arguments=arguments)
    )


def i32_column(*values):
    return ValueColumn(i32=I32Column(values=values))


async def test_columns_are_calls_of_one_function(service, guest):
    request = columns(guest, "add", 1000, i32_column(*range(1000)), i32_column(*range(0, -2000, -2)))

    response = await service.invocations.BatchInvoke(request)

    (result,) = response.columns.results
    assert list(result.i32.values) == [-number for number in range(1000)]
    assert not response.columns.failures
    assert (await service.counters()).calls_total == 1000


async def test_a_failing_call_in_columns_does_not_keep_others_from_running(service, guest):
    request = columns(guest, "divide", 4, i32_column(7, 7, -(2**31), 9), i32_column(2, 0, -1, 3))

    response = (await service.invocations.BatchInvoke(request)).columns

    assert list(response.results[0].i32.values) == [3, 0, 0, 3]
    assert [entry.call_index for entry in response.failures] == [1, 2]
    kinds = [Failure(entry.error).detail.kind for entry in response.failures]
    assert kinds == [
        error_details_pb2.TRAP_KIND_INTEGER_DIVIDE_BY_ZERO,
        error_details_pb2.TRAP_KIND_INTEGER_OVERFLOW,
    ]
    assert (await service.counters()).calls_trapped_total == 2


async def test_columns_of_all_types_and_of_none(service, guest):
    arguments = [
        i32_column(1, 2),
        ValueColumn(i64=value_pb2.I64Column(values=[3, -4])),
        ValueColumn(f32=F32Column(values=[0.5, math.inf])),
        ValueColumn(f64=value_pb2.F64Column(values=[-0.25, 1e300])),
    ]
    response = await service.invocations.BatchInvoke(columns(guest, "all", 2, *arguments))
    assert list(response.columns.results) == arguments[::-1]

    response = await service.invocations.BatchInvoke(columns(guest, "count", 3))
    assert list(response.columns.results[0].i32.values) == [8, 9, 10]

    response = await service.invocations.BatchInvoke(columns(guest, "nothing", 3))
    assert not response.columns.results
    assert not response.columns.failures

    response = await service.invocations.BatchInvoke(columns(guest, "count", 0))
    assert list(response.columns.results[0].i32.values) == []


@pytest.mark.parametrize(
    ("request_columns", "index", "wanted", "given_"),
    [
        ([i32_column(1, 2)], None, "2 arguments", "1 argument"),
        ([i32_column(1, 2), i32_column(1)], 1, "i32", "1 values for 2 calls"),
        ([i32_column(1, 2), ValueColumn(f32=F32Column(values=[1, 2]))], 1, "i32", "a column of f32"),
        ([ValueColumn(), i32_column(1, 2)], 0, "i32", "no column"),
    ],
)
async def test_wrong_columns_are_refused(service, guest, request_columns, index, wanted, given_):
    error = await failure(service.invocations.BatchInvoke(columns(guest, "add", 2, *request_columns)))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.detail.index if error.detail.HasField("index") else None) == index
    assert (error.detail.wanted, error.detail.given) == (wanted, given_)


async def test_columns_do_not_carry_references(service, guest):
    error = await failure(service.invocations.BatchInvoke(columns(guest, "echo_externref", 1)))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "list of calls" in error.message


async def test_a_small_message_cannot_ask_for_endless_work(service, guest):
    error = await failure(service.invocations.BatchInvoke(columns(guest, "nothing", 2**32 - 1)))

    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 100000" in error.message


async def test_a_list_holds_any_calls_in_order(service, guest):
    other = await service.instantiate(GUEST)
    calls = [
        Call(instance=guest, function="count"),
        Call(instance=guest, function="divide", arguments=i32s(1, 0)),
        Call(instance=other, function="count"),
        Call(instance=guest, function="none"),
        Call(instance=guest, function="count"),
        Call(instance="stores/default/instances/none", function="count"),
        Call(instance=other, function="add", arguments=i32s(1)),
        Call(instance=guest, function="nothing"),
        Call(
            instance=guest, function="echo_externref", arguments=[value(externref=ExternReference(handle=5))]
        ),
    ]

    response = await service.invocations.BatchInvoke(BatchInvokeRequest(list=CallList(calls=calls)))

    told = [
        Failure(outcome.error).reason if outcome.HasField("error") else list(outcome.results.values)
        for outcome in response.list.outcomes
    ]
    assert told == [
        i32s(8),
        "TRAP",
        i32s(8),
        "EXPORT_NOT_FOUND",
        i32s(9),
        "RESOURCE_NOT_FOUND",
        "INVALID_ARGUMENT",
        [],
        [value(externref=ExternReference(handle=5))],
    ]


async def test_a_list_goes_on_where_one_instance_has_too_many_calls_waiting():
    async with running(max_pending_calls_per_instance=1) as service:
        busy, free = [await service.instantiate(GUEST) for _ in range(2)]
        calls = [Call(instance=instance, function="count") for instance in (free, busy, free)]

        async with service.held_up(busy):
            response = await service.invocations.BatchInvoke(BatchInvokeRequest(list=CallList(calls=calls)))

        first, refused, last = response.list.outcomes
        assert Failure(refused.error).reason == "LIMIT_REACHED"
        assert [outcome.results.values[0].i32 for outcome in (first, last)] == [8, 9]


async def test_a_batch_without_calls_is_refused(service):
    error = await failure(service.invocations.BatchInvoke(BatchInvokeRequest()))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == "calls"


# -- Limits on messages ------------------------------------------------------------------------------------------------


async def test_a_message_over_the_size_limit_is_refused_with_both_sizes():
    async with running(max_message_bytes=100_000) as service:
        guest = await service.instantiate(GUEST)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await service.invoke(guest, "x" * 100_001)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "100000" in raised.value.details()
        assert "larger than max" in raised.value.details()
        assert await service.call(guest, "add", 1, 2) == 3


async def test_an_answer_over_the_size_limit_is_told_with_both_sizes():
    async with running(max_message_bytes=2000) as service:
        guest = await service.instantiate(GUEST)
        error = await failure(service.invocations.BatchInvoke(columns(guest, "count", 3000)))
        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.reason == "LIMIT_REACHED"
        assert re.fullmatch(
            r"the answer has \d{4} bytes, a message at most 2000; ask for less .*", error.message
        )


async def test_the_errors_of_many_calls_share_a_message_backtraces_shortened():
    """Of 2,000 calls each fails 40 functions deep, with a name of 200 characters; whole, that were 17 MB."""
    name = "f" * 200
    source = f"""(module (func ${name} (export "dive") (param i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (call ${name} (i32.sub (local.get 0) (i32.const 1)))))"""
    async with running(max_message_bytes=1 << 20) as service:
        guest = await service.instantiate(source)

        request = columns(guest, "dive", 2000, i32_column(*[40] * 2000))
        response = await service.invocations.BatchInvoke(request)
        as_list = [Call(instance=guest, function="dive", arguments=i32s(40))] * 2000
        listed = await service.invocations.BatchInvoke(BatchInvokeRequest(list=CallList(calls=as_list)))

        for errors in (
            [entry.error for entry in response.columns.failures],
            [entry.error for entry in listed.list.outcomes],
        ):
            assert len(errors) == 2000
            for error in errors[::500]:
                failed = Failure(error)
                assert failed.reason == "TRAP"
                assert failed.message.startswith("unreachable in ")

        few = await service.invocations.BatchInvoke(columns(guest, "dive", 2, i32_column(40, 40)))
        frames = Failure(few.columns.failures[0].error).detail.frames
        assert len(frames) > 10
        assert frames[0].function_name == name


async def test_the_number_of_external_references_is_limited(service, guest, monkeypatch):
    monkeypatch.setattr("farcall.server.store_registry._MAX_EXTERNREFS", 2)
    for handle in (1, 2, 1):
        await results(service, guest, "echo_externref", value(externref=ExternReference(handle=handle)))

    error = await failure(
        service.invoke(guest, "echo_externref", [value(externref=ExternReference(handle=3))])
    )

    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
