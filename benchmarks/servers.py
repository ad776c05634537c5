"""The servers that the service's benchmarks call, each in a process of its own: `python -m benchmarks.servers KIND`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc


async def _unary(request: bytes, _context: Any) -> bytes:
    return request


async def _stream(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def _source(_requests: AsyncIterator[bytes], context: Any) -> None:
    """Messages without end, of the size that the request says."""
    data = bytes(int.from_bytes(await context.read(), "little"))
    while True:
        await context.write(data)


async def _serve_echo() -> None:
    server = grpc.aio.server()
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(_unary),
        "Stream": grpc.stream_stream_rpc_method_handler(_stream),
        "Source": grpc.stream_stream_rpc_method_handler(_source),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmark.Echo", handlers),))
    print(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", flush=True)
    await server.start()
    await server.wait_for_termination()


def _serve_farcall() -> None:
    from farcall.server import ServerConfiguration, run  # noqa: PLC0415 - the client's process needs none of it

    run(
        ServerConfiguration(address="127.0.0.1:0"),
        log_level="warning",
        on_listening=lambda address: print(address, flush=True),
    )


@contextlib.contextmanager
def running_server(kind: str) -> Iterator[tuple[str, int]]:
    """A server's address and process id. `kind` is `farcall`, or `echo` for a bare grpcio server."""
    command = [sys.executable, "-m", "benchmarks.servers", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def cpu_seconds(process: int) -> float:
    """What a process has used of the processors so far."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo"]:
            asyncio.run(_serve_echo())
        case ["farcall"]:
            _serve_farcall()
        case other:
            sys.exit(f"there is no server {other}")
