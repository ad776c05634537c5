"""farcall's engine, in process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from benchmarks.peers.peer import EnginePeer
from farcall.engine import CompiledModule, Engine, Instance, Store, Trap


class FarcallPeer(EnginePeer):
    """farcall, with all of a kernel optimised before its first call.

    Args:
        ensure_termination: whether guests can be stopped, as the service has it.
        code_policy: `optimized`, or `lazy`: then functions are optimised one after the other, as for most users.
    """

    trap = Trap

    def __init__(self, ensure_termination: bool, code_policy: str = "optimized") -> None:
        self._ensure_termination = ensure_termination
        self._engine = Engine(code_policy=code_policy)
        self._store = Store(self._engine)

    def kernel(self, path: str) -> Callable[[int], int]:
        compiled = self.compile(Path(path).read_bytes())
        self._engine.complete(compiled)
        instance = self._store.instantiate(compiled)
        return cast(Callable[[int], int], instance.function("run"))

    def compile(self, source: bytes) -> CompiledModule:
        module = self._engine.load_module(source)
        return self._engine.compile_module(module, ensure_termination=self._ensure_termination)

    def instantiate(self, compiled: object) -> Instance:
        return self._store.instantiate(cast(CompiledModule, compiled))

    def function(self, instance: object, name: str) -> Callable[..., object]:
        return cast(Instance, instance).function(name)

    def discard(self, instance: object) -> None:
        cast(Instance, instance).close()
