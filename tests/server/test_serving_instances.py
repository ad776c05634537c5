"""InstanceService: instantiation, links, names, closing, and that nothing is left behind."""

import asyncio
import uuid

import grpc
import pytest
from farcall_service import DEFAULT, GUEST, PATIENCE, failure, running

from farcall.proto.farcall.v1.error_details_pb2 import (
    TRAP_KIND_OUT_OF_BOUNDS_MEMORY_ACCESS,
    TRAP_KIND_UNREACHABLE,
)
from farcall.proto.farcall.v1.instance_service_pb2 import (
    CloseInstanceRequest,
    CreateInstanceRequest,
    GetInstanceRequest,
    Instance,
    Link,
    ListInstancesRequest,
)
from farcall.proto.farcall.v1.store_service_pb2 import CreateStoreRequest

LIBRARY = """
(module
  (memory (export "memory") 1 4)
  (global (export "level") (mut i32) (i32.const 3))
  (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "negate") (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
  (func (export "spin") (loop $again (br $again))))
"""

APPLICATION = """
(module
  (import "library" "double" (func $double (param i32) (result i32)))
  (import "library" "memory" (memory 1))
  (func (export "run") (param i32) (result i32)
    (i32.store (i32.const 8) (local.get 0))
    (call $double (local.get 0)))
  (func (export "peek") (result i32) (i32.load (i32.const 8))))
"""


def link(instance, module="library", **fields):
    return Link(import_module=module, instance=instance, **fields)


async def close(service, instance):
    await service.instances.CloseInstance(CloseInstanceRequest(name=instance))


async def test_an_instance_is_created_told_listed_and_closed(service):
    name = await service.instantiate(GUEST, "guest")
    assert name == "stores/default/instances/guest"

    instance = (await service.instances.GetInstance(GetInstanceRequest(name=name))).instance
    assert instance.name == name
    assert instance.module.startswith("modules/")
    assert "add" in [export.name for export in instance.exports]
    (listed,) = (await service.instances.ListInstances(ListInstancesRequest(parent=DEFAULT))).instances
    assert listed.name == name
    assert not listed.exports

    await close(service, name)

    for call in (
        service.instances.GetInstance(GetInstanceRequest(name=name)),
        service.instances.CloseInstance(CloseInstanceRequest(name=name)),
        service.invoke(name, "count"),
    ):
        error = await failure(call)
        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "RESOURCE_NOT_FOUND"
        assert error.detail.resource_type == "farcall.dev/Instance"
        assert error.detail.resource_name == name


async def test_names_are_made_up_and_can_be_used_again(service):
    first, second = [await service.instantiate(GUEST) for _ in range(2)]
    assert first != second
    await service.instantiate(GUEST, "guest")

    error = await failure(service.instantiate(GUEST, "guest"))
    assert error.code is grpc.StatusCode.ALREADY_EXISTS
    assert error.detail.resource_name == "stores/default/instances/guest"

    await close(service, "stores/default/instances/guest")
    assert await service.instantiate(GUEST, "guest") == "stores/default/instances/guest"


async def test_lists_come_in_pages(service):
    names = sorted([await service.instantiate("(module)") for _ in range(5)])
    listed, token = [], "first"
    while token:
        response = await service.instances.ListInstances(
            ListInstancesRequest(parent=DEFAULT, page_size=2, page_token="" if token == "first" else token)
        )
        listed += [instance.name for instance in response.instances]
        token = response.next_page_token

    assert listed == names


async def test_instances_are_linked_by_import_module(service):
    library = await service.instantiate(LIBRARY, "library")
    application = await service.instantiate(APPLICATION, links=[link(library)])

    assert await service.call(application, "run", 21) == 42
    assert await service.call(application, "peek") == 21
    instance = (await service.instances.GetInstance(GetInstanceRequest(name=application))).instance
    assert list(instance.links) == [link(library)]


async def test_a_single_import_goes_before_its_import_module(service):
    library = await service.instantiate(LIBRARY)
    links = [link(library), link(library, import_name="double", export_name="negate")]
    application = await service.instantiate(APPLICATION, links=links)

    assert await service.call(application, "run", 21) == -21


