"""A host module: guests of all clients count events by name, and the counts stay when the guests have ended.

PYTHONPATH=. farcall serve --host-module tally=examples.tally:make
farcall run examples/tally.wasm apples 3
"""

from __future__ import annotations

import threading
from collections import Counter

from farcall.engine import I32, I64, Caller, FunctionType, HostFailure, HostModule

LONGEST_NAME = 256
"""Bytes."""


def make() -> HostModule:
    """The module, with counts of its own."""
    module = HostModule("tally")
    counts: Counter[str] = Counter()
    lock = threading.Lock()  # guests run in threads, several at a time

    @module.function(FunctionType((I32, I32, I64), (I64,)), pass_caller=True)
    def add(caller: Caller, pointer: int, length: int, amount: int) -> int:
        """Count `amount` events whose name lies in the caller's memory; how many there were so far."""
        if not 0 < length <= LONGEST_NAME:
            raise HostFailure(f"a name has 1 to {LONGEST_NAME} bytes, not {length}")
        name = caller.memory.read(pointer & 0xFFFF_FFFF, length).decode()  # an i32 is signed in Python
        with lock:
            counts[name] += amount
            return counts[name]

    return module
