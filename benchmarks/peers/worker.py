"""The process of one peer: obeys commands, a line of JSON each, and answers with what it measured.

Peers run apart because each engine installs signal handlers of its own; the parent drives them in turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any, cast

from benchmarks.peers.farcall_peer import FarcallPeer
from benchmarks.peers.native_peer import NativePeer
from benchmarks.peers.peer import TRAPPING, EnginePeer, Peer
from benchmarks.peers.wasmtime_peer import WasmtimePeer

PEERS: dict[str, Callable[[], Peer]] = {
    "farcall": lambda: FarcallPeer(ensure_termination=True),
    "farcall_lazy": lambda: FarcallPeer(ensure_termination=True, code_policy="lazy"),
    "farcall_unchecked": lambda: FarcallPeer(ensure_termination=False),
    "wasmtime": WasmtimePeer,
    "gcc": NativePeer,
}


class Worker:
    """Carries out commands; each is a method. Times are seconds."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._kernels: dict[str, Callable[[int], int]] = {}
        self._small: object = None
        self._compilations = time.time_ns()

    @property
    def _engine(self) -> EnginePeer:
        return cast(EnginePeer, self._peer)

    def prepare(self, path: str) -> None:
        """Get a kernel ready to run."""
        self._kernels[path] = self._peer.kernel(path)

    def run(self, path: str, argument: int) -> dict[str, Any]:
        """Run a kernel once: the processor's time, the clock's, and the result.

        A kernel runs on the thread that calls it, so this thread's processor time is its run time, without the time
        that the processor gave to others.
        """
        run = self._kernels[path]
        started, started_by_clock = time.thread_time(), time.perf_counter()
        result = run(argument)
        seconds, seconds_by_clock = time.thread_time() - started, time.perf_counter() - started_by_clock
        return {"seconds": seconds, "seconds_by_clock": seconds_by_clock, "result": result}

    def compile(self, path: str) -> float:
        """Compile a module, from its bytes to code that can be instantiated; never twice the same bytes."""
        source = Path(path).read_bytes() + self._unique_section()
        started = time.perf_counter()
        compiled = self._engine.compile(source)
        seconds = time.perf_counter() - started
        del compiled
        return seconds

    def _unique_section(self) -> bytes:
        """A custom section without a name that makes a module's bytes new: no cache knows them."""
        self._compilations += 1
        content = b"\0" + self._compilations.to_bytes(8, "little")
        return bytes([0, len(content)]) + content

    def prepare_small(self, path: str) -> None:
        """Compile the small module, for what follows."""
        self._small = self._engine.compile(Path(path).read_bytes())

    def instantiate(self, count: int) -> dict[str, float]:
        """Instantiate the small module, and close the instance: the medians of both over `count` times."""
        instantiations, whole = [], []
        for _ in range(count):
            started = time.perf_counter()
            instance = self._engine.instantiate(self._small)
            instantiations.append(time.perf_counter() - started)
            self._engine.discard(instance)
            del instance
            whole.append(time.perf_counter() - started)
        return {"instantiate": statistics.median(instantiations), "with_close": statistics.median(whole)}

    def call(self, count: int) -> float:
        """Call `add`: time a call."""
        instance = self._engine.instantiate(self._small)
        add = self._engine.function(instance, "add")
        arguments = (*self._engine.leading(instance), 1, 2)
        if add(*arguments) != 3:
            raise AssertionError("1 + 2 is not 3")
        started = time.perf_counter()
        for given in repeat(arguments, count):
            add(*given)
        seconds = time.perf_counter() - started
        self._engine.discard(instance)
        return seconds / count

    def trap(self, name: str, count: int) -> float:
        """Call a function that traps, and catch what it raises: time a call."""
        instance = self._engine.instantiate(self._small)
        function = self._engine.function(instance, name)
        arguments = (*self._engine.leading(instance), *TRAPPING[name])
        expected = self._engine.trap
        trapped = 0
        started = time.perf_counter()
        for given in repeat(arguments, count):
            try:
                function(*given)
            except expected:
                trapped += 1
        seconds = time.perf_counter() - started
        if trapped != count:
            raise AssertionError(f"{count - trapped} of {count} calls of {name} did not trap")
        self._engine.discard(instance)
        return seconds / count


def main() -> None:
    """Serve the peer that the command line names, until the input ends."""
    worker = Worker(PEERS[sys.argv[1]]())
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("command"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
