"""ModuleService: uploads in chunks, what is told about modules, pages, deletion."""

import asyncio
import errno
import hashlib
import os

import grpc
import pytest
from farcall_service import GUEST, PATIENCE, failure, running
from wasmtime import wat2wasm

from farcall.proto.farcall.v1 import module_pb2, value_pb2
from farcall.proto.farcall.v1.instance_service_pb2 import GetInstanceRequest
from farcall.proto.farcall.v1.module_service_pb2 import (
    DeleteModuleRequest,
    GetModuleRequest,
    ListModulesRequest,
    UploadModuleRequest,
)

SOURCE = bytes(wat2wasm(GUEST))
DIGEST = hashlib.sha256(SOURCE).hexdigest()

INTERFACE = """
(module $shop
  (import "env" "log" (func (param i32 i64)))
  (import "env" "memory" (memory 1 2))
  (import "env" "table" (table 3 funcref))
  (import "env" "level" (global (mut f64)))
  (func (export "run") (param f32) (result i32) i32.const 1)
  (global (export "answer") i32 (i32.const 42))
  (@custom "note" "hello")
)
"""


def numbered(number):
    return bytes(wat2wasm(f'(module (func (export "f") (result i32) i32.const {number}))'))


async def test_an_upload_in_chunks_is_named_by_its_content(service):
    chunks = [SOURCE[start : start + 10] for start in range(0, len(SOURCE), 10)]
    first = UploadModuleRequest(sha256=DIGEST, size_bytes=len(SOURCE), data=chunks[0])
    rest = [UploadModuleRequest(data=chunk) for chunk in chunks[1:]]

    response = await service.modules.UploadModule(iter([first, *rest]))

    assert response.module.name == f"modules/{DIGEST}"
    assert response.module.sha256 == DIGEST
    assert response.module.size_bytes == len(SOURCE)
    assert response.created
    assert response.compiled
    assert response.compile_duration.ToMicroseconds() > 0
    assert [export.name for export in response.module.exports][:3] == ["memory", "counter", "constant"]


async def test_the_second_upload_of_the_same_bytes_compiles_nothing(service):
    await service.upload(SOURCE)
    before = await service.counters()

    response = await service.upload(SOURCE)

    assert not response.created
    assert not response.compiled
    after = await service.counters()
    assert after.compiles_total == before.compiles_total == 1
    assert after.modules_kept == after.compiled_modules == 1


async def test_uploads_of_the_same_bytes_at_the_same_time_compile_once(service):
    responses = await asyncio.gather(*(service.upload(SOURCE) for _ in range(8)))

    assert sorted(response.created for response in responses) == [False] * 7 + [True]
    assert sum(response.compiled for response in responses) == 1
    assert len({response.module.name for response in responses}) == 1
    assert (await service.counters()).compiles_total == 1


async def test_interface_and_full_view_of_a_module(service):
    name = (await service.upload(INTERFACE)).module.name

    module = (await service.modules.GetModule(GetModuleRequest(name=name))).module

    assert module.module_name == "shop"
    log, memory, table, level = module.imports
    assert (log.module, log.name) == ("env", "log")
    assert list(log.type.function.parameters) == [value_pb2.VALUE_TYPE_I32, value_pb2.VALUE_TYPE_I64]
    assert memory.type.memory.limits.minimum == 1
    assert memory.type.memory.limits.maximum == 2
    assert memory.type.memory.page_size_bytes == 65536
    assert table.type.table.element == value_pb2.VALUE_TYPE_FUNCREF
    assert not table.type.table.limits.HasField("maximum")
    assert getattr(level.type, "global") == value_pb2.GlobalType(value=value_pb2.VALUE_TYPE_F64, mutable=True)
    run, answer = module.exports
    assert run.name == "run"
    assert list(run.type.function.results) == [value_pb2.VALUE_TYPE_I32]
    assert getattr(answer.type, "global").mutable is False
    assert len(module.types) == 2
    assert [section.name for section in module.sections][:3] == ["type", "import", "function"]
    assert {section.name for section in module.custom_sections} == {"note", "name"}
    note = next(section for section in module.custom_sections if section.name == "note")
    assert (note.size_bytes, note.content) == (5, b"")

    full = (
        await service.modules.GetModule(GetModuleRequest(name=name, view=module_pb2.MODULE_VIEW_FULL))
    ).module
    assert {section.name: section.content for section in full.custom_sections}["note"] == b"hello"

    basic = (
        await service.modules.GetModule(GetModuleRequest(name=name, view=module_pb2.MODULE_VIEW_BASIC))
    ).module
    assert basic.size_bytes == module.size_bytes
    assert basic.create_time == module.create_time
    assert not basic.exports


