"""wasmtime's Python package, as it comes: compiled by Cranelift for speed, without a way to stop a guest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import wasmtime

from benchmarks.peers.peer import EnginePeer

_Instance = tuple[wasmtime.Store, wasmtime.Instance]


class WasmtimePeer(EnginePeer):
    """wasmtime; each instance lives in a store of its own, which it leaves with the last reference."""

    trap = wasmtime.Trap

    def __init__(self) -> None:
        self._engine = wasmtime.Engine()

    def kernel(self, path: str) -> Callable[[int], int]:
        instance = self.instantiate(self.compile(Path(path).read_bytes()))
        run, store = self.function(instance, "run"), instance[0]
        return lambda argument: cast(int, run(store, argument))

    def compile(self, source: bytes) -> wasmtime.Module:
        return wasmtime.Module(self._engine, source)

    def instantiate(self, compiled: object) -> _Instance:
        store = wasmtime.Store(self._engine)
        return store, wasmtime.Instance(store, cast(wasmtime.Module, compiled), [])

    def function(self, instance: object, name: str) -> Callable[..., object]:
        store, exporter = cast(_Instance, instance)
        return cast(Callable[..., object], exporter.exports(store)[name])

    def leading(self, instance: object) -> tuple[object, ...]:
        return (cast(_Instance, instance)[0],)

    def discard(self, instance: object) -> None:
        del instance
