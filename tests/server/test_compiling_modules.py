"""ModuleService.CompileModule: progress, who may leave and what then, limits."""

import asyncio
import contextlib
import os

import grpc
import pytest
from farcall_service import PATIENCE, failure, running
from wasmtime import wat2wasm

from farcall.proto.farcall.v1 import module_service_pb2 as messages
from tests.engine.jobs.jobs import ENDLESS_TEXT
from tests.engine.jobs.process_tree import levels

FUNCTIONS = 30
SEVERAL = bytes(
    wat2wasm(
        "(module "
        + "".join(
            f'(func (export "f{index}") (result i32) {"(i32.const 1) drop " * 400} (i32.const {index}))'
            for index in range(FUNCTIONS)
        )
        + ")"
    )
)
ENDLESS = bytes(wat2wasm(ENDLESS_TEXT))


async def kept(service, source):
    """Upload a module without having it compiled; its name."""
    request = messages.UploadModuleRequest(data=source, defer_compilation=True)
    response = await service.modules.UploadModule(iter([request]))
    assert not response.compiled
    return response.module.name


def compiling(service, name, **options):
    return service.modules.CompileModule(messages.CompileModuleRequest(name=name), **options)


async def running_jobs(service):
    return (await service.counters()).engine["compile_jobs_running"]


async def until_running(service, count):
    async with asyncio.timeout(PATIENCE):
        while await running_jobs(service) != count:
            await asyncio.sleep(0.01)


@pytest.fixture(params=["lazy", "optimized"])
async def service(request):
    async with running(code_policy=request.param) as service:
        yield service


@pytest.fixture
async def eager():
    """A server that compiles all of a module before its first call."""
    async with running(code_policy="optimized") as service:
        yield service


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr("farcall.engine.jobs.batches._SMALLEST_BATCH", 2000)
    monkeypatch.setattr("farcall.engine.jobs.batches._LARGEST_BATCH", 4000)


async def test_progress_is_told_to_the_end(service, in_parts):
    name = await kept(service, SEVERAL)
    assert (await service.counters()).compiles_total == 0

    told = [message async for message in compiling(service, name)]

    assert len(told) > 4
    assert [message.done for message in told] == [False] * (len(told) - 1) + [True]
    assert [message.functions_done for message in told] == sorted(message.functions_done for message in told)
    assert (told[0].functions_done, told[0].functions, told[-1].functions_done) == (0, FUNCTIONS, FUNCTIONS)
    assert told[-1].code_size_bytes == told[-1].code_size_bytes_done > 20_000
    tier = messages.TierProgress(tier=messages.COMPILATION_TIER_OPTIMIZED, functions=FUNCTIONS)
    assert list(told[-1].tiers) == [tier]
    assert (await service.counters()).compiles_total == 1


async def test_what_is_compiled_is_told_at_once(service):
    name = (await service.upload(SEVERAL)).module.name
    async for _ in compiling(service, name):
        pass
    (told,) = [message async for message in compiling(service, name)]
    assert (told.done, told.functions_done, told.functions) == (True, FUNCTIONS, FUNCTIONS)
    assert (await service.counters()).compiles_total == 1


async def test_a_module_that_was_kept_uncompiled_is_described_and_compiled_when_needed(service):
    name = await kept(service, SEVERAL)
    assert await kept(service, SEVERAL) == name
    described = await service.modules.GetModule(messages.GetModuleRequest(name=name))
    assert len(described.module.exports) == FUNCTIONS
    assert (await service.counters()).compiles_total == 0
    assert await service.call(await service.instantiate(SEVERAL), "f7") == 7
    assert (await service.counters()).compiles_total == 1


async def test_after_a_restart_a_module_is_compiled_with_progress(tmp_path, in_parts):
    async with running(data_directory=tmp_path) as service:
        name = await kept(service, SEVERAL)
    async with running(data_directory=tmp_path) as service:
        told = [message async for message in compiling(service, name)]
        assert len(told) > 4
        assert told[-1].done