async def test_a_single_import_takes_the_export_of_its_name(service):
    library = await service.instantiate(LIBRARY)
    links = [link(library, import_name=name) for name in ("memory", "double")]
    application = await service.instantiate(APPLICATION, links=links)

    assert await service.call(application, "run", 4) == 8


async def test_a_closed_library_lives_on_for_those_who_import_from_it(service):
    library = await service.instantiate(LIBRARY)
    application = await service.instantiate(APPLICATION, links=[link(library)])
    await close(service, library)

    assert await service.call(application, "run", 5) == 10

    await close(service, application)
    counters = await service.counters()
    assert (counters.memories_live, counters.engine["linked_groups"]) == (0, 0)


async def test_links_between_many_groups_merge_them(service):
    libraries = [await service.instantiate(LIBRARY) for _ in range(3)]
    imports = " ".join(
        f'(import "l{number}" "double" (func $f{number} (param i32) (result i32)))' for number in range(3)
    )
    body = "(call $f0 (call $f1 (call $f2 (local.get 0))))"
    source = f'(module {imports} (func (export "run") (param i32) (result i32) {body}))'
    links = [link(library, f"l{number}") for number, library in enumerate(libraries)]
    application = await service.instantiate(source, links=links)

    calls = [service.call(application, "run", number) for number in range(20)]
    calls += [service.call(library, "double", 1) for library in libraries for _ in range(5)]
    assert await asyncio.gather(*calls) == [8 * number for number in range(20)] + [2] * 15


# -- What cannot be instantiated ---------------------------------------------------------------------------------------


async def test_an_unknown_import_is_a_link_failure(service):
    error = await failure(service.instantiate(APPLICATION))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "LINK_FAILURE"
    assert (error.detail.module, error.detail.name) == ("library", "double")
    assert error.detail.wanted == "function (i32) -> (i32)"
    assert not error.detail.HasField("found")


async def test_an_import_of_another_type_is_a_link_failure(service):
    library = await service.instantiate(
        '(module (memory (export "memory") 1) (func (export "double") (param i64)))'
    )

    error = await failure(service.instantiate(APPLICATION, links=[link(library)]))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.detail.wanted == "function (i32) -> (i32)"
    assert error.detail.found == "function (i64) -> ()"


async def test_an_export_of_another_kind_is_a_link_failure(service):
    library = await service.instantiate('(module (memory (export "double") 1))')

    error = await failure(service.instantiate(APPLICATION, links=[link(library)]))

    assert error.reason == "LINK_FAILURE"
    assert error.detail.found.startswith("memory")


async def test_a_trap_in_the_start_function_leaves_nothing_behind(service):
    before = await service.counters()

    error = await failure(
        service.instantiate("(module (memory 1) (func $start unreachable) (start $start))", "x")
    )

    assert error.code is grpc.StatusCode.ABORTED
    assert error.reason == "TRAP"
    assert error.detail.kind == TRAP_KIND_UNREACHABLE
    assert [frame.function_name for frame in error.detail.frames] == ["start"]
    after = await service.counters()
    assert after.instances_open == before.instances_open
    assert after.memories_live == before.memories_live
    await service.instantiate("(module)", "x")


async def test_an_active_segment_past_the_end_traps(service):
    error = await failure(service.instantiate('(module (memory 1) (data (i32.const 65535) "ab"))'))

    assert error.code is grpc.StatusCode.ABORTED
    assert error.detail.kind == TRAP_KIND_OUT_OF_BOUNDS_MEMORY_ACCESS