async def test_lists_come_in_pages(service):
    names = sorted([(await service.upload(numbered(number))).module.name for number in range(5)])
    listed, token, pages = [], "", 0
    while pages == 0 or token:
        response = await service.modules.ListModules(ListModulesRequest(page_size=2, page_token=token))
        assert len(response.modules) <= 2
        listed += [module.name for module in response.modules]
        token, pages = response.next_page_token, pages + 1

    assert listed == names
    assert pages == 3


async def test_a_page_is_not_shifted_by_a_deletion(service):
    names = sorted([(await service.upload(numbered(number))).module.name for number in range(4)])
    first = await service.modules.ListModules(ListModulesRequest(page_size=2))
    await service.modules.DeleteModule(DeleteModuleRequest(name=names[0]))

    second = await service.modules.ListModules(
        ListModulesRequest(page_size=2, page_token=first.next_page_token)
    )

    assert [module.name for module in second.modules] == names[2:]
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ListModulesRequest(page_size=-1), "page_size"),
        (ListModulesRequest(page_token="nonsense!"), "page_token"),
    ],
)
async def test_bad_pages_are_refused(service, request_, field):
    error = await failure(service.modules.ListModules(request_))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == field


async def test_a_deleted_module_is_gone_but_its_instances_live_on(service):
    instance = await service.instantiate(GUEST)
    name = f"modules/{DIGEST}"

    await service.modules.DeleteModule(DeleteModuleRequest(name=name))

    for call in (
        service.modules.GetModule(GetModuleRequest(name=name)),
        service.modules.DeleteModule(DeleteModuleRequest(name=name)),
    ):
        error = await failure(call)
        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "RESOURCE_NOT_FOUND"
        assert error.detail.resource_name == name
    assert await service.call(instance, "add", 20, 22) == 42
    counters = await service.counters()
    assert counters.modules_kept == counters.compiled_modules == 0


async def test_a_module_can_be_deleted_while_a_call_runs_in_it(service):
    instance = await service.instantiate(GUEST)
    async with service.held_up(instance):
        next_call = service.invoke(instance, "count_slowly")
        await service.pending(2)

        await service.modules.DeleteModule(DeleteModuleRequest(name=f"modules/{DIGEST}"))

    assert (await next_call).results[0].i32 == 8


async def test_a_deleted_module_can_be_uploaded_again(service):
    await service.upload(SOURCE)
    await service.modules.DeleteModule(DeleteModuleRequest(name=f"modules/{DIGEST}"))

    assert (await service.upload(SOURCE)).created


@pytest.mark.parametrize(
    "name", ["", "modules/", "modules/ABC", f"modules/{DIGEST}x", f"module/{DIGEST}", DIGEST]
)
async def test_malformed_module_names_are_refused(service, name):
    error = await failure(service.modules.GetModule(GetModuleRequest(name=name)))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "BAD_REQUEST"
    assert error.detail.field_violations[0].field == "name"
    assert "modules/{sha256" in error.message


# -- What is no module -------------------------------------------------------------------------------------------------


async def test_malformed_bytes_are_refused_with_the_offset(service):
    error = await failure(service.upload(b"\0asm\2\0\0\0"))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "MALFORMED_MODULE"
    assert error.detail.reason.startswith("unknown binary version")
    assert error.detail.offset == 4
    assert (await service.counters()).modules_kept == 0


async def test_invalid_modules_are_refused_with_function_and_offset(service):
    source = bytes(wat2wasm('(module (func) (func (export "f") (result i32) i32.const 1))'))
    wrong = source.replace(b"\x41\x01\x0b", b"\x01\x01\x0b")  # two nops where an i32 is wanted
    assert wrong != source

    error = await failure(service.upload(wrong))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_MODULE"
    assert error.detail.function_index == 1
    assert error.detail.offset == wrong.index(b"\x01\x01\x0b") + 2
    assert "type mismatch" in error.detail.reason