async def test_a_module_that_is_not_there(service):
    name = "modules/" + "0" * 64
    told = await failure(anext(aiter(compiling(service, name))))
    assert told.code is grpc.StatusCode.NOT_FOUND
    assert (
        await failure(anext(aiter(compiling(service, "stores/x"))))
    ).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_cancelling_the_call_ends_the_job_and_the_server_goes_on(service):
    name = await kept(service, ENDLESS)
    call = compiling(service, name)
    await anext(aiter(call))
    await until_running(service, 1)
    call.cancel()
    await until_running(service, 0)
    assert (await service.counters()).engine["compile_jobs_cancelled_total"] == 1
    assert await service.call(await service.instantiate(SEVERAL), "f7") == 7


async def test_the_deadline_ends_the_job(service):
    name = await kept(service, ENDLESS)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in compiling(service, name, timeout=1):
            pass
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until_running(service, 0)


async def test_the_job_goes_on_for_those_who_still_wait(service):
    name = await kept(service, ENDLESS)
    calls = [compiling(service, name) for _ in range(3)]
    for call in calls:
        await anext(aiter(call))
    await until_running(service, 1)
    calls[0].cancel()
    calls[1].cancel()
    await asyncio.sleep(0.1)
    assert await running_jobs(service) == 1
    calls[2].cancel()
    await until_running(service, 0)


async def test_an_upload_that_is_given_up_is_not_compiled_on_and_not_kept(eager):
    upload = asyncio.create_task(eager.upload(ENDLESS))
    await until_running(eager, 1)
    upload.cancel()
    await until_running(eager, 0)
    counters = await eager.counters()
    assert (counters.modules_kept, counters.uploads_pending) == (0, 0)


async def test_an_upload_goes_on_for_another_of_the_same_bytes(eager):
    uploads = [asyncio.create_task(eager.upload(ENDLESS)) for _ in range(2)]
    await until_running(eager, 1)
    async with asyncio.timeout(PATIENCE):
        while (await eager.counters()).uploads_pending != 2:
            await asyncio.sleep(0.01)
    uploads[0].cancel()
    async with asyncio.timeout(PATIENCE):
        while (await eager.counters()).uploads_pending != 1:
            await asyncio.sleep(0.01)
    assert await running_jobs(eager) == 1
    uploads[1].cancel()
    await until_running(eager, 0)


async def test_functions_that_are_never_called_are_compiled_fast_where_nothing_is_optimised(in_parts):
    async with running(code_policy="fast") as service:
        name = await kept(service, SEVERAL)
        told = [message async for message in compiling(service, name)]
        tier = messages.TierProgress(tier=messages.COMPILATION_TIER_FAST, functions=FUNCTIONS)
        assert list(told[-1].tiers) == [tier]
        jobs = (await service.counters()).engine["compile_jobs_total"]
        assert await service.call(await service.instantiate(SEVERAL), "f7") == 7
        assert (await service.counters()).engine["compile_jobs_total"] == jobs


async def test_a_full_queue_is_told_with_its_limit(in_parts):
    async with running(code_policy="optimized", compile_processes=1, compile_queue=2) as service:
        told = await failure(service.upload(SEVERAL))
        assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
        assert told.info.metadata["limit"] == "2"
        assert told.detail.violations[0].description == told.message
        assert "2 compile jobs wait already" in told.message
        await until_running(service, 0)


async def test_what_takes_too_long_is_told_with_its_functions():
    divisions = "(local.set 0 (i64.add (local.get 0) (i64.div_u (local.get 0) (i64.const 3))))" * 150_000
    source = bytes(wat2wasm(f"(module (func (param i64) {divisions}))"))
    async with running(compile_seconds=1) as service:
        name = await kept(service, source)

        async def everything():
            async for _ in compiling(service, name):
                pass

        told = await failure(everything())
        assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
        assert (told.info.metadata["resource"], told.info.metadata["limit"]) == ("time", "1")


async def test_a_crash_of_the_compiler_is_that_modules_error(service):
    """Its process is killed again and again, without optimisation too; the server and other modules do not notice."""
    name = await kept(service, ENDLESS)

    async def everything():
        async for _ in compiling(service, name):
            pass

    call = asyncio.create_task(failure(everything()))
    while not call.done():
        processes = levels()
        for process in processes[2] if len(processes) == 3 else []:
            with contextlib.suppress(ProcessLookupError):  # one that is seen may be about to end
                os.kill(process, 9)
        await asyncio.sleep(0.01)
    told = await call
    assert (told.code, told.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert told.message == "function 0 could not be compiled: its process was ended by SIGKILL"
    assert await service.call(await service.instantiate(SEVERAL), "f7") == 7
