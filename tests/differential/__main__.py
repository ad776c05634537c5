"""Compares random programs and damaged modules with wasmtime for as long as one likes.

    python -m tests.differential [--seconds S] [--first-seed N]

Prints what differs, with the seed that shows it again. Exit status: 0 if nothing differed, else 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from farcall.engine import Engine

from .case import Case
from .farcall_subject import run_on_farcall
from .program_generator import OBSERVED_GLOBALS, generate
from .vector_generator import vector_case
from .wasmtime_oracle import WasmtimeOracle

_VECTOR_SHARE = 0.3
"""Of the programs, those that are made of vector instructions."""


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="how long (60)")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="the first program's seed (1)")
    arguments = parser.parse_args()
    seed, differing = arguments.first_seed, 0
    started = time.monotonic()
    with Engine() as engine, WasmtimeOracle() as oracle:
        while time.monotonic() - started < arguments.seconds:
            difference = _compare(engine, oracle, seed)
            if difference:
                print(f"seed {seed}: {difference}", flush=True)
                differing += 1
            seed += 1
    print(f"{seed - arguments.first_seed} programs, {differing} differ")
    return 1 if differing else 0


def _compare(engine: Engine, oracle: WasmtimeOracle, seed: int) -> str:
    """How farcall differs from wasmtime on the program of this seed; empty where it does not."""
    source = random.Random(seed)
    if source.random() < _VECTOR_SHARE:
        return _difference(engine, oracle, vector_case(seed, source.choice((10, 50, 300))), source)
    functions, nodes = source.randrange(1, 9), source.choice((20, 100, 500, 2000))
    program = generate(source, functions, nodes, linked=bool(source.getrandbits(1)))
    case = Case(program.module, program.calls, "memory", OBSERVED_GLOBALS, program.library)
    return _difference(engine, oracle, case, source)


def _difference(engine: Engine, oracle: WasmtimeOracle, case: Case, source: random.Random) -> str:
    theirs = oracle.run(case)
    try:
        ours = run_on_farcall(engine, case, ensure_termination=bool(source.getrandbits(1)))
    except Exception as error:  # Whatever it is: no program may raise anything but traps.
        return f"farcall raises {type(error).__name__}: {error}"
    for call, our, their in zip(case.calls, ours.outcomes, theirs.outcomes, strict=True):
        if our != their:
            return f"{call}: farcall {our}, wasmtime {their}"
    return "" if ours == theirs else "the memory or the globals differ"


if __name__ == "__main__":
    sys.exit(main())
