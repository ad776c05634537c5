"""Megabytes a second that a program's output makes through the service, next to bare grpcio aio streams.

`python -m benchmarks.program_output` prints the measurements as JSON. The guest writes blocks of 64 KiB without end;
the bare servers write messages of the size that farcall sends, and of 64 KiB. All servers are processes of their own,
the client is the same and looks at nothing but sizes, and rounds alternate, so that the load of other processes falls
on all. What a server does on one core is what it sends in a second of its own processor time.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc

from benchmarks.servers import cpu_seconds, running_server
from farcall.client import AsyncClient
from farcall.proto.farcall.v1 import program_service_pb2 as messages

ROUNDS = 7
SECONDS = 1.5
BLOCK = 1 << 16
MESSAGE = 1 << 18
"""What farcall puts into one message at most."""

RUN_PROGRAM = "/farcall.v1.ProgramService/RunProgram"

# (module
#   (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
#   (memory (export "memory") 2)
#   (data (i32.const 0) "\00\01\00\00" "\00\00\01\00")
#   (func (export "_start")
#     (loop (br_if 0 (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))
MODULE = bytes.fromhex(
    "0061736d01000000010c0260047f7f7f7f017f60000002230116776173695f736e617073"
    "686f745f70726576696577310866645f7772697465000003020101050301000207130206"
    "6d656d6f72790200065f737461727400010a14011200034041014100410141081000450d"
    "000b0b0b0e010041000b080001000000000100000f046e616d6501080100057772697465"
)


async def _received(call: Any, seconds: float) -> float:
    """Megabytes a second that arrive on a stream, of serialised messages."""
    read = call.read
    await read()  # what it takes to start is not measured
    start = time.perf_counter()
    end = start + seconds
    size = 0
    while time.perf_counter() < end:
        data = await read()
        if not isinstance(data, bytes):
            raise AssertionError("the stream has ended")
        size += len(data)
    elapsed = time.perf_counter() - start
    call.cancel()
    return size / elapsed / 1e6


async def _bare(channel: grpc.aio.Channel, size: int, seconds: float) -> float:
    call: Any = channel.stream_stream("/benchmark.Echo/Source")()  # type: ignore[call-arg]
    await call.write(size.to_bytes(4, "little"))
    return await _received(call, seconds)


async def _program(channel: grpc.aio.Channel, request: bytes, seconds: float) -> float:
    call: Any = channel.stream_stream(RUN_PROGRAM)()  # type: ignore[call-arg]
    await call.write(request)
    return await _received(call, seconds)


async def _measure(rounds: int, seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    with (
        running_server("echo") as (bare_address, bare_process),
        running_server("farcall") as (address, process),
    ):
        async with (
            grpc.aio.insecure_channel(bare_address) as bare_channel,
            grpc.aio.insecure_channel(address) as channel,
            AsyncClient(address) as client,
        ):
            module = await client.upload(MODULE)
            program = messages.Program(module=f"modules/{module.digest}")
            request = messages.RunProgramRequest(program=program).SerializeToString()
            loads: dict[str, tuple[int, Callable[[], Any]]] = {
                "bare stream, 64 KiB": (bare_process, lambda: _bare(bare_channel, BLOCK, seconds)),
                "bare stream": (bare_process, lambda: _bare(bare_channel, MESSAGE, seconds)),
                "program's output": (process, lambda: _program(channel, request, seconds)),
            }
            rates: dict[str, list[float]] = {name: [] for name in loads}
            on_a_core: dict[str, list[float]] = {name: [] for name in loads}
            for turn in range(rounds + 1):
                for name, (server_process, load) in loads.items():
                    progress(f"output: {name}, round {turn}")
                    before, start = cpu_seconds(server_process), time.perf_counter()
                    rate = await load()
                    used = cpu_seconds(server_process) - before
                    if turn:  # the first round warms up
                        rates[name].append(rate)
                        on_a_core[name].append(rate * (time.perf_counter() - start) / used)
    return {
        "megabytes_per_second": {name: round(statistics.median(values)) for name, values in rates.items()},
        "megabytes_per_core_second": {
            name: round(statistics.median(values)) for name, values in on_a_core.items()
        },
    }


def measure_program_output(
    rounds: int = ROUNDS, seconds: float = SECONDS, progress: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Measures a program's output and bare streams.

    Args:
        rounds: how often each is measured.
        seconds: of each measurement.
        progress: is told what is measured.

    Returns:
        Medians, by what sends: `megabytes_per_second`, as they arrive; `megabytes_per_core_second`, for each second of
        the server's processor time.
    """
    return asyncio.run(_measure(rounds, seconds, progress))


if __name__ == "__main__":
    print(json.dumps(measure_program_output(progress=lambda text: print(text, file=sys.stderr)), indent=2))
