"""Host modules of the server's operator, and those that are built in, which guests import without links."""

from __future__ import annotations

import threading

import grpc
import pytest
from farcall_service import DEFAULT, failure, i32s, running
from structlog.testing import capture_logs
from test_running_programs import nothing_left, start

from farcall.engine import I32, FunctionType, HostFailure, HostModule
from farcall.proto.farcall.v1.instance_service_pb2 import (
    CreateInstanceRequest,
    Instance,
    InstanceWasi,
    Link,
    TakeOutputRequest,
)
from farcall.proto.farcall.v1.server_service_pb2 import GetServerInfoRequest
from farcall.server import ServerConfiguration

GUEST = """(module $guest
  (import "sums" "add" (func $add (param i32 i32) (result i32)))
  (import "sums" "fail" (func $fail (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\2a")
  (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
  (func $inner (param i32) (call $fail (local.get 0)))
  (func (export "fail") (param i32) (call $inner (local.get 0)))
  (func (export "_start") (call $inner (i32.const 1))))"""

SCRIPT = """(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "env" "console.log" (func $log (param i32)))
  (memory (export "memory") 1) (data (i32.const 4) "\\06\\00\\00\\00w\\00h\\00y\\00")
  (func (export "run")
    (call $log (i32.const 8)) (call $abort (i32.const 8) (i32.const 0) (i32.const 3) (i32.const 4))))"""


class OwnError(Exception):
    """Of the host module's author."""


@pytest.fixture
def sums():
    module = HostModule("sums")

    @module.function(FunctionType((I32, I32), (I32,)), pass_caller=True)
    def add(caller, pointer, number):
        return caller.memory.read(pointer, 1)[0] + number

    @module.function(FunctionType((I32,), ()))
    def fail(kind):
        raise (HostFailure("on purpose"), OwnError("by mistake"), SystemExit(1))[kind]

    return {"sums": module}


async def test_instances_import_them_without_a_link(sums):
    async with running(host_modules=sums) as service:
        instance = await service.instantiate(GUEST)
        assert await service.call(instance, "add", 8, 100) == 142
        response = await service.information.GetServerInfo(GetServerInfoRequest())
        assert response.server_info.limits.host_modules == ["sums"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (0, "on purpose"),
        (1, 'the import "sums" "fail" failed: OwnError: by mistake'),
        (2, 'the import "sums" "fail" failed: SystemExit: 1'),
    ],
)
async def test_a_host_function_that_fails_ends_the_guest_alone_and_is_logged(sums, kind, message):
    async with running(host_modules=sums) as service:
        instance = await service.instantiate(GUEST)
        with capture_logs() as logs:
            told = await failure(service.invoke(instance, "fail", i32s(kind)))
        assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "IMPORT_FAILURE")
        assert told.detail.message == message
        assert [frame.function_name for frame in told.detail.frames] == ["inner", "fail"]
        errors = [line for line in logs if line["log_level"] == "error"]
        if kind == 0:  # it is the guest's, whose caller knows of it
            assert errors == []
        else:
            assert (told.detail.module, told.detail.name) == ("sums", "fail")
            (line,) = errors
            assert (line["event"], line["module"], line["function"]) == (
                "host function failed",
                "sums",
                "fail",
            )
            assert isinstance(line["exc_info"], OwnError | SystemExit)
        assert await service.call(instance, "add", 8, 1) == 43  # the instance is as it was


async def test_programs_import_them(sums):
    async with running(host_modules=sums) as service:
        with capture_logs() as logs:
            told = await (await start(service, GUEST)).failure()
        assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "IMPORT_FAILURE")
        assert told.detail.message == 'the import "sums" "fail" failed: OwnError: by mistake'
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["host function failed"]
        await nothing_left(service)


async def test_links_go_before_them(sums):
    async with running(host_modules=sums) as service:
        other = await service.instantiate(
            """(module (func (export "add") (param i32 i32) (result i32) i32.const -1)
              (func (export "fail") (param i32)) (func (export "one") (param i32 i32) (result i32) i32.const 1))"""
        )
        whole = await service.instantiate(GUEST, links=[Link(import_module="sums", instance=other)])
        assert await service.call(whole, "add", 8, 1) == -1
        link = Link(import_module="sums", import_name="add", export_name="one", instance=other)
        single = await service.instantiate(GUEST, links=[link])
        assert await service.call(single, "add", 8, 1) == 1
        told = await failure(service.invoke(single, "fail", i32s(0)))
        assert told.detail.message == "on purpose"


async def test_without_them_the_imports_are_unknown(service):
    module = (await service.upload(GUEST)).module.name
    request = CreateInstanceRequest(parent=DEFAULT, instance=Instance(module=module))
    told = await failure(service.instances.CreateInstance(request))
    assert (told.reason, told.detail.module, told.detail.name) == ("LINK_FAILURE", "sums", "add")


async def test_calls_into_several_instances_run_at_the_same_time():
    """Each host function waits for the other guest's: one after the other, they would not end."""
    together = threading.Barrier(2, timeout=60)
    module = HostModule("sums")
    module.define(
        "add", FunctionType((I32, I32), (I32,)), lambda _first, second: together.wait() * 0 + second
    )
    module.define("fail", FunctionType((I32,), ()), lambda _number: None)
    async with running(host_modules={"sums": module}) as service:
        instances = [await service.instantiate(GUEST) for _ in range(2)]
        calls = [service.invoke(instance, "add", i32s(0, 5)) for instance in instances]
        assert [(await call).results[0].i32 for call in calls] == [5, 5]


async def test_what_compilers_import_is_built_in(service):
    instance = await service.instantiate(SCRIPT)
    told = await failure(service.invoke(instance, "run"))
    assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "TRAP")
    assert told.detail.message == "abort: why in (unknown file):3:4"

    module = (await service.upload(SCRIPT)).module.name
    wanted = Instance(module=module, wasi=InstanceWasi())
    request = CreateInstanceRequest(parent=DEFAULT, instance=wanted)
    instance = (await service.instances.CreateInstance(request)).instance.name
    await failure(service.invoke(instance, "run"))
    taken = await service.instances.TakeOutput(TakeOutputRequest(name=instance))
    assert taken.standard_error == b"why\n"


async def test_a_jump_without_a_setjmp_ends_the_program_and_is_no_defect(service):
    source = """(module (import "env" "emscripten_longjmp" (func $jump (param i32 i32)))
      (memory (export "memory") 1) (func (export "_start") (call $jump (i32.const 0) (i32.const 1))))"""
    with capture_logs() as logs:
        told = await (await start(service, source)).failure()
    assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "IMPORT_FAILURE")
    assert "no setjmp" in told.detail.message
    assert [line for line in logs if line["log_level"] == "error"] == []


def test_configurations_that_cannot_be():
    with pytest.raises(ValueError, match="'wasi_unstable' is built in"):
        ServerConfiguration(host_modules={"wasi_unstable": HostModule("x")})
    with pytest.raises(ValueError, match="'x' is none, but an object of type int"):
        ServerConfiguration(host_modules={"x": 1})
