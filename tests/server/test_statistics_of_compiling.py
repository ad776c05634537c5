"""GetServerInfo tells what was compiled, is cached and waits: scenarios of which each figure is known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from farcall_service import PATIENCE, Service, running
from wasmtime import wat2wasm

from farcall.proto.farcall.v1 import module_service_pb2, server_service_pb2
from tests.engine.jobs.jobs import ENDLESS_TEXT

SOURCE = bytes(
    wat2wasm("""(module
    (func $called (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "calls") (param i32) (result i32) (call $called (local.get 0)))
    (func (export "other") (result i32) (i32.const 5))
    (func (export "another") (result i32) (i32.const 6)))""")
)


async def compilation(service: Service) -> server_service_pb2.CompilationStatistics:
    response = await service.information.GetServerInfo(server_service_pb2.GetServerInfoRequest())
    return response.server_info.compilation


async def compile_all(service: Service, name: str) -> None:
    async for _ in service.modules.CompileModule(module_service_pb2.CompileModuleRequest(name=name)):
        pass


def tiers(told: server_service_pb2.CompilationStatistics) -> dict[str, int]:
    """Functions by tier; what was compiled took time and has code."""
    for tier in told.tiers:
        assert (tier.functions_total > 0) == (tier.code_bytes_total > 0)
        assert (tier.functions_total > 0) == (tier.compile_duration.ToTimedelta().total_seconds() > 0)
    return {tier.tier: tier.functions_total for tier in told.tiers}


def places(told: server_service_pb2.CompilationStatistics) -> dict[str, tuple[int, int, int, int]]:
    """Of each place: hits, misses, rejected, entries; entries have bytes."""
    for place in told.cache_places:
        assert (place.entries > 0) == (place.size_bytes > 0)
    return {
        place.place: (place.hits_total, place.misses_total, place.rejected_total, place.entries)
        for place in told.cache_places
    }


def modules(told: server_service_pb2.CompilationStatistics) -> dict[str, tuple[int, int, int]]:
    return {
        module.module: (module.functions_uncompiled, module.functions_fast, module.functions_optimized)
        for module in told.modules
    }


@pytest.mark.parametrize(
    ("policy", "after_upload", "after_call", "in_the_end"),
    [
        ("fast", (4, 0, 0), (2, 2, 0), (0, 4, 0)),
        ("optimized", (0, 0, 4), (0, 0, 4), (0, 0, 4)),
    ],
)
async def test_what_is_compiled_and_where_it_is_kept(
    tmp_path: Path,
    policy: str,
    after_upload: tuple[int, int, int],
    after_call: tuple[int, int, int],
    in_the_end: tuple[int, int, int],
) -> None:
    kept = 1 + (policy == "optimized")  # the module, and code where there is any

    async with running(cache_dir=tmp_path, code_policy=policy) as service:
        told = await compilation(service)
        assert tiers(told) == {"fast": 0, "optimized": 0}
        assert places(told) == {"memory": (0, 0, 0, 0), "disk": (0, 0, 0, 0)}
        assert modules(told) == {}

        name = (await service.upload(SOURCE)).module.name
        told = await compilation(service)
        assert modules(told) == {name: after_upload}
        assert places(told) == {"memory": (0, 1, 0, 1), "disk": (0, 2, 0, kept)}

        assert await service.call(await service.instantiate(SOURCE), "calls", 4) == 12
        told = await compilation(service)
        assert modules(told) == {name: after_call}
        assert tiers(told) == {"fast": after_call[1], "optimized": after_call[2]}

        await compile_all(service, name)
        told = await compilation(service)
        assert modules(told) == {name: in_the_end}
        assert tiers(told) == {"fast": in_the_end[1], "optimized": in_the_end[2]}
        assert places(told) == {"memory": (1, 1, 0, 1), "disk": (0, 2, 0, 2)}
        assert (told.queue.waiting, told.queue.running, told.queue.cancelled_total) == (0, 0, 0)
        assert told.queue.failed_total == 0

        await service.modules.DeleteModule(module_service_pb2.DeleteModuleRequest(name=name))
        told = await compilation(service)
        assert modules(told) == {}
        assert places(told)["memory"] == (1, 1, 0, 0)

    async with running(cache_dir=tmp_path, code_policy=policy) as service:
        assert await service.call(await service.instantiate(SOURCE), "calls", 4) == 12
        told = await compilation(service)
        assert tiers(told) == {"fast": 0, "optimized": 0}
        assert places(told) == {"memory": (0, 1, 0, 1), "disk": (2, 0, 0, 2)}
        assert modules(told) == {name: in_the_end}

    for path in tmp_path.glob("??/*"):
        path.write_bytes(b"damaged")
    async with running(cache_dir=tmp_path, code_policy=policy) as service:
        assert await service.call(await service.instantiate(SOURCE), "calls", 4) == 12
        told = await compilation(service)
        assert places(told)["disk"] == (2, 0, 2, kept)
        assert modules(told) == {name: after_call}


async def test_jobs_that_run_wait_and_are_cancelled() -> None:
    async with running(code_policy="optimized", compile_processes=1) as service:
        calls = []
        for index in range(3):
            source = bytes(wat2wasm(ENDLESS_TEXT.replace('"f"', f'"f{index}"')))
            request = module_service_pb2.UploadModuleRequest(data=source, defer_compilation=True)
            name = (await service.modules.UploadModule(iter([request]))).module.name
            calls.append(service.modules.CompileModule(module_service_pb2.CompileModuleRequest(name=name)))
        await until(service, (2, 1, 0, 0))
        for count, call in enumerate(calls, 1):
            call.cancel()
            await until(service, (max(2 - count, 0), min(3 - count, 1), count, 0))


async def until(service: Service, wanted: tuple[int, int, int, int]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            queue = (await compilation(service)).queue
            if (queue.waiting, queue.running, queue.cancelled_total, queue.failed_total) == wanted:
                return
            await asyncio.sleep(0.01)
