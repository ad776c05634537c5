"""Engines that share places: what one compiled, no other compiles again, and nothing is trusted unchecked."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from farcall.engine import CacheConfiguration, CodePolicy, Engine, Store, Trap, UnsafeCacheKeyError
from farcall.engine.cache import fingerprint
from farcall.engine.cache import key as keys
from farcall.engine.cache.disk import DiskPlace
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.runtime.memory import Memory

SOURCE = bytes(
    wat2wasm(
        """(module
        (memory (export "m") 1) (data (i32.const 5) "hi") (data (i32.const 65534) "xy")
        (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (table 3 funcref) (elem (i32.const 1) $f $f)
        (func (export "g") (param i32) (result i32)
          (call_indirect (param i32) (result i32) (i32.const 41) (local.get 0))))"""
    )
)


def protections(address: int) -> str:
    """How the memory at an address may be used."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, protection, *_rest = line.split()
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        if start <= address < end:
            return protection
    raise AssertionError(f"nothing is mapped at {address:#x}")


def new_engine(directory: Path, **options: object) -> Engine:
    return Engine(
        cache=CacheConfiguration(directory=directory),
        code_policy=CodePolicy.OPTIMIZED,
        **options,  # type: ignore[arg-type]
    )


def run(directory: Path) -> Engine:
    """Instantiate and call; the engine is closed, and still has its counters."""
    with new_engine(directory) as engine, Store(engine) as store:
        instance = store.instantiate(engine.load_module(SOURCE))
        assert instance.exports.g(2) == 42
        with pytest.raises(Trap):
            instance.exports.g(0)
        memory = instance.exports.m
        assert isinstance(memory, Memory)
        assert (memory.read(5, 2), memory.read(65534, 2)) == (b"hi", b"xy")
        code = engine.compiled(instance.module).code
        assert protections(code.address(0)) == "r-xp"
        return engine


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.glob("??/*") if path.is_file()]


def test_nothing_is_decoded_or_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path).statistics().compilations == 1

    def fail(*_arguments: object) -> None:
        raise AssertionError("this is to come from the cache")

    for name in ("decode_module", "validate_module", "ModuleCompiler.compile"):
        monkeypatch.setattr(f"farcall.engine.engine.{name}", fail)
    statistics = run(tmp_path).statistics()
    assert (statistics.compilations, statistics.cache.hits, statistics.cache.misses) == (0, 2, 0)


def test_code_is_mapped_from_the_file(tmp_path: Path) -> None:
    run(tmp_path)
    with new_engine(tmp_path) as engine:
        compiled = engine.compile_module(engine.load_module(SOURCE), ensure_termination=True)
        lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
        assert [line[1] for line in lines if str(tmp_path) in line[-1] and "x" in line[1]] == ["r-xp"]
        del compiled


def test_what_another_process_removes_goes_on_for_those_who_have_it(tmp_path: Path) -> None:
    run(tmp_path)
    with new_engine(tmp_path) as engine, Store(engine) as store:
        instance = store.instantiate(engine.load_module(SOURCE))
        other = DiskPlace(tmp_path, 12)
        other.put("0" * 64, bytes(10))
        assert (len(entries(tmp_path)), other.statistics().evictions) == (1, 2)
        assert instance.exports.g(2) == 42
        memory = instance.exports.m
        assert isinstance(memory, Memory)
        assert memory.read(5, 2) == b"hi"
    assert run(tmp_path).statistics().compilations == 1


def test_a_directory_that_goes_while_it_is_used_is_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    with new_engine(directory) as engine:
        engine.compile_module(engine.load_module(SOURCE))
        shutil.rmtree(directory)
        engine.compile_module(engine.load_module(SOURCE), ensure_termination=True)
        assert len(entries(directory)) == 2
        assert engine.statistics().cache.places[0].errors == 0
    # Its key went with it: what was written with that is worth nothing to others, and no error for them.
    assert run(directory).statistics().cache.rejected == 2
    assert run(directory).statistics().compilations == 0


@pytest.mark.parametrize("content", [b"", b"nonsense", b"farcall\0" * 1000])
def test_what_is_damaged_is_made_again(tmp_path: Path, content: bytes) -> None:
    run(tmp_path)
    for path in entries(tmp_path):
        path.write_bytes(content)
    statistics = run(tmp_path).statistics()
    assert statistics.compilations == 1
    assert statistics.cache.rejected == 2
    assert run(tmp_path).statistics().compilations == 0


def test_entries_of_another_key_are_not_executed(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "key").unlink()
    statistics = run(tmp_path).statistics()
    assert (statistics.compilations, statistics.cache.rejected) == (1, 2)


def test_an_engine_does_not_start_with_a_key_that_others_can_read(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(UnsafeCacheKeyError):
        Engine(cache=CacheConfiguration(directory=tmp_path))


def test_features_that_are_disabled_belong_to_a_modules_key(tmp_path: Path) -> None:
    run(tmp_path)
    with Engine(cache=CacheConfiguration(directory=str(tmp_path)), disabled_features=["simd"]) as engine:
        engine.load_module(SOURCE)
        assert engine.statistics().cache.hits == 0


def test_all_that_code_depends_on_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("x86_64-linux", "cpu", "+a,+b")
    others = [dataclasses.replace(target, **{field.name: "other"}) for field in dataclasses.fields(Target)]
    found = {keys.code_key("digest", ["a"], each) for each in (target, *others)}
    found |= {keys.code_key("digest", ["b"], target), keys.code_key("other", ["a"], target)}
    found |= {keys.code_key("digest", ["a", ""], target), keys.code_key("digesta", [], target)}
    assert len(found) == 8
    monkeypatch.setattr(keys, "_environment", lambda: b"another version")
    assert keys.code_key("digest", ["a"], target) not in found


def test_an_edit_of_the_engine_changes_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "module.py"
    file.write_text("a = 1")
    monkeypatch.setattr(fingerprint, "_ENGINE", tmp_path)
    digest = fingerprint.compiler_fingerprint.__wrapped__
    before = digest()
    assert digest() == before
    file.write_text("a = 2")
    assert digest() != before


def test_host_features_are_known() -> None:
    """Without them in the key, code could meet a machine that lacks what it needs."""
    assert "+" in host_target().features
