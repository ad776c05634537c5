"""Modules that are uploaded, instantiated, called and deleted, one after the other, leave nothing in a server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from farcall_service import PATIENCE, Service

from farcall.engine.runtime.tiered_code import TieredCode
from farcall.engine.structure.module import Module
from farcall.proto.farcall.v1 import instance_service_pb2, module_service_pb2
from tests.engine.guests import mappings

ROUNDS = 60


def text(number: int) -> str:
    """A module like no other, whose functions call each other."""
    functions = "".join(
        f"(func $f{index} (param i32) (result i32) (i32.add (i32.const {number}) (call $f{index + 1} (local.get 0))))"
        for index in range(10)
    )
    return f"""(module (memory (export "memory") 1) (table 3 funcref) (elem (i32.const 1) $f3)
        (func (export "go") (param i32) (result i32) (i32.load (i32.const 8)) (call $f0 (local.get 0)) (i32.add))
        {functions} (func $f10 (param i32) (result i32) (local.get 0)))"""


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Python's collector of garbage must not be needed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> tuple[int, int]:
    """How many modules there are, and how much code of modules."""
    objects = gc.get_objects()
    return sum(isinstance(each, Module) for each in objects), sum(
        isinstance(each, TieredCode) for each in objects
    )


async def round_(service: Service, number: int) -> None:
    instance = await service.instantiate(text(number))
    assert await service.call(instance, "go", 5) == 10 * number + 5
    (module,) = (await service.modules.ListModules(module_service_pb2.ListModulesRequest())).modules
    await service.instances.CloseInstance(instance_service_pb2.CloseInstanceRequest(name=instance))
    await service.modules.DeleteModule(module_service_pb2.DeleteModuleRequest(name=module.name))


@pytest.mark.usefixtures("without_collector")
async def test_nothing_of_them_stays(service: Service) -> None:
    before = alive()
    for number in range(10):
        await round_(service, number)
    maps = len(mappings())
    for number in range(10, 10 + ROUNDS):
        await round_(service, number)
    async with asyncio.timeout(PATIENCE):  # the optimiser may be looking at the last ones
        while alive() != before:
            await asyncio.sleep(0.01)
    assert len(mappings()) <= maps + 10
    counters = await service.counters()
    assert (counters.modules_kept, counters.instances_open, counters.compiled_modules) == (0, 0, 0)
    assert (counters.engine["code_bytes"], counters.memories_live) == (0, 0)
