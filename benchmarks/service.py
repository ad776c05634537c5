"""Calls a second through the service, next to a bare grpcio aio echo server: same run, same client, same sizes.

`python -m benchmarks.service` prints the measurements as JSON. Both servers run in processes of their own. The
client of unary calls and streams sends bytes that were serialised beforehand, to both servers alike, so that what
differs is the server. Many calls in one message are measured with farcall's own client, from Python ints to Python
ints. Rounds alternate between the servers, and a ratio is the median of the rounds' ratios: the load of other
processes then falls on both.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from benchmarks.servers import cpu_seconds, running_server
from farcall.client import AsyncClient
from farcall.proto.farcall.v1 import invocation_service_pb2 as messages
from farcall.proto.farcall.v1 import value_pb2

ROUNDS = 7
SECONDS = 1.0
CONCURRENCY = 16
STREAMS = 4
BATCH = 8192

INVOKE = "/farcall.v1.InvocationService/Invoke"
STREAM_INVOKE = "/farcall.v1.InvocationService/StreamInvoke"
ECHO = "/benchmark.Echo/Unary"
STREAM_ECHO = "/benchmark.Echo/Stream"

# (module
#   (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
#   (func (export "sum") (param i32) (result i32) (local i32)
#     loop local.get 1 local.get 0 i32.add local.set 1
#       local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end local.get 1))
MODULE = bytes.fromhex(
    "0061736d01000000010c0260027f7f017f60017f017f0303020001070d02036164640000"
    "0373756d00010a23020700200020016a0b1901017f0340200120006a2101200041016b22"
    "000d000b20010b"
)


# -- Load --------------------------------------------------------------------------------------------------------------


async def _unary(channel: grpc.aio.Channel, method: str, request: bytes, seconds: float) -> float:
    """Unary calls a second, `CONCURRENCY` at a time."""
    call: Any = channel.unary_unary(method)  # type: ignore[call-arg]  # the stubs lack the defaults
    end = time.perf_counter() + seconds

    async def caller() -> int:
        count = 0
        while time.perf_counter() < end:
            await call(request)
            count += 1
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return sum(counts) / (time.perf_counter() - start)


async def _stream(channel: grpc.aio.Channel, method: str, request: bytes, seconds: float) -> float:
    """Messages a second on `STREAMS` streams, each written and read at the same time."""
    open_stream: Any = channel.stream_stream(method)  # type: ignore[call-arg]  # the stubs lack the defaults
    end = time.perf_counter() + seconds

    async def exchange() -> int:
        call = open_stream()

        async def write() -> None:
            while time.perf_counter() < end:
                await call.write(request)
            await call.done_writing()

        writer = asyncio.create_task(write())
        count = 0
        async for _ in call:
            count += 1
        await writer
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(exchange() for _ in range(STREAMS)))
    return sum(counts) / (time.perf_counter() - start)


async def _batches(add: Any, seconds: float) -> float:
    """Calls a second in messages of `BATCH` calls, by farcall's client; all results are checked."""
    calls = [(number, -2 * number) for number in range(BATCH)]
    wanted = [-number for number in range(BATCH)]
    end = time.perf_counter() + seconds
    start, count = time.perf_counter(), 0
    while time.perf_counter() < end:
        if await add.call_many(calls) != wanted:
            raise AssertionError("wrong results")
        count += BATCH
    return count / (time.perf_counter() - start)


def unary_request(instance: str, function: str, *arguments: int) -> bytes:
    """The message of a unary call with arguments of type i32."""
    values = [value_pb2.Value(i32=argument) for argument in arguments]
    return messages.InvokeRequest(instance=instance, function=function, arguments=values).SerializeToString()


def _stream_call(instance: str, function: str, *arguments: int) -> bytes:
    values = [value_pb2.Value(i32=argument) for argument in arguments]
    call = messages.Call(instance=instance, function=function, arguments=values)
    return messages.StreamInvokeRequest(correlation_id=1, call=call).SerializeToString()


# -- Measurement -------------------------------------------------------------------------------------------------------


def measure_service(
    rounds: int = ROUNDS, seconds: float = SECONDS, progress: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Measures both servers.

    Args:
        rounds: how often each is measured.
        seconds: of each measurement.
        progress: is told what is measured.

    Returns:
        `per_second`: medians, by server and kind of load; `ratios`: farcall to echo, by kind of load;
        `cpu_microseconds`: what a server's process uses for a call or message.
    """
    return asyncio.run(_measure(rounds, seconds, progress))


async def _measure(rounds: int, seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    with (
        running_server("echo") as (echo_address, echo_process),
        running_server("farcall") as (address, process),
    ):
        async with (
            grpc.aio.insecure_channel(echo_address) as echo_channel,
            grpc.aio.insecure_channel(address) as channel,
            AsyncClient(address) as client,
        ):
            module = await client.upload(MODULE)
            instance = await client.store().instantiate(module, name="benchmark")
            resource = "stores/default/instances/benchmark"
            add, stream_add = unary_request(resource, "add", 3, -5), _stream_call(resource, "add", 3, -5)
            total, stream_total = unary_request(resource, "sum", 100), _stream_call(resource, "sum", 100)
            loads: dict[str, tuple[int, Callable[[], Awaitable[float]]]] = {
                "echo unary": (echo_process, lambda: _unary(echo_channel, ECHO, add, seconds)),
                "unary": (process, lambda: _unary(channel, INVOKE, add, seconds)),
                "unary, function with a loop": (process, lambda: _unary(channel, INVOKE, total, seconds)),
                "echo stream": (
                    echo_process,
                    lambda: _stream(echo_channel, STREAM_ECHO, stream_add, seconds),
                ),
                "stream": (process, lambda: _stream(channel, STREAM_INVOKE, stream_add, seconds)),
                "stream, function with a loop": (
                    process,
                    lambda: _stream(channel, STREAM_INVOKE, stream_total, seconds),
                ),
                "batch": (process, lambda: _batches(instance.exports.add, seconds)),
            }
            rates: dict[str, list[float]] = {name: [] for name in loads}
            costs: dict[str, list[float]] = {name: [] for name in loads}
            for turn in range(rounds + 1):
                for name, (server_process, load) in loads.items():
                    progress(f"service: {name}, round {turn}")
                    before, start = cpu_seconds(server_process), time.perf_counter()
                    rate = await load()
                    calls = rate * (time.perf_counter() - start)
                    if turn:  # the first round warms up
                        rates[name].append(rate)
                        costs[name].append((cpu_seconds(server_process) - before) / calls * 1e6)
    return {
        "per_second": {name: round(statistics.median(values)) for name, values in rates.items()},
        "cpu_microseconds": {name: round(statistics.median(values), 1) for name, values in costs.items()},
        "ratios": {
            name: round(_median_ratio(rates[name], rates[f"echo {name.partition(',')[0]}"]), 3)
            for name in rates
            if f"echo {name.partition(',')[0]}" in rates
        },
    }


def _median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    print(json.dumps(measure_service(progress=lambda text: print(text, file=sys.stderr)), indent=2))