async def test_an_endless_start_function_is_stopped_by_the_deadline(service):
    module = (
        await service.upload("(module (func $spin (loop $again (br $again))) (start $spin))")
    ).module.name
    request = CreateInstanceRequest(parent=DEFAULT, instance_id="endless", instance=Instance(module=module))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.instances.CreateInstance(request, timeout=0.2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async with asyncio.timeout(PATIENCE):
        while (await service.counters()).engine["linked_groups"]:
            await asyncio.sleep(0.01)
    await service.instantiate("(module)", "endless")


async def test_a_start_function_that_waits_for_a_linked_guest_gives_up_at_its_deadline(service):
    library = await service.instantiate(LIBRARY)
    spinning = asyncio.ensure_future(failure(service.invoke(library, "spin")))
    await service.pending(1)
    module = (await service.upload(APPLICATION)).module.name
    request = CreateInstanceRequest(parent=DEFAULT, instance=Instance(module=module, links=[link(library)]))

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.instances.CreateInstance(request, timeout=0.2)

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await close(service, library)
    assert (await spinning).code is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"parent": "stores/none"}, grpc.StatusCode.NOT_FOUND, None),
        ({"parent": "none"}, grpc.StatusCode.INVALID_ARGUMENT, "parent"),
        ({"instance_id": "a/b"}, grpc.StatusCode.INVALID_ARGUMENT, "instance_id"),
        ({"instance_id": ".hidden"}, grpc.StatusCode.INVALID_ARGUMENT, "instance_id"),
        ({"instance": None}, grpc.StatusCode.INVALID_ARGUMENT, "instance"),
        ({"instance": Instance()}, grpc.StatusCode.INVALID_ARGUMENT, "instance.module"),
        ({"instance": Instance(module=f"modules/{'0' * 64}")}, grpc.StatusCode.NOT_FOUND, None),
    ],
)
async def test_wrong_requests_are_refused(service, fields, code, field):
    module = (await service.upload("(module)")).module.name
    request = {"parent": DEFAULT, "instance": Instance(module=module), **fields}

    error = await failure(service.instances.CreateInstance(CreateInstanceRequest(**request)))

    assert error.code is code
    if field is not None:
        assert error.detail.field_violations[0].field == field


async def test_wrong_links_are_refused(service):
    library = await service.instantiate(LIBRARY)
    await service.stores.CreateStore(CreateStoreRequest(store_id="other"))
    elsewhere = await service.instantiate(LIBRARY, store="stores/other")

    for links, code, where in (
        ([link("stores/default/instances/none")], grpc.StatusCode.NOT_FOUND, None),
        ([link("none")], grpc.StatusCode.INVALID_ARGUMENT, "instance.links[0].instance"),
        ([link(elsewhere)], grpc.StatusCode.INVALID_ARGUMENT, "instance.links[0].instance"),
        ([link(library), link(library)], grpc.StatusCode.INVALID_ARGUMENT, "instance.links[1]"),
        (
            [link(library), link(library, export_name="double")],
            grpc.StatusCode.INVALID_ARGUMENT,
            "instance.links[1].export_name",
        ),
        ([link(library, import_name="double", export_name="triple")], grpc.StatusCode.NOT_FOUND, None),
    ):
        error = await failure(service.instantiate(APPLICATION, links=links))
        assert error.code is code, links
        if where is not None:
            assert error.detail.field_violations[0].field == where


async def test_a_repeated_request_makes_one_instance(service):
    request_id = str(uuid.uuid4())
    names = await asyncio.gather(*(service.instantiate(GUEST, request_id=request_id) for _ in range(5)))

    assert len(set(names)) == 1
    assert (await service.counters()).instances_open == 1


async def test_ten_thousand_instantiations_leave_nothing_behind():
    async with running(code_policy="optimized") as service:  # so that no code comes later
        module = (await service.upload(GUEST)).module.name
        request = CreateInstanceRequest(parent=DEFAULT, instance=Instance(module=module))
        before = await service.counters()

        async def churn(times):
            for _ in range(times):
                name = (await service.instances.CreateInstance(request)).instance.name
                assert await service.call(name, "add", 1, 2) == 3
                await close(service, name)

        await asyncio.gather(*(churn(1250) for _ in range(8)))

        after = await service.counters()
        assert after.instances_created_total == before.instances_created_total + 10_000
        assert after.compiles_total == before.compiles_total
        for counter in (
            "instances_open",
            "memories_live",
            "calls_pending",
            "compiled_modules",
            "stores_open",
        ):
            assert getattr(after, counter) == getattr(before, counter), counter
        assert dict(after.engine) == dict(before.engine)
