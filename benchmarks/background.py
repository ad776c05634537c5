"""How long unary calls take while the server's jobs optimise another module, next to what they take when it is idle.

One client makes call after call, of a function that takes no time. Idle and busy stretches take turns; in each busy
one the server optimises a module that it has not seen before, with all cores.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc

from benchmarks.kernels import KERNELS
from benchmarks.large_modules import large_module, with_custom_section
from benchmarks.servers import running_server
from benchmarks.service import INVOKE, MODULE, unary_request
from farcall.client import Client

ROUNDS = 5
SECONDS = 4.0
MEGABYTES = max(4, (os.cpu_count() or 1) // 2)
"""Of the module that is optimised: on each core, that is at it for longer than a measurement."""
_KERNEL = "quicksort"
_PERCENTILE = 0.99
_PATIENCE = 60.0
"""Seconds that a server gets to start with a module, or to leave off."""


def measure_background(
    rounds: int = ROUNDS, seconds: float = SECONDS, progress: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Measure calls of an idle server, and of one whose jobs are busy.

    Args:
        rounds: how often each is measured.
        seconds: of each measurement.
        progress: is told what is measured.

    Returns:
        `seconds`: of a call, by `idle` and `busy`, each with `median` and `99th percentile`; medians of the rounds.
        `ratios`: busy to idle, of both.

    Raises:
        RuntimeError: the server was not optimising all the time, or does not leave off.
    """
    kernel = next(kernel for kernel in KERNELS if kernel.name == _KERNEL)
    source = large_module(Path(kernel.wasm).read_bytes(), MEGABYTES * 1_000_000)
    stretches: dict[str, list[list[float]]] = {"idle": [], "busy": []}
    with (
        running_server("farcall") as (address, _process),
        grpc.insecure_channel(address) as channel,
        Client(address) as client,
    ):
        client.store().instantiate(client.upload(MODULE), name="small")
        call: Any = channel.unary_unary(INVOKE)  # type: ignore[call-arg]  # the stubs lack the defaults
        request = unary_request("stores/default/instances/small", "add", 3, -5)
        _calls(call, request, 1.0)  # warms up
        for round_ in range(rounds):
            progress(f"calls beside an idle compiler: round {round_ + 1} of {rounds}")
            _wait_until(client, busy=False)
            stretches["idle"].append(_calls(call, request, seconds))
            progress(f"calls beside a busy compiler: round {round_ + 1} of {rounds}")
            module = client.upload(with_custom_section(source, f"round {round_}".encode()))
            instance = client.store().instantiate(module, name="large")
            instance.function("run")(10)  # compiled fast; what follows is the optimiser's
            _wait_until(client, busy=True)
            stretches["busy"].append(_calls(call, request, seconds))
            if not _is_busy(client):
                raise RuntimeError(f"{MEGABYTES} MB were optimised in less than {seconds:g} s")
            instance.close()
            client.delete_module(module)
    measured = {
        name: {
            "median": statistics.median(statistics.median(taken) for taken in each),
            "99th percentile": statistics.median(_percentile(taken) for taken in each),
        }
        for name, each in stretches.items()
    }
    return {
        "seconds": measured,
        "ratios": {name: measured["busy"][name] / idle for name, idle in measured["idle"].items()},
    }


def _calls(call: Callable[[bytes], bytes], request: bytes, seconds: float) -> list[float]:
    """How long each of the calls took that fit into so many seconds."""
    taken = []
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        call(request)
        before, now = now, time.perf_counter()
        taken.append(now - before)
    return taken


def _percentile(taken: Sequence[float]) -> float:
    return sorted(taken)[math.ceil(len(taken) * _PERCENTILE) - 1]


def _is_busy(client: Client) -> bool:
    return client.server_info().compilation.queue.running > 0


def _wait_until(client: Client, *, busy: bool) -> None:
    end = time.monotonic() + _PATIENCE
    while _is_busy(client) is not busy:
        if time.monotonic() > end:
            raise RuntimeError(f"the server is not {'busy' if busy else 'idle'} after {_PATIENCE:g} s")
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(measure_background(progress=lambda text: print(text, file=sys.stderr)), indent=2))
