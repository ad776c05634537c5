"""Code that came by and by is there at once after a restart, and nothing that is damaged or foreign is used."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from farcall.engine import (
    CacheConfiguration,
    CodePolicy,
    CompileLimitError,
    CompileLimits,
    Engine,
    Store,
)
from farcall.engine.cache.authentication import Authenticator, read_key
from farcall.engine.cache.container import ModuleEntry, write_module
from farcall.engine.codegen.linker import Image
from farcall.engine.jobs import CompileJob, CompilePool, CompileTicket
from farcall.engine.runtime.instance import Instance
from farcall.engine.runtime.tiered_code import FAST, NOT_COMPILED, OPTIMIZED, TieredCode
from farcall.engine.statistics import TierStatistics
from farcall.engine.tiers.code_keeper import _Kept
from tests.engine.guests import wait_until
from tests.engine.jobs.jobs import OPTIONS

SOURCE = bytes(
    wat2wasm(
        """(module
        (import "" "" (func $host (param i32)))
        (memory (export "m") 1) (data (i32.const 5) "hi") (global $calls (mut i32) (i32.const 0))
        (func $fib (export "fib") (param i32) (result i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                           (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
        (func $count (export "count") (param i64 i64) (result i64)
          (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
          (return_call $count (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 3))))
        (table 3 funcref) (elem (i32.const 1) $fib $host)
        (func (export "indirect") (param i32) (result i32)
          (call_indirect (param i32) (result i32) (i32.const 10) (local.get 0)))
        (func (export "never") (result i64) (i64.const 7)))"""
    )
)
CHILD = """
import json, sys
from pathlib import Path
from tests.engine.tiers.test_code_keeper import at_once
json.dump(at_once(Path(sys.argv[1])), sys.stdout)
"""


def new_engine(directory: Path, policy: CodePolicy = CodePolicy.LAZY) -> Engine:
    return Engine(cache=CacheConfiguration(directory=directory), code_policy=policy)


def instance_of(engine: Engine, store: Store) -> Instance:
    module = engine.load_module(SOURCE)
    return store.instantiate(module, {"": {"": store.host_function(module.function_type(0), print)}})


def code_of(instance: Instance) -> TieredCode:
    code = instance.store.engine.compiled(instance.module).code
    assert isinstance(code, TieredCode)
    return code


def results(instance: Instance) -> list[int]:
    exports = instance.exports
    return [exports.fib(12), exports.count(100_000, 1), exports.indirect(1), exports.never()]


EXPECTED = [144, 300_001, 55, 7]


def run_until_idle(directory: Path) -> Engine:
    """Run until all is optimised; the engine is closed then, and still has its counters."""
    with new_engine(directory) as engine, Store(engine) as store:
        assert results(instance_of(engine, store)) == EXPECTED
        wait_until(lambda: engine._tiers.optimizer is not None and engine._tiers.optimizer.idle)
        return engine


def at_once(directory: Path) -> dict[str, object]:
    """What there is of the functions right after instantiation, and what was compiled after all were called."""
    with new_engine(directory) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        levels = list(code_of(instance).levels)
        assert results(instance) == EXPECTED
        statistics = engine.statistics()
        return {
            "levels": levels,
            "compilations": statistics.compilations,
            "compiled": sum(tier.functions for tier in statistics.compilation.tiers),
            "hits": statistics.cache.hits,
            "misses": statistics.cache.misses,
            "rejected": statistics.cache.rejected,
        }


WARM = {
    "levels": [OPTIMIZED] * 4,
    "compilations": 0,
    "compiled": 0,
    "hits": 2,
    "misses": 0,
    "rejected": 0,
}


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.glob("??/*") if path.is_file()]


def code_entry(directory: Path) -> Path:
    """The entry of the code: that of the module has no code in it."""
    sizes = sorted((path.stat().st_size, path) for path in entries(directory))
    assert len(sizes) == 2
    return sizes[-1][1]


def test_all_is_optimised_at_once_after_a_restart(tmp_path: Path) -> None:
    first = run_until_idle(tmp_path).statistics()
    assert (first.compilations, first.cache.hits, first.cache.misses) == (1, 0, 2)
    assert at_once(tmp_path) == WARM


def test_another_process_compiles_nothing_either(tmp_path: Path) -> None:
    run_until_idle(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], check=True, timeout=300, stdout=subprocess.PIPE
    )
    assert json.loads(done.stdout) == WARM


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "foreign"])
def test_what_is_damaged_or_foreign_is_compiled_afresh(tmp_path: Path, damage: str) -> None:
    run_until_idle(tmp_path)
    path = code_entry(tmp_path)
    data = path.read_bytes()
    (other,) = [each for each in entries(tmp_path) if each != path]
    path.write_bytes(
        {
            "flip": data[:-1] + bytes([data[-1] ^ 1]),
            "truncate": data[: len(data) // 2],
            "empty": b"",
            "foreign": other.read_bytes(),
        }[damage]
    )
    found = at_once(tmp_path)
    assert found["levels"] == [NOT_COMPILED] * 4
    assert (found["compilations"], found["rejected"], found["hits"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("level", "functions"),
    [(OPTIMIZED, ((0, 4, "f99"),)), (OPTIMIZED, ((0, 2, "f1"), (2, 2, "f99"))), (9, ((0, 4, "f1"),))],
)
def test_authentic_nonsense_is_compiled_afresh(
    tmp_path: Path, level: int, functions: tuple[tuple[int, int, str], ...]
) -> None:
    run_until_idle(tmp_path)
    path = code_entry(tmp_path)
    entry = ModuleEntry(images=(Image(b"\xcc" * 4, functions),), levels=(level,))
    path.write_bytes(write_module(entry, path.name, Authenticator(read_key(tmp_path / "key"))))
    found = at_once(tmp_path)
    assert found["levels"] == [NOT_COMPILED] * 4
    assert (found["compilations"], found["rejected"], found["hits"]) == (1, 1, 1)


def test_what_was_compiled_is_kept_when_the_engine_closes_and_goes_on_from_there(tmp_path: Path) -> None:
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        assert instance_of(engine, store).exports.never() == 7
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        assert list(code_of(instance).levels) == [NOT_COMPILED] * 3 + [FAST]
        assert instance.exports.fib(10) == 55
    with new_engine(tmp_path) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        assert {code_of(instance).levels[position] for position in (0, 3)} <= {FAST, OPTIMIZED}
        # Nothing has to be called that had no code for the rest to be optimised.
        wait_until(lambda: list(code_of(instance).levels) == [OPTIMIZED] * 4)


def test_what_was_compiled_is_kept_when_the_module_is_deleted(tmp_path: Path) -> None:
    with new_engine(tmp_path, CodePolicy.FAST) as engine:
        with Store(engine) as store:
            instance = instance_of(engine, store)
            assert instance.exports.never() == 7
            assert len(entries(tmp_path)) == 1  # the module alone
        engine.delete_compiled_module(instance.module)
        assert len(entries(tmp_path)) == 2
        with Store(engine) as store:
            assert code_of(instance_of(engine, store)).levels[3] == FAST


def test_what_leaves_memory_for_want_of_room_is_kept(tmp_path: Path) -> None:
    cache = CacheConfiguration(directory=tmp_path, memory_bytes=1)
    with Engine(cache=cache, code_policy="fast") as engine, Store(engine) as store:
        assert instance_of(engine, store).exports.never() == 7
        engine.compile_module(engine.load_module(bytes(wat2wasm("(module (func))"))))
        assert engine.statistics().cache_evictions == 1
        assert len(entries(tmp_path)) == 3  # two modules, and the code of the one that went


def test_completed_code_is_kept(tmp_path: Path) -> None:
    with new_engine(tmp_path) as engine:
        engine.complete(engine.compile_module(engine.load_module(SOURCE), ensure_termination=True))
        assert len(entries(tmp_path)) == 2
    assert at_once(tmp_path) == WARM


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    run_until_idle(tmp_path)
    before = code_entry(tmp_path).stat()
    engine = run_until_idle(tmp_path)
    after = code_entry(tmp_path).stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)
    assert engine.statistics().cache.places[0].stored == 0


def test_images_of_which_nothing_is_used_are_left_out(tmp_path: Path) -> None:
    with new_engine(tmp_path) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        assert results(instance) == EXPECTED
        code = code_of(instance)
        wait_until(lambda: list(code.levels) == [OPTIMIZED] * 4)
        assert code.revision > len(code.snapshot())
        assert {level for level, _image in code.snapshot()} == {OPTIMIZED}
        assert engine.statistics().compilation.tiers[0] != TierStatistics("fast")


def test_a_place_that_cannot_be_written_is_no_error_for_the_guest(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    with new_engine(directory) as engine, Store(engine) as store:
        for folder in directory.iterdir():
            if folder.is_dir():
                folder.rmdir()
        (directory / "key").unlink()
        directory.rmdir()
        directory.write_text("no directory")
        assert results(instance_of(engine, store)) == EXPECTED
        wait_until(lambda: engine._tiers.optimizer is not None and engine._tiers.optimizer.idle)
    assert engine.statistics().cache.places[0].errors >= 2


def test_code_that_is_kept_while_guests_make_more_is_right(tmp_path: Path) -> None:
    functions = "".join(
        f'(func (export "f{number}") (result i32) (i32.const {number}))' for number in range(60)
    )
    source = bytes(wat2wasm(f"(module {functions})"))
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        instance = store.instantiate(engine.load_module(source))
        code = code_of(instance)
        ended = threading.Event()

        def keep() -> None:
            while not ended.is_set():
                engine._tiers.keeper.keep(code)

        threads = [threading.Thread(target=keep) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            assert [getattr(instance.exports, f"f{number}")() for number in range(60)] == list(range(60))
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        instance = store.instantiate(engine.load_module(source))
        assert list(code_of(instance).levels) == [FAST] * 60
        assert [getattr(instance.exports, f"f{number}")() for number in range(60)] == list(range(60))


def test_two_processes_may_write_one_place_at_once(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for child in children:
        found, _ = child.communicate(timeout=300)
        assert child.returncode == 0
        assert json.loads(found)["rejected"] == 0
    assert at_once(tmp_path)["compilations"] == 0


def test_code_from_the_cache_is_never_writable_and_executable(tmp_path: Path) -> None:
    """But the page of ctypes' own that importing llvmlite makes; in a process without wasmtime, which makes another."""
    run_until_idle(tmp_path)
    source = tmp_path / "module.wasm"
    source.write_bytes(SOURCE)
    program = """
import sys
from pathlib import Path
import llvmlite.binding
from farcall.engine import CacheConfiguration, Engine, Store
def writable_code():
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    return [line[0] for line in lines if "w" in line[1] and "x" in line[1]]
llvmlites = writable_code()
engine = Engine(cache=CacheConfiguration(directory=Path(sys.argv[1])))
with engine, Store(engine) as store:
    module = engine.load_module(Path(sys.argv[2]).read_bytes())
    host = store.host_function(module.function_type(0), print)
    assert store.instantiate(module, {"": {"": host}}).exports.fib(12) == 144
    assert engine.statistics().compilations == 0
    assert writable_code() == llvmlites
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(source)], check=True, timeout=300)


SERVER = """
import signal, sys
from pathlib import Path
from farcall.engine import Store
from tests.engine.guests import wait_until
from tests.engine.tiers.test_code_keeper import instance_of, new_engine
engine = new_engine(Path(sys.argv[1]), "fast")
store = Store(engine)
instance = instance_of(engine, store)
assert instance.exports.never() == 7
wait_until(lambda: engine.statistics().cache.places[0].stored == 2)
print("written", flush=True)
signal.pause()
"""


def test_what_was_written_meanwhile_survives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"written\n"
        server.kill()
    assert at_once(tmp_path)["levels"] == [NOT_COMPILED] * 3 + [FAST]


def test_code_is_written_in_bounded_amounts() -> None:
    mebibyte = 1 << 20
    kept = _Kept(OPTIONS, revision=1, size=60 * mebibyte, at=1000.0)
    assert kept.due(60 * mebibyte + 1) == 1240.0
    assert kept.due(120 * mebibyte) == 1002.0
    assert _Kept(OPTIONS, revision=0, size=0, at=1000.0).due(4096) == 1002.0
    assert _Kept(OPTIONS, revision=1, size=4096, at=1000.0).due(5000) == 1002.0


def test_what_others_have_written_meanwhile_is_not_lost(tmp_path: Path) -> None:
    """Two engines as in two processes: the second one writes less than the first, and what that wrote stays."""
    with new_engine(tmp_path, CodePolicy.FAST) as second, Store(second) as store:
        instance = instance_of(second, store)
        assert instance.exports.never() == 7
        with second._tiers.keeper._writing:  # its own thread does not write before the first engine has
            run_until_idle(tmp_path)
        second._tiers.keeper.keep(code_of(instance))
        assert list(code_of(instance).levels) == [OPTIMIZED] * 4
        cache = second.statistics().cache
        assert (cache.hits, cache.misses) == (0, 2)
        assert (cache.places[0].hits, cache.places[0].misses) == (0, 2)
        assert results(instance) == EXPECTED
    assert at_once(tmp_path) == WARM


def test_of_two_who_write_at_the_same_moment_none_loses_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines as in two processes; one is held up between having read what there is and writing."""
    with (
        new_engine(tmp_path, CodePolicy.FAST) as first,
        new_engine(tmp_path, CodePolicy.FAST) as second,
        Store(first) as one,
        Store(second) as other,
    ):
        with first._tiers.keeper._writing, second._tiers.keeper._writing:  # their own threads wait
            instances = instance_of(first, one), instance_of(second, other)
            assert instances[0].exports.never() == 7
            assert instances[1].exports.fib(5) == 5
        reading, go_on = threading.Event(), threading.Event()
        store_code = first._stored.store_code

        def held_up(*arguments: Any) -> None:
            reading.set()
            go_on.wait(60)
            store_code(*arguments)

        monkeypatch.setattr(first._stored, "store_code", held_up)
        keepers = (first._tiers.keeper, second._tiers.keeper)
        threads = [
            threading.Thread(target=keeper.keep, args=(code_of(instance),))
            for keeper, instance in zip(keepers, instances, strict=True)
        ]
        threads[0].start()
        assert reading.wait(60)
        threads[1].start()
        threads[1].join(0.3)
        assert threads[1].is_alive()
        go_on.set()
        for thread in threads:
            thread.join(60)
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        assert list(code_of(instance_of(engine, store)).levels) == [FAST, NOT_COMPILED, NOT_COMPILED, FAST]


def test_code_that_nobody_uses_is_not_kept_alive_for_being_written(tmp_path: Path) -> None:
    with new_engine(tmp_path, CodePolicy.FAST) as engine:
        with Store(engine) as store:
            instance = instance_of(engine, store)
            assert instance.exports.never() == 7
            code = weakref.ref(code_of(instance))
            engine._tiers.keeper.changed(code_of(instance))
            del instance
        engine._cache.remove(lambda _key: True)
        wait_until(lambda: gc.collect() >= 0 and code() is None)
        wait_until(lambda: engine._tiers.keeper._thread is None)


def test_a_forked_process_writes_by_itself(tmp_path: Path) -> None:
    with new_engine(tmp_path, CodePolicy.FAST) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        assert instance.exports.never() == 7
        with engine._tiers.keeper._writing:  # of two who write at the same moment, the later one's stays
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    before = engine.statistics().cache.places[0].stored
                    assert instance.exports.fib(10) == 55
                    wait_until(lambda: engine.statistics().cache.places[0].stored > before)
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
    assert at_once(tmp_path)["levels"] == [FAST, NOT_COMPILED, NOT_COMPILED, FAST]


def test_what_took_too_much_to_optimise_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    submit = CompilePool.submit

    def refuse_the_first(self: CompilePool, job: CompileJob) -> CompileTicket:
        ticket = submit(self, job)
        tried.append(job.functions)
        if 1 not in job.functions:
            return ticket
        ticket.cancel()
        refused = CompileTicket(self, ticket._pending)
        refused.set_exception(CompileLimitError(job.functions, "time", job.seconds))
        return refused

    monkeypatch.setattr(CompilePool, "submit", refuse_the_first)
    run_until_idle(tmp_path)
    assert (1,) in tried
    tried.clear()
    with new_engine(tmp_path) as engine, Store(engine) as store:
        instance = instance_of(engine, store)
        assert list(code_of(instance).levels) == [FAST] + [OPTIMIZED] * 3
        wait_until(lambda: engine._tiers.optimizer is not None and engine._tiers.optimizer.idle)
        assert results(instance) == EXPECTED
        last = engine.complete(engine.compiled(instance.module))
        assert (last.optimized, last.fast) == (3, 1)
    assert tried == []
    other = CompileLimits(memory_bytes=5 << 30)
    with Engine(cache=CacheConfiguration(directory=tmp_path), compile_limits=other) as engine:
        code = engine.compile_module(engine.load_module(SOURCE), ensure_termination=True).code
        assert isinstance(code, TieredCode)
        wait_until(lambda: tried == [(1,)])
        wait_until(lambda: code.given_up == {0})
