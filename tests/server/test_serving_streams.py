"""StreamInvoke: order, correlation, outcomes, time limits, and callers that go away."""

import asyncio

import grpc
import pytest
from farcall_service import GUEST, PATIENCE, Failure, i32s, running
from google.protobuf.duration_pb2 import Duration

from farcall.proto.farcall.v1.instance_service_pb2 import CloseInstanceRequest
from farcall.proto.farcall.v1.invocation_service_pb2 import Call, CallColumns, StreamInvokeRequest
from farcall.proto.farcall.v1.value_pb2 import I32Column, ValueColumn


@pytest.fixture
async def guest(service):
    return await service.instantiate(GUEST, "guest")


def request(number, instance, function, *arguments, timeout=None):
    return StreamInvokeRequest(
        correlation_id=number,
        call=Call(instance=instance, function=function, arguments=i32s(*arguments)),
        timeout=None if timeout is None else Duration(seconds=int(timeout), nanos=int(timeout % 1 * 1e9)),
    )


async def exchange(service, requests):
    return [response async for response in service.invocations.StreamInvoke(iter(requests))]


def result(response):
    assert response.WhichOneof("outcome") == "results", response
    (value,) = response.results.values
    return value.i32


@pytest.mark.parametrize("function", ["count", "count_slowly"])
async def test_calls_of_one_instance_run_in_the_order_in_which_they_were_sent(service, guest, function):
    count = 300 if function == "count" else 20
    responses = await exchange(service, [request(number, guest, function) for number in range(count)])

    assert [response.correlation_id for response in responses] == list(range(count))
    assert [result(response) for response in responses] == list(range(8, 8 + count))


async def test_short_and_long_calls_keep_their_order(service, guest):
    names = ["count_slowly", "count", "count", "count_slowly", "count"] * 4
    responses = await exchange(service, [request(number, guest, name) for number, name in enumerate(names)])

    assert [(response.correlation_id, result(response)) for response in responses] == [
        (number, number + 8) for number in range(20)
    ]


async def test_calls_of_other_instances_overtake(service, guest):
    other = await service.instantiate(GUEST)
    responses = await exchange(
        service, [request(1, guest, "sum", 300_000_000), request(2, other, "add", 1, 2)]
    )

    assert [response.correlation_id for response in responses] == [2, 1]


async def test_a_failing_call_does_not_end_the_stream(service, guest):
    responses = await exchange(
        service,
        [
            request(1, guest, "trap"),
            request(2, guest, "divide", 1, 0),
            request(3, guest, "none"),
            request(4, "nonsense", "add"),
            request(5, guest, "add", 1),
            StreamInvokeRequest(correlation_id=6),
            request(7, guest, "sum", 4),
            request(8, guest, "nothing"),
        ],
    )

    # What is refused is answered at once, also before calls that run.
    responses.sort(key=lambda response: response.correlation_id)
    assert [response.correlation_id for response in responses] == list(range(1, 9))
    assert [Failure(response.error).reason for response in responses[:6]] == [
        "TRAP",
        "TRAP",
        "EXPORT_NOT_FOUND",
        "BAD_REQUEST",
        "INVALID_ARGUMENT",
        "BAD_REQUEST",
    ]
    assert [frame.function_name for frame in Failure(responses[0].error).detail.frames] == ["inner", "trap"]
    assert result(responses[6]) == 10
    assert responses[7].WhichOneof("outcome") == "results"
    assert not responses[7].results.values


async def test_columns_go_over_streams_too(service, guest):
    columns = CallColumns(
        instance=guest,
        function="divide",
        call_count=3,
        arguments=[
            ValueColumn(i32=I32Column(values=[6, 6, 6])),
            ValueColumn(i32=I32Column(values=[1, 0, 3])),
        ],
    )
    requests = [StreamInvokeRequest(correlation_id=number, columns=columns) for number in range(3)]
    responses = await exchange(service, requests)

    for number, response in enumerate(responses):
        assert response.correlation_id == number
        assert list(response.columns.results[0].i32.values) == [6, 0, 2]
        assert [failure.call_index for failure in response.columns.failures] == [1]


