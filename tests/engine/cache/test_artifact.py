"""Code that was compiled ahead: used where it can be, refused where not, and damage is always found."""

from __future__ import annotations

import dataclasses
import random

import pytest

from farcall.engine import (
    Artifact,
    ArtifactError,
    Engine,
    Store,
    check_trustworthy,
    choose_target,
    decode_artifact,
    encode_artifact,
)
from farcall.engine.codegen.target import Target, host_target
from tests.engine.guests import wasm

TEXT = (
    "(module (func $g (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))"
    ' (func (export "f") (param i32) (result i32) (i32.add (call $g (local.get 0)) (i32.const 1)))'
    ' (func (export "spin") (loop (br 0))))'
)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    with Engine() as engine:
        return engine.compile_ahead(engine.load_module(wasm(TEXT)))


@pytest.fixture(scope="module")
def content(artifact):
    return encode_artifact(artifact)


def test_what_is_written_is_read(artifact, content):
    assert decode_artifact(content) == artifact


@pytest.mark.parametrize("policy", ["lazy", "optimized"])
def test_code_compiled_ahead_is_used_and_nothing_is_compiled(artifact, content, monkeypatch, policy):
    def compile_nothing(*_):
        raise AssertionError("it was compiled")

    monkeypatch.setattr("farcall.engine.jobs.module_compiler.ModuleCompiler.compile", compile_nothing)
    monkeypatch.setattr("farcall.engine.tiers.first_call.FastTier.compile", compile_nothing)
    with Engine(code_policy=policy) as engine, Store(engine) as store:
        engine.use_artifact(decode_artifact(content))
        module = engine.load_module(artifact.source)
        compiled = engine.compile_module(module, ensure_termination=True)
        assert store.instantiate(compiled).exports.f(5) == 16
        assert engine.complete(compiled).done == len(module.functions)
        with pytest.raises(
            AssertionError, match="it was compiled"
        ):  # it is not for code that cannot be stopped
            store.instantiate(engine.compile_module(module, ensure_termination=False)).exports.f(5)


def test_code_for_an_older_cpu_runs_here(engine):
    cpu = "generic" if host_target().architecture == "aarch64" else "x86-64"
    module = engine.load_module(wasm(TEXT))
    engine.use_artifact(engine.compile_ahead(module, target=choose_target(cpu)))
    with Store(engine) as store:
        assert store.instantiate(engine.compile_module(module, ensure_termination=True)).exports.f(5) == 16


def test_a_deleted_module_is_compiled_afresh(artifact, engine):
    engine.use_artifact(artifact)
    module = engine.load_module(artifact.source)
    engine.compile_module(module, ensure_termination=True)
    engine.delete_compiled_module(module)
    with Store(engine) as store:
        assert store.instantiate(engine.compile_module(module, ensure_termination=True)).exports.f(5) == 16


def test_code_for_what_this_machine_lacks_is_refused(artifact, engine):
    host = host_target()
    foreign = dataclasses.replace(artifact, target=Target(host.triple, "future", host.features + ",+warp"))
    with pytest.raises(
        ArtifactError, match=r"a CPU \(future\) that has warp, which this machine's \(.*\) lacks"
    ):
        engine.use_artifact(foreign)


def test_code_of_another_compiler_is_refused(artifact, engine):
    with pytest.raises(
        ArtifactError, match=r"it was compiled by farcall 0\.0\.1, and this is farcall .*, LLVM"
    ):
        engine.use_artifact(dataclasses.replace(artifact, compiler="farcall 0.0.1"))


@pytest.mark.parametrize("foreign", [b"", b"\0asm\1\0\0\0", b"\0farcall", b"\x7fELF" + bytes(1000)])
def test_what_is_no_artifact_is_refused(foreign):
    with pytest.raises(ArtifactError, match="is no artifact"):
        decode_artifact(foreign)


def test_damage_is_found(content):
    generator = random.Random(4)
    for position in [*range(20), len(content) - 1, *(generator.randrange(len(content)) for _ in range(200))]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.randrange(8)
        with pytest.raises(ArtifactError):
            decode_artifact(bytes(damaged))
    for size in [*range(60), *(generator.randrange(len(content)) for _ in range(100))]:
        with pytest.raises(ArtifactError):
            decode_artifact(content[:size])
    with pytest.raises(ArtifactError):
        decode_artifact(content + b"x")


def test_files_that_others_can_write_are_not_trusted(tmp_path):
    file = tmp_path / "x.farcall"
    file.write_bytes(b"")
    for mode in (0o600, 0o644, 0o444, 0o755):
        file.chmod(mode)
        check_trustworthy(file)
    for mode in (0o666, 0o664, 0o602):
        file.chmod(mode)
        with pytest.raises(ArtifactError, match="can be written by others"):
            check_trustworthy(file)


def test_files_of_others_are_not_trusted(tmp_path, monkeypatch):
    file = tmp_path / "x.farcall"
    file.write_bytes(b"")
    file.chmod(0o644)
    owner = file.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    if owner:
        with pytest.raises(ArtifactError, match=f"belongs to user {owner}"):
            check_trustworthy(file)
    else:
        check_trustworthy(file)  # root's files are