@pytest.mark.parametrize("length", [0, 3, 8 + 1, len(SOURCE) // 2, len(SOURCE) - 1])
async def test_truncated_modules_are_refused(service, length):
    error = await failure(service.upload(SOURCE[:length]))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "MALFORMED_MODULE"
    assert error.detail.offset <= length


async def test_an_upload_without_a_message_is_refused(service):
    error = await failure(service.modules.UploadModule(iter([])))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == "data"


@pytest.mark.parametrize(
    ("announcement", "field"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": DIGEST.upper()}, "sha256"),
        ({"size_bytes": -1}, "size_bytes"),
    ],
)
async def test_malformed_announcements_are_refused(service, announcement, field):
    error = await failure(
        service.modules.UploadModule(iter([UploadModuleRequest(data=SOURCE, **announcement)]))
    )

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.detail.field_violations[0].field == field


async def test_other_bytes_than_announced_are_refused(service):
    other = hashlib.sha256(b"other").hexdigest()
    error = await failure(
        service.modules.UploadModule(iter([UploadModuleRequest(data=SOURCE, sha256=other)]))
    )

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "UPLOAD_MISMATCH"
    assert (error.detail.expected_sha256, error.detail.actual_sha256) == (other, DIGEST)

    error = await failure(
        service.modules.UploadModule(iter([UploadModuleRequest(data=SOURCE, size_bytes=7)]))
    )
    assert error.reason == "UPLOAD_MISMATCH"
    assert (error.detail.expected_size_bytes, error.detail.actual_size_bytes) == (7, len(SOURCE))
    assert (await service.counters()).modules_kept == 0


# -- Limits and clients that go away -----------------------------------------------------------------------------------


async def test_oversized_modules_are_refused_before_and_while_they_come():
    async with running(max_module_bytes=1000) as service:
        announced = UploadModuleRequest(size_bytes=1001)
        for requests in ([announced], [UploadModuleRequest(data=bytes(501))] * 2):
            error = await failure(service.modules.UploadModule(iter(requests)))
            assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error.reason == "LIMIT_REACHED"
            assert "at most 1000" in error.message
        assert (await service.counters()).uploads_pending == 0


async def test_the_number_of_modules_is_limited():
    async with running(max_modules=2) as service:
        for number in range(2):
            await service.upload(numbered(number))

        error = await failure(service.upload(numbered(2)))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "limit of 2 modules" in error.message
        assert not (await service.upload(numbered(1))).created


async def test_the_number_of_uploads_is_limited():
    async with running(max_concurrent_uploads=1) as service:
        first = service.modules.UploadModule()
        await first.write(UploadModuleRequest(data=SOURCE[:10]))
        await uploads(service, 1)

        error = await failure(service.upload(SOURCE))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "uploads are in progress" in error.message
        await first.write(UploadModuleRequest(data=SOURCE[10:]))
        await first.done_writing()
        assert (await first).created


async def test_an_upload_that_stalls_gives_its_place_up():
    async with running(max_concurrent_uploads=1, upload_idle_timeout=0.2) as service:
        for written in ([], [UploadModuleRequest(data=SOURCE[:10])]):
            error = await failure(service.modules.UploadModule(stalling(written)))

            assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "no message of it came for 0.2 seconds" in error.message
            await uploads(service, 0)
        assert (await service.counters()).modules_kept == 0


async def stalling(messages):
    """The messages, and then nothing any more."""
    for message in messages:
        yield message
    await asyncio.Event().wait()


async def test_an_upload_that_goes_on_takes_as_long_as_it_likes():
    """Waiting for each message is limited, not the upload."""
    async with running(upload_idle_timeout=PATIENCE) as service:
        upload = service.modules.UploadModule()
        for position in range(len(SOURCE)):
            await upload.write(UploadModuleRequest(data=SOURCE[position : position + 1]))
        await upload.done_writing()
        assert (await upload).created


async def test_a_client_that_disconnects_during_an_upload_leaves_nothing_behind(tmp_path):
    async with running(data_directory=tmp_path) as service:
        async with grpc.aio.insecure_channel(service.address) as channel:
            upload = type(service)(service.server, service.address, channel).modules.UploadModule()
            await upload.write(UploadModuleRequest(data=SOURCE[:100], sha256=DIGEST))
            await uploads(service, 1)

        await uploads(service, 0)

        counters = await service.counters()
        assert (counters.modules_kept, counters.compiles_total) == (0, 0)
        files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
        assert {file.name for file in files if file.parts[0] != "cache"} == {"lock"}
        assert (await service.upload(SOURCE)).created


async def uploads(service, count):
    """Wait until so many uploads are pending."""
    async with asyncio.timeout(PATIENCE):
        while (await service.counters()).uploads_pending != count:
            await asyncio.sleep(0.01)


# -- Restarts ----------------------------------------------------------------------------------------------------------


async def test_an_acknowledged_upload_survives_a_restart(tmp_path):
    async with running(data_directory=tmp_path) as service:
        created = (await service.upload(SOURCE)).module

    async with running(data_directory=tmp_path) as service:
        counters = await service.counters()
        assert (counters.modules_kept, counters.compiles_total) == (1, 0)
        module = (await service.modules.GetModule(GetModuleRequest(name=created.name))).module
        assert module == created
        instance = await service.instantiate(SOURCE)
        assert await service.call(instance, "add", 1, 2) == 3
        await service.modules.DeleteModule(DeleteModuleRequest(name=created.name))

    async with running(data_directory=tmp_path) as service:
        assert (await service.counters()).modules_kept == 0


async def test_a_damaged_file_is_told_and_mended_by_an_upload(tmp_path):
    async with running(data_directory=tmp_path) as service:
        await service.upload(SOURCE)
    (file,) = tmp_path.rglob("*.wasm")
    file.write_bytes(SOURCE[:-1])

    async with running(data_directory=tmp_path) as service:
        error = await failure(service.modules.GetModule(GetModuleRequest(name=f"modules/{DIGEST}")))
        assert error.code is grpc.StatusCode.INTERNAL
        assert "damaged; upload the module again" in error.message

        assert not (await service.upload(SOURCE)).created
        await service.modules.GetModule(GetModuleRequest(name=f"modules/{DIGEST}"))
    assert file.read_bytes() == SOURCE


async def test_two_servers_cannot_share_a_data_directory(tmp_path):
    async with running(data_directory=tmp_path):
        with pytest.raises(Exception, match="another server uses the data directory"):
            async with running(data_directory=tmp_path):
                pass


def module_with_exports(names):
    """The bytes of a module that exports one function under many names."""

    def number(value):
        encoded = b""
        while value > 0x7F:
            encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
        return encoded + bytes([value])

    def section(identifier, content):
        return bytes([identifier]) + number(len(content)) + content

    exports = b"".join(number(len(name)) + name + b"\x00\x00" for name in names)
    return b"".join(
        (
            b"\0asm\1\0\0\0",
            section(1, b"\x01\x60\x00\x00"),
            section(3, b"\x01\x00"),
            section(7, number(len(names)) + exports),
            section(10, b"\x01\x02\x00\x0b"),
        )
    )


async def test_a_module_whose_description_fits_in_no_message_is_refused_and_not_kept():
    async with running(max_message_bytes=1 << 18) as service:
        before = await service.counters()
        source = module_with_exports([b"export_%06d" % number for number in range(20_000)])

        error = await failure(upload_in_pieces(service, source))

        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "types, imports and exports" in error.message
        assert "262144" in error.message
        after = await service.counters()
        for counter in ("modules_kept", "compiled_modules", "uploads_pending"):
            assert getattr(after, counter) == getattr(before, counter), counter


async def test_a_module_with_thousands_of_exports_is_described(service):
    names = [b"export_%04d" % number for number in range(3000)]
    uploaded = await service.upload(module_with_exports(names))
    guest = await service.instantiate(module_with_exports(names))
    instance = await service.instances.GetInstance(GetInstanceRequest(name=guest))

    for exports in (uploaded.module.exports, instance.instance.exports):
        assert [export.name.encode() for export in exports] == names


async def test_content_that_fits_in_no_message_is_refused_with_both_sizes():
    async with running(max_message_bytes=1 << 18) as service:
        source = bytes(wat2wasm("(module)")) + b"\0\x84\x80\x20\x03big" + bytes(1 << 19)
        uploaded = await upload_in_pieces(service, source)

        request = GetModuleRequest(name=uploaded.module.name, view=module_pb2.MODULE_VIEW_FULL)
        error = await failure(service.modules.GetModule(request))

        assert error.reason == "LIMIT_REACHED"
        assert "262144" in error.message


async def upload_in_pieces(service, source):
    pieces = [source[start : start + 100_000] for start in range(0, len(source), 100_000)]
    return await service.modules.UploadModule(iter([UploadModuleRequest(data=piece) for piece in pieces]))


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (errno.ENOSPC, grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED"),
        (errno.EACCES, grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_a_module_that_cannot_be_stored_is_not_acknowledged(
    tmp_path, monkeypatch, number, code, reason
):
    def fail(self, sha256, source):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("farcall.server.module_files.ModuleFiles.write", fail)
    async with running(data_directory=tmp_path) as service:
        error = await failure(service.upload(SOURCE))

        assert (error.code, error.reason) == (code, reason)
        assert error.message == f"the server cannot store the module: {os.strerror(number)}"
        counters = await service.counters()
        assert (counters.modules_kept, counters.compiled_modules, counters.uploads_pending) == (0, 0, 0)
