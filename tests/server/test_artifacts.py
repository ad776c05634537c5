"""A server that is given modules with their code at its start."""

import dataclasses

import pytest
from farcall_service import GUEST, running
from wasmtime import wat2wasm

from farcall.engine import Engine, encode_artifact
from farcall.engine.codegen.target import Target, host_target
from farcall.proto.farcall.v1 import module_service_pb2 as messages
from farcall.server.artifacts import ArtifactFileError

SOURCE = bytes(wat2wasm(GUEST))


@pytest.fixture(scope="module")
def artifact():
    with Engine() as engine:
        return engine.compile_ahead(engine.load_module(SOURCE))


@pytest.fixture
def file(tmp_path, artifact):
    path = tmp_path / "guest.farcall"
    path.write_bytes(encode_artifact(artifact))
    path.chmod(0o644)
    return path


async def call_add(service):
    name = (await service.modules.ListModules(messages.ListModulesRequest())).modules[0].name
    assert name.startswith("modules/")
    return await service.call(await service.instantiate(SOURCE), "add", 2, 3)


@pytest.fixture
def no_compiler(monkeypatch):
    def compile_nothing(*_):
        raise AssertionError("it was compiled")

    monkeypatch.setattr("farcall.engine.jobs.module_compiler.ModuleCompiler.compile", compile_nothing)
    monkeypatch.setattr("farcall.engine.tiers.first_call.FastTier.compile", compile_nothing)


async def test_the_module_is_there_and_its_code_is_used(file, no_compiler):
    async with running(artifacts=(file,)) as service:
        assert await call_add(service) == 5


async def test_beside_a_data_directory(file, no_compiler, tmp_path):
    for _ in range(2):
        async with running(artifacts=(file,), data_directory=tmp_path / "data") as service:
            assert await call_add(service) == 5


async def test_code_for_another_machine_is_compiled_afresh_and_that_is_told(artifact, file, capsys):
    host = host_target()
    foreign = dataclasses.replace(artifact, target=Target(host.triple, "future", host.features + ",+warp"))
    file.write_bytes(encode_artifact(foreign))
    async with running(artifacts=(file,)) as service:
        assert await call_add(service) == 5
        told = "".join(capsys.readouterr())
        assert "code compiled ahead cannot be used" in told
        assert "a CPU (future) that has warp" in told


@pytest.mark.parametrize("content", [b"", b"\0asm\1\0\0\0", None])
async def test_a_file_that_is_none_or_damaged_ends_the_start(file, content):
    file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    with pytest.raises(ArtifactFileError, match=f"the artifact {file} is (no artifact|damaged)"):
        async with running(artifacts=(file,)):
            pass


async def test_a_file_that_others_can_write_ends_the_start(file):
    file.chmod(0o666)
    with pytest.raises(ArtifactFileError, match="can be written by others"):
        async with running(artifacts=(file,)):
            pass


async def test_a_module_that_needs_what_is_switched_off_ends_the_start(file):
    with pytest.raises(ArtifactFileError, match=r"has a module that is refused: .* switched off"):
        async with running(artifacts=(file,), disabled_features=("multi-value",)):
            pass