async def test_wrong_columns_are_that_request_s_outcome(service, guest):
    wrong = CallColumns(instance=guest, function="add", call_count=2)
    responses = await exchange(
        service, [StreamInvokeRequest(correlation_id=1, columns=wrong), request(2, guest, "count")]
    )

    assert Failure(responses[0].error).reason == "INVALID_ARGUMENT"
    assert result(responses[1]) == 8


async def test_a_call_has_its_own_time_limit(service, guest):
    responses = await exchange(
        service,
        [
            request(1, guest, "spin", timeout=0.5),
            request(2, guest, "count", timeout=0.05),
            request(3, guest, "count", timeout=PATIENCE),
        ],
    )

    by_id = {response.correlation_id: response for response in responses}
    spinning, waiting = Failure(by_id[1].error), Failure(by_id[2].error)
    assert spinning.code is waiting.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert [frame.function_name for frame in spinning.detail.frames] == ["spin"]
    assert not waiting.detail.frames
    assert "not started" in waiting.message
    assert result(by_id[3]) == 8


async def test_a_client_that_goes_away_stops_all_that_its_stream_began(service, guest):
    call = service.invocations.StreamInvoke()
    for number in range(5):
        await call.write(request(number, guest, "spin"))
    await service.pending(5)

    call.cancel()

    await service.pending(0)
    assert await service.call(guest, "add", 1, 2) == 3
    assert (await service.counters()).calls_terminated_total == 5


async def test_a_slow_reader_is_made_to_wait(service, guest):
    """The server reads no further than its window while responses are not taken."""
    call = service.invocations.StreamInvoke()

    async def write():
        for number in range(400):
            await call.write(request(number, guest, "spin"))

    writer = asyncio.create_task(write())
    await service.pending(256)
    await asyncio.sleep(0.05)
    assert (await service.counters()).calls_pending == 256

    await service.instances.CloseInstance(CloseInstanceRequest(name=guest))
    await writer
    await call.done_writing()
    reasons = [Failure(response.error).reason async for response in call]
    assert reasons == ["CANCELLED"] * 256 + ["RESOURCE_NOT_FOUND"] * 144


async def test_a_time_of_any_length_is_understood(service, guest):
    """A Duration holds more than Python's timedelta does."""
    message = request(1, guest, "count")
    message.timeout.seconds = 315_576_000_000
    (response,) = await exchange(service, [message])
    assert result(response) == 8


async def test_an_answer_that_is_too_large_is_an_error_and_the_stream_goes_on():
    async with running(max_message_bytes=2000) as service:
        guest = await service.instantiate(GUEST)
        many = StreamInvokeRequest(
            correlation_id=1, columns=CallColumns(instance=guest, function="count", call_count=3000)
        )
        first, second = await exchange(service, [many, request(2, guest, "count")])
        error = Failure(first.error)
        assert (first.correlation_id, error.reason) == (1, "LIMIT_REACHED")
        assert "2000" in error.message
        assert result(second) == 3008


async def test_many_streams_on_many_instances(service):
    guests = [await service.instantiate(GUEST) for _ in range(4)]
    requests = [
        [request(number, guest, ("count", "count_slowly")[number % 10 == 0]) for number in range(50)]
        for guest in guests
    ]

    for responses in await asyncio.gather(*(exchange(service, entry) for entry in requests)):
        assert [result(response) for response in responses] == list(range(8, 58))


async def test_the_queue_limit_is_told_for_each_call():
    async with running(max_pending_calls_per_instance=2) as service:
        guest = await service.instantiate(GUEST)
        stream = service.invocations.StreamInvoke()
        for number in range(4):
            await stream.write(request(number, guest, "spin"))
        refused = [await stream.read() for _ in range(2)]
        await service.pending(2)
        await service.instances.CloseInstance(CloseInstanceRequest(name=guest))
        closed = [await stream.read() for _ in range(2)]

        assert sorted(response.correlation_id for response in closed) == [0, 1]
        assert [response.correlation_id for response in refused] == [2, 3]
        assert {Failure(response.error).reason for response in refused} == {"LIMIT_REACHED"}
        assert {Failure(response.error).reason for response in closed} == {"CANCELLED"}
